"""DISFA, the Denver Intensity of Spontaneous Facial Action database."""

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from interpfer.datasets.base import require_root, require_split
from interpfer.datasets.coded import MISSING, code_rows, read_numbers, require_codes
from interpfer.datasets.discovery import find_path, folders_below, image_names, subfolders
from interpfer.datasets.frames import FrameDataset, count_left_out, every, number_names
from interpfer.types import CodedAUs, Sample

LABELS = "ActionUnit_Labels"
AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
LEVELS = 5
PERSON = re.compile(r"SN\d{3}")
FOLDS = {
    "fold1": ["SN003", "SN004", "SN005", "SN007", "SN008", "SN017", "SN023", "SN025", "SN029"],
    "fold2": ["SN006", "SN011", "SN012", "SN013", "SN018", "SN021", "SN024", "SN028", "SN031"],
    "fold3": ["SN001", "SN002", "SN009", "SN010", "SN016", "SN026", "SN027", "SN030", "SN032"],
}
"""Split -> the people whom ME-GraphAU, and with it most papers, test on; the others are trained on."""

Codes = dict[int, CodedAUs]
"""Number of a frame, counted from 1 -> what was coded on it."""


class DisfaDataset(FrameDataset):
    """``ActionUnit_Labels/SN001/SN001_au1.txt`` with lines ``1,0``, and the frames of the videos as pictures.

    The pictures of a person are those in a folder whose name contains ``SN001``, or whose own names do, such as
    ``SN001/0.png`` or ``LeftVideoSN001_comp/LeftVideoSN001_comp_0001.png``; the last digits of a name are the number of
    the frame. Of two cameras the left one is read. Twelve action units are coded from 0 to 5, others are not coded;
    there are no expressions.

    Assumed: the frames in label files are counted from 1, and pictures from 0 where any person has a picture 0, else
    from 1; ``notes`` says which.
    """

    name: ClassVar[str] = "disfa"
    summary: ClassVar[str] = (
        "DISFA frames: ActionUnit_Labels/ and pictures in folders such as SN001/; also fold1 .. fold3"
    )
    splits: ClassVar[tuple[str, ...]] = ("train", "test", "all")
    has_labels: ClassVar[bool] = False
    action_units: ClassVar[str] = "12, from 0 to 5"
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "http://mohammadmahoor.com/pages/databases/disfa/"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "DisfaDataset":  # noqa: ARG003
        """Read the codes and list the pictures.

        Raises:
            DataError: codes or pictures are not found, or a line is malformed.
        """
        folder = require_root(root, cls.name)
        name, step = cls.parse_split(split)
        require_split(name, (*cls.splits, *FOLDS), f"data set {cls.name}")
        labels = find_path(folder, LABELS)
        if labels is None:
            raise cls.missing_error(folder, LABELS)
        pictures = _find_pictures(folder, labels)
        if not pictures:
            raise cls.missing_error(folder, "pictures of frames such as SN001/0.png (extract them from the videos)")
        first = 0 if any(0 in names for _, names in pictures.values()) else 1
        samples, missing = [], 0
        for person in subfolders(labels):
            if not _is_in_split(person.name, name):
                continue
            (place, names), codes = pictures.get(person.name, (folder, {})), read_codes(person)
            found = [frame for frame in sorted(codes) if frame - 1 + first in names]
            missing += len(codes) - len(found)
            for frame in every(found, step):
                picture = names[frame - 1 + first]
                samples.append(Sample(f"{person.name}/{picture}", "", place / picture, person.name, codes[frame]))
        dataset = cls(samples, split, folder)
        counted = "from 0, as there is a picture 0" if first == 0 else "from 1, as there is no picture 0"
        dataset.notes = (f"{folder}: pictures are counted {counted}; frames in the label files from 1.",)
        count_left_out(dataset, pictures=missing)
        return dataset


def read_codes(folder: Path) -> Codes:
    """Return the codes of a person; an action unit that has no file, or not that frame, is not coded.

    Args:
        folder: ``ActionUnit_Labels/SN001``.

    Raises:
        DataError: a line is malformed.
    """
    columns: dict[int, dict[int, float]] = {}
    for au in AUS:
        path = folder / f"{folder.name}_au{au}.txt"
        if path.is_file():
            table = read_numbers(path, 2, ",")
            require_codes(table[:, 1:], range(LEVELS + 1), str(path), [f"line {i + 1}" for i in range(len(table))])
            columns[au] = dict(zip(table[:, 0].astype(int).tolist(), table[:, 1].tolist(), strict=True))
    frames = sorted(set().union(*columns.values()))
    values = [[columns.get(au, {}).get(frame, MISSING) for au in AUS] for frame in frames]
    rows = code_rows(np.array(values, dtype=np.float64).reshape(-1, len(AUS)), AUS, LEVELS)
    return {frame: row for frame, row in zip(frames, rows, strict=True) if row is not None}


def _is_in_split(person: str, split: str) -> bool:
    tested = FOLDS.get(split, FOLDS["fold1"])
    return split == "all" or (person in tested) == (split != "train")


def _find_pictures(root: Path, labels: Path) -> dict[str, tuple[Path, dict[int, str]]]:
    """Return person -> a folder, and number -> name of that person's pictures in it, of the left camera if it is there.

    Of several folders with pictures of a person the one nearest to ``root`` is used.
    """
    places: dict[tuple[str, bool], tuple[Path, dict[int, str]]] = {}
    for folder in folders_below(root):
        if labels in (folder, *folder.parents):
            continue
        place, names = str(folder.relative_to(root)), dict[tuple[str, bool], list[str]]()
        for name in image_names(folder):
            if person := PERSON.findall(name) or PERSON.findall(place):
                names.setdefault((person[-1], "right" in f"{place} {name}".lower()), []).append(name)
        for key, some in names.items():
            if key not in places:
                places[key] = folder, number_names(some, str(folder))
    return {
        person: places.get((person, False), places.get((person, True), place)) for (person, _), place in places.items()
    }
