"""Landmarks of a data set, prepared in advance: a landmark file, a list of failures, and a contact sheet."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.errors import DataError
from interpfer.faces.stream import FaceStream
from interpfer.files import csv_bytes, json_bytes, write_atomic
from interpfer.landmarks.alignment import invert_transform, transform_points
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.cache import CachedLandmarks
from interpfer.landmarks.reasons import NO_FACE, UNREADABLE
from interpfer.landmarks.sheet import COLUMNS, Block, Tile, draw_sheet
from interpfer.runtime.progress import Progress, no_progress
from interpfer.types import CANVAS

MAX_TILES = {"failed": 3 * COLUMNS, "doubtful": 2 * COLUMNS, "found": 4 * COLUMNS}
"""Most faces of each kind on the sheet."""

COLOURS = {"failed": "#c62828", "doubtful": "#b26a00", "found": "#2e7d32"}

BATCH_SIZE = 32


@dataclass(frozen=True)
class PreparedLandmarks:
    """Files written by ``prepare``, and its results.

    Attributes:
        landmarks: landmark file, for ``--landmarks FILE``.
        failures: CSV file with the columns image, kind (failed or doubtful), reason, detail.
        sheet: picture of the failed and doubtful faces and a sample of the others, with their points.
        found: number of faces found.
        failed: image name -> "reason: detail"; the reason is "unreadable image" or that of the provider, such as "no
            face", "several faces", "low confidence".
        doubtful: image name -> "reason: detail" of faces that were found, but are doubtful.
        counts: JSON file with the numbers of images, of faces found, and of failed and doubtful ones by reason.
    """

    landmarks: Path
    failures: Path
    sheet: Path
    found: int
    failed: dict[str, str]
    doubtful: dict[str, str]
    counts: Path


def count_reasons(notes: Iterable[str]) -> str:
    """Return the number of notes per reason, the most frequent first.

    Examples:
        >>> count_reasons(["no face", "several faces: 2 of them", "no face"])
        'no face 2, several faces 1'
    """
    counts = Counter(note.partition(":")[0] for note in notes)
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common())


def prepare(
    dataset: Dataset, provider: LandmarkProvider, out: str | Path, progress: Progress = no_progress
) -> PreparedLandmarks:
    """Find the landmarks of all images of a data set; files are written once all images are done.

    With a ``CachedLandmarks`` provider, an interrupted call continues where it stopped.

    Args:
        dataset: the data set.
        provider: the landmark provider.
        out: landmark file to write; failures and sheet are written next to it.
        progress: called after each batch.

    Raises:
        RunError: ``out`` cannot be written.
    """
    out = Path(out)
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    failed: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    points: dict[int, NDArray[np.float64]] = {}
    done = 0
    for batch in FaceStream(dataset, provider, CANVAS).batches(range(len(dataset)), BATCH_SIZE):
        for row, reason in batch.skipped.items():
            sample = dataset.samples[row]
            failed[sample.id] = f"{UNREADABLE}: {reason.removeprefix(f'{sample.path}: ')}"
        on_picture = transform_points(batch.landmarks.points, invert_transform(batch.transforms)).double().numpy()
        for i, (row, name) in enumerate(zip(batch.rows, batch.faces.ids, strict=True)):
            note = batch.landmarks.note(i)
            if batch.landmarks.found[i]:
                points[row] = on_picture[i]
                doubtful |= {name: note} if note else {}
            else:
                failed[name] = note or NO_FACE
            x, y = points.get(row, np.full_like(on_picture[i], np.inf)).T.tolist()
            table.writerow([name, *(f"{value:.2f}" for value in (*x, *y))])
        done += len(batch.rows) + len(batch.skipped)
        progress("landmarks", done, len(dataset))
    failures, sheet = out.with_suffix(".failures.csv"), out.with_suffix(".png")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(failures, csv_bytes(_failure_table({"failed": failed, "doubtful": doubtful})))
    image = io.BytesIO()
    draw_sheet(_title(dataset, provider), _blocks(dataset, points, failed, doubtful)).save(image, "png")
    write_atomic(sheet, image.getvalue())
    counts = out.with_suffix(".counts.json")
    kinds = {"failed": failed, "doubtful": doubtful}
    reasons = {kind: Counter(note.partition(":")[0] for note in notes.values()) for kind, notes in kinds.items()}
    write_atomic(counts, json_bytes({"images": len(dataset), "found": len(points), **reasons}))
    write_atomic(out, lines.getvalue().encode())
    return PreparedLandmarks(out, failures, sheet, len(points), failed, doubtful, counts)


def _failure_table(kinds: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return one row per failed and per doubtful face."""
    rows = [
        (name, kind, reason, detail.strip())
        for kind, notes in kinds.items()
        for name, note in notes.items()
        for reason, _, detail in [note.partition(":")]
    ]
    return pd.DataFrame(rows, columns=["image", "kind", "reason", "detail"])


def _title(dataset: Dataset, provider: LandmarkProvider) -> str:
    name = provider.provider.name if isinstance(provider, CachedLandmarks) else provider.name
    return f"{dataset.name}, split {dataset.split}, landmarks: {name}"


def _blocks(
    dataset: Dataset,
    points: Mapping[int, NDArray[np.float64]],
    failed: Mapping[str, str],
    doubtful: Mapping[str, str],
) -> list[Block]:
    """Choose the faces of the sheet, and read their pictures."""
    kinds: dict[str, list[int]] = {"failed": [], "doubtful": [], "found": []}
    for row, sample in enumerate(dataset.samples):
        kinds["failed" if sample.id in failed else "doubtful" if sample.id in doubtful else "found"].append(row)
    blocks = []
    for kind, rows in kinds.items():
        limit = MAX_TILES[kind]
        selection = rows if len(rows) <= limit else [rows[int(i)] for i in np.linspace(0, len(rows) - 1, limit).round()]
        notes = failed if kind == "failed" else doubtful
        tiles = []
        for row in selection:
            name = dataset.samples[row].id
            note = notes.get(name, "").removeprefix(f"{UNREADABLE}: ")
            tiles.append(Tile(name, _picture(dataset, row), points.get(row), note))
        limited = f", {limit} of them shown" if len(selection) < len(rows) else ""
        reasons = count_reasons(notes.values()) if rows else ""
        detail = f" ({reasons})" if reasons and kind != "found" else ""
        blocks.append(Block(f"{kind}: {len(rows)}{limited}{detail}", COLOURS[kind], tiles))
    return blocks


def _picture(dataset: Dataset, row: int) -> Image.Image | None:
    try:
        return dataset.image(row)
    except DataError:
        return None
