"""Landmarks of a data set once: a landmark file, a list of failures, and a sheet to look at."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from interpfer.datasets.base import Dataset
from interpfer.landmarks.alignment import carry, inverse
from interpfer.landmarks.base import LandmarkProvider
from interpfer.results.files import csv_bytes, write_atomic
from interpfer.stream import FaceStream
from interpfer.types import CANVAS

SHEET = (6, 8)
"""Rows and columns of faces on the sheet."""

BATCH = 32


@dataclass(frozen=True)
class Prepared:
    """What was written.

    Attributes:
        landmarks: the file, in the format of ``--landmarks FILE``.
        failures: a CSV with the columns image, reason.
        sheet: a picture of faces with their points.
        found: number of faces found.
        failed: image name -> reason.
    """

    landmarks: Path
    failures: Path
    sheet: Path
    found: int
    failed: dict[str, str]


def prepare(
    dataset: Dataset,
    provider: LandmarkProvider,
    out: Path,
    progress: Callable[[str, int, int], None] | None = None,
) -> Prepared:
    """Find the landmarks of all images of a data set; nothing is written until all are found.

    A ``CachedLandmarks`` provider makes an interrupted preparation go on where it stopped.

    Args:
        dataset: the faces.
        provider: who looks.
        out: the landmark file; failures and sheet are written beside it.
        progress: called with (what, done, total).

    Raises:
        RunError: ``out`` cannot be written.
    """
    tell = progress or (lambda *_: None)
    lines = io.StringIO()
    failed: dict[str, str] = {}
    shown: list[tuple[str, np.ndarray, np.ndarray]] = []
    table = csv.writer(lines, lineterminator="\n")
    every = max(len(dataset) // (SHEET[0] * SHEET[1]), 1)
    done = 0
    for batch in FaceStream(dataset, provider, CANVAS).batches(range(len(dataset)), BATCH):
        names = batch.faces.ids
        failed |= {dataset.samples[row].id: why for row, why in batch.skipped.items()}
        for i, name in enumerate(names):
            points = carry(batch.landmarks.points[i], inverse(batch.transforms[i])).numpy()
            found = bool(batch.landmarks.found[i])
            x, y = (points if found else np.full_like(points, np.inf)).T.tolist()
            table.writerow([name, *(f"{value:.2f}" for value in (*x, *y))])
            if not found:
                failed[name] = "no face found"
            if batch.rows[i] % every == 0 and len(shown) < SHEET[0] * SHEET[1]:
                shown.append((name, batch.faces.images[i].permute(1, 2, 0).numpy(), batch.landmarks.points[i].numpy()))
        done += len(batch.rows) + len(batch.skipped)
        tell("landmarks", done, len(dataset))
    failures, sheet = out.with_suffix(".failures.csv"), out.with_suffix(".png")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(failures, csv_bytes(pd.DataFrame(failed.items(), columns=["image", "reason"])))
    _draw_sheet(shown, sheet)
    write_atomic(out, lines.getvalue().encode())
    return Prepared(out, failures, sheet, len(dataset) - len(failed), failed)


def _draw_sheet(shown: list[tuple[str, np.ndarray, np.ndarray]], path: Path) -> None:
    figure = Figure(figsize=(1.6 * SHEET[1], 1.75 * SHEET[0]), layout="constrained")
    FigureCanvasAgg(figure)
    for axis in (axes := figure.subplots(*SHEET)).flat:
        axis.set_axis_off()
    for axis, (name, image, points) in zip(axes.flat, shown, strict=False):
        axis.imshow(image)
        axis.plot(points[:, 0], points[:, 1], ".", color="#00e5ff", markersize=1.6)
        axis.set_title(name if np.isfinite(points).all() else f"{name}: none", fontsize=6)
    figure.savefig(path, dpi=110)
