"""Landmarks of a data set once: a landmark file, a list of failures, and a sheet to look at."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.errors import DataError
from interpfer.faces.stream import FaceStream
from interpfer.files import csv_bytes, write_atomic
from interpfer.landmarks.alignment import inverse, transform_points
from interpfer.landmarks.base import NO_FACE, UNREADABLE, LandmarkProvider
from interpfer.landmarks.cache import CachedLandmarks
from interpfer.landmarks.sheet import COLUMNS, Block, Tile, draw_sheet
from interpfer.types import CANVAS

SHOWN = {"failed": 3 * COLUMNS, "doubtful": 2 * COLUMNS, "found": 4 * COLUMNS}
"""How many faces of each kind the sheet shows at most."""

COLOURS = {"failed": "#c62828", "doubtful": "#b26a00", "found": "#2e7d32"}

BATCH = 32


@dataclass(frozen=True)
class Prepared:
    """What was written.

    Attributes:
        landmarks: the file, in the format of ``--landmarks FILE``.
        failures: a CSV with the columns image, kind (failed or doubtful), reason, detail.
        sheet: a picture of faces with their points: the failures, the doubtful ones, and a sample of the others.
        found: number of faces found.
        failed: image name -> "reason: detail". Reasons are "unreadable image", and what the provider says: "no face",
            "several faces", "low confidence".
        doubtful: the same of faces that were found.
    """

    landmarks: Path
    failures: Path
    sheet: Path
    found: int
    failed: dict[str, str]
    doubtful: dict[str, str]


def reasons(notes: Iterable[str]) -> str:
    """Count notes by their reason, the most frequent first.

    >>> reasons(["no face", "several faces: 2 of them", "no face"])
    'no face 2, several faces 1'
    """
    return ", ".join(f"{why} {count}" for why, count in Counter(n.partition(":")[0] for n in notes).most_common())


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
    table = csv.writer(lines, lineterminator="\n")
    failed: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    points: dict[int, NDArray[np.float64]] = {}
    done = 0
    for batch in FaceStream(dataset, provider, CANVAS).batches(range(len(dataset)), BATCH):
        for row, why in batch.skipped.items():
            sample = dataset.samples[row]
            failed[sample.id] = f"{UNREADABLE}: {why.removeprefix(f'{sample.path}: ')}"
        back = transform_points(batch.landmarks.points, inverse(batch.transforms)).double().numpy()
        for i, (row, name) in enumerate(zip(batch.rows, batch.faces.ids, strict=True)):
            note = batch.landmarks.note(i)
            if batch.landmarks.found[i]:
                points[row] = back[i]
                doubtful |= {name: note} if note else {}
            else:
                failed[name] = note or NO_FACE
            x, y = points.get(row, np.full_like(back[i], np.inf)).T.tolist()
            table.writerow([name, *(f"{value:.2f}" for value in (*x, *y))])
        done += len(batch.rows) + len(batch.skipped)
        tell("landmarks", done, len(dataset))
    failures, sheet = out.with_suffix(".failures.csv"), out.with_suffix(".png")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(failures, csv_bytes(_listed({"failed": failed, "doubtful": doubtful})))
    image = io.BytesIO()
    draw_sheet(_title(dataset, provider), _blocks(dataset, points, failed, doubtful)).save(image, "png")
    write_atomic(sheet, image.getvalue())
    write_atomic(out, lines.getvalue().encode())
    return Prepared(out, failures, sheet, len(points), failed, doubtful)


def _listed(kinds: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return one line per failure and per doubt."""
    rows = [
        (name, kind, reason, detail.strip())
        for kind, notes in kinds.items()
        for name, note in notes.items()
        for reason, _, detail in [note.partition(":")]
    ]
    return pd.DataFrame(rows, columns=["image", "kind", "reason", "detail"])


def _title(dataset: Dataset, provider: LandmarkProvider) -> str:
    looked = provider.provider if isinstance(provider, CachedLandmarks) else provider
    return f"{dataset.name}, split {dataset.split}, landmarks: {looked.name}"


def _blocks(
    dataset: Dataset,
    points: Mapping[int, NDArray[np.float64]],
    failed: Mapping[str, str],
    doubtful: Mapping[str, str],
) -> list[Block]:
    """Choose what the sheet shows; the pictures are read once more."""
    kinds: dict[str, list[int]] = {"failed": [], "doubtful": [], "found": []}
    for row, sample in enumerate(dataset.samples):
        kinds["failed" if sample.id in failed else "doubtful" if sample.id in doubtful else "found"].append(row)
    blocks = []
    for kind, rows in kinds.items():
        most = SHOWN[kind]
        chosen = rows if len(rows) <= most else [rows[int(i)] for i in np.linspace(0, len(rows) - 1, most).round()]
        told = failed if kind == "failed" else doubtful
        tiles = []
        for row in chosen:
            name = dataset.samples[row].id
            note = told.get(name, "").removeprefix(f"{UNREADABLE}: ")
            tiles.append(Tile(name, _picture(dataset, row), points.get(row), note))
        some = f", of which {most} are shown" if len(chosen) < len(rows) else ""
        why = reasons(told.values()) if rows else ""
        detail = f" ({why})" if why and kind != "found" else ""
        blocks.append(Block(f"{kind}: {len(rows)}{some}{detail}", COLOURS[kind], tiles))
    return blocks


def _picture(dataset: Dataset, row: int) -> Image.Image | None:
    try:
        return dataset.image(row)
    except DataError:
        return None
