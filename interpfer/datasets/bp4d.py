"""BP4D-Spontaneous and BP4D+."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from interpfer.datasets.base import require_root, require_split
from interpfer.datasets.coded import LARGEST_CODE, MISSING, UNGRADED, code_rows, read_numbers, require_codes
from interpfer.datasets.discovery import find_path
from interpfer.datasets.frames import FrameDataset, count_left_out, every, number_pictures
from interpfer.datasets.subject_splits import FOLDS, SUBJECT_SPLITS, split_subjects
from interpfer.errors import DataError
from interpfer.types import CodedAUs, Sample

OCCURRENCE = ("AUCoding/AU_OCC", "AU_OCC")
IMAGES = ("2D+3D", "Sequences(2D+3D)", "Sequences_2D+3D", "Sequences (2D+3D)")
SEQUENCE = re.compile(r"([FM]\d{3})_(T\d+)\.csv", re.IGNORECASE)
NOT_CODED = 9
LEVELS = 5
TESTED = {
    "fold1": ["F004", "F006", "F007", "F012", "F014", "F015", "F017", "F019", "F021", "M003", "M006", "M009", "M015"],
    "fold2": [
        "F003",
        "F005",
        "F011",
        "F013",
        "F020",
        "F022",
        "M002",
        "M005",
        "M010",
        "M011",
        "M013",
        "M016",
        "M017",
        "M018",
    ],
    "fold3": [
        "F001",
        "F002",
        "F008",
        "F009",
        "F010",
        "F016",
        "F018",
        "F023",
        "M001",
        "M004",
        "M007",
        "M008",
        "M012",
        "M014",
    ],
}
"""Split of BP4D -> the people whom ME-GraphAU, and with it most papers, test on; the others are trained on."""

TASKS = {
    "T1": "happiness", "T2": "sadness", "T3": "surprise", "T4": "embarrassment",
    "T5": "fear", "T6": "pain", "T7": "anger", "T8": "disgust",
}  # fmt: skip
"""Task of BP4D -> what it was to elicit."""


class Bp4dDataset(FrameDataset):
    """``AUCoding/AU_OCC/F001_T1.csv`` and the pictures ``2D+3D/F001/T1/000.jpg``; intensities from ``AU_INT``.

    The first column of a file is the frame, whatever its header; the header of every other column is the number of its
    action unit. 0 and 1 are absent and present, 9 is not coded. ``AU_INT/AU06/F001_T1_AU06.csv`` (frame, 0 to 5, 9;
    no header) grades what ``AU_OCC`` calls present. The task and what it was to elicit are attributes, no labels.

    Assumed: frame 12 is ``012.jpg`` or ``0012.jpg``, as in public loaders; the tasks.
    """

    name: ClassVar[str] = "bp4d"
    summary: ClassVar[str] = "BP4D frames: AUCoding/AU_OCC/F001_T1.csv, 2D+3D/F001/T1/000.jpg; also fold1 .. fold3"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    has_labels: ClassVar[bool] = False
    action_units: ClassVar[str] = "about 30, some from 0 to 5"
    licence: ClassVar[str] = "research, by agreement with the institution"
    request: ClassVar[str] = "https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html"
    tasks: ClassVar[Mapping[str, str]] = TASKS

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "Bp4dDataset":  # noqa: ARG003
        """Read the codes and list the pictures.

        Raises:
            DataError: codes or pictures are not found, or a line is malformed.
        """
        folder = require_root(root, cls.name)
        name, step = cls.parse_split(split)
        occurrence = find_path(folder, *OCCURRENCE)
        files = sorted(path for path in occurrence.iterdir() if SEQUENCE.fullmatch(path.name)) if occurrence else []
        if not files:
            raise cls.missing_error(folder, "AUCoding/AU_OCC/F001_T1.csv")
        people = {path: path.name[:4].upper() for path in files}
        files = [path for path in files if people[path] in cls.people(sorted(set(people.values())), name)]
        samples, lacking, uncoded = [], 0, 0
        images = _find_images(folder, list(people))
        if images is None:
            raise cls.missing_error(folder, "pictures such as 2D+3D/F001/T1/000.jpg")
        for path in files:
            person, task = path.stem.upper().split("_")
            place, codes = images / person / task, read_codes(path)
            pictures = number_pictures(place)
            found = [frame for frame, row in codes.items() if row is not None and frame in pictures]
            uncoded += sum(row is None for row in codes.values())
            lacking += sum(row is not None and frame not in pictures for frame, row in codes.items())
            attributes = {"task": task, **({"elicited": cls.tasks[task]} if task in cls.tasks else {})}
            for frame in every(found, step):
                picture = pictures[frame]
                samples.append(
                    Sample(f"{person}/{task}/{picture}", "", place / picture, person, codes[frame], attributes)
                )
        dataset = cls(samples, split, folder)
        count_left_out(dataset, pictures=lacking, codes=uncoded)
        return dataset

    @classmethod
    def people(cls, people: list[str], split: str) -> set[str]:
        """Return the people of a split.

        Args:
            people: all people.
            split: "all", "fold1" to "fold3" (those tested), "test" (fold1) or "train" (the others).

        Raises:
            SplitError: the split is unknown.
        """
        require_split(split, (*cls.splits, *TESTED), f"data set {cls.name}")
        tested = TESTED.get(split, TESTED["fold1"])
        return {person for person in people if split == "all" or (person in tested) == (split != "train")}


class Bp4dPlusDataset(Bp4dDataset):
    """BP4D+ in the layout of BP4D.

    No splits are published, so the subjects are split, see ``interpfer.datasets.subject_splits``; besides ``splits``
    there are ``fold1`` to ``fold10``.
    """

    name: ClassVar[str] = "bp4dplus"
    summary: ClassVar[str] = "BP4D+ frames: AUCoding/AU_OCC/F001_T1.csv, 2D+3D/F001/T1/000.jpg; also fold1 .. fold10"
    tasks: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def people(cls, people: list[str], split: str) -> set[str]:
        """Return the people of a split.

        Args:
            people: all people.
            split: one of ``splits``, or "fold1" to "fold10".

        Raises:
            SplitError: the split is unknown.
        """
        require_split(split, (*cls.splits, *FOLDS), f"data set {cls.name}")
        return split_subjects(people, split, f"data set {cls.name}")


def read_codes(path: str | Path) -> dict[int, CodedAUs | None]:
    """Return the codes of a sequence: number of a frame -> its action units; None where none was coded.

    Args:
        path: ``AU_OCC/F001_T1.csv``; intensities are read from ``AU_INT`` beside ``AU_OCC``, where it is there.

    Raises:
        DataError: the header or a line is malformed.
    """
    path = Path(path)
    aus = _read_header(path)
    codes = read_numbers(path, len(aus) + 1, ",", skip=1)
    if not len(codes):
        return {}
    frames = codes[:, 0].astype(int).tolist()
    require_codes(codes[:, 1:], (0, 1, NOT_CODED), str(path), [f"frame {frame}" for frame in frames])
    values = np.select([codes[:, 1:] == NOT_CODED, codes[:, 1:] == 1], [MISSING, UNGRADED], 0.0)
    for column, au in enumerate(aus):
        if known := _read_intensities(path, au):
            levels = np.array([known.get(frame, 0.0) for frame in frames])
            values[:, column] = np.where((values[:, column] == UNGRADED) & (levels > 0), levels, values[:, column])
    return dict(zip(frames, code_rows(values, aus, LEVELS), strict=True))


def _read_intensities(path: Path, au: int) -> dict[int, float]:
    """Return number of a frame -> intensity from 1 to 5; frames without one are left out."""
    beside = path.parent.parent / "AU_INT" / f"AU{au:02d}" / f"{path.stem}_AU{au:02d}.csv"
    if not beside.is_file():
        return {}
    table = read_numbers(beside, 2, ",")
    frames = table[:, 0].astype(int).tolist()
    require_codes(table[:, 1:], (*range(LEVELS + 1), NOT_CODED), str(beside), [f"frame {frame}" for frame in frames])
    pairs = zip(frames, table[:, 1].tolist(), strict=True)
    return {frame: level for frame, level in pairs if 0 < level <= LEVELS}


def _find_images(folder: Path, files: list[Path]) -> Path | None:
    """Return the folder with the pictures of the people: by its name, else the one that holds those of a sequence."""
    if found := find_path(folder, *IMAGES):
        return found
    places = ("/".join(path.stem.upper().split("_")) for path in files)
    found = next((found for place in places if (found := find_path(folder, place))), None)
    return found.parent.parent if found else None


def _read_header(path: Path) -> tuple[int, ...]:
    """Return the action units of the columns after the first one."""
    with path.open(encoding="utf-8-sig") as file:
        cells = [cell.strip().strip('"') for cell in file.readline().split(",")]
    try:
        aus = tuple(int(float(cell.upper().removeprefix("AU"))) for cell in cells[1:])
    except (ValueError, OverflowError):
        aus = ()
    if not aus or len(set(aus)) < len(aus) or not all(0 < au <= LARGEST_CODE for au in aus):
        raise DataError(
            f"{path}, line 1: behind the column of the frame the header must be the numbers of action units, such as "
            f"'0,1,2,4', got '{','.join(cells)[:60]}'."
        )
    return aus
