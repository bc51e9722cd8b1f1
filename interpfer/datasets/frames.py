"""Data sets of the frames of videos."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from interpfer.datasets.base import Dataset
from interpfer.datasets.discovery import image_names
from interpfer.errors import DataError, SplitError

NO_PICTURE = "coded frames without a picture"
NO_CODES = "frames that were not coded"
NO_APEX = "clips without a picture of the apex frame"
SPLIT = re.compile(r"(?P<name>[^:]*)(?::(?P<step>\d+))?")

Row = TypeVar("Row")


class FrameDataset(Dataset):
    """Frames of videos, which are many and alike: the split ``test:10`` has every tenth coded frame of each video."""

    @classmethod
    def parse_split(cls, split: str) -> tuple[str, int]:
        """Return the name of a split without its step, and the step.

        Args:
            split: name, with ``:N`` behind it for every N-th frame.

        Raises:
            SplitError: the step is not a number from 1.

        Examples:
            >>> FrameDataset.parse_split("test:10"), FrameDataset.parse_split("val")
            (('test', 10), ('val', 1))
        """
        match = SPLIT.fullmatch(split)
        if match is None or match["step"] == "0":
            raise SplitError(f"data set {cls.name}: write test:10 for every tenth frame of test, got '{split}'.")
        return match["name"], int(match["step"] or 1)


def every(rows: Sequence[Row], step: int) -> Sequence[Row]:
    """Return every ``step``-th of some rows, from the first one."""
    return rows if step == 1 else rows[::step]


def number_pictures(folder: Path) -> dict[int, str]:
    """Return the number of each picture in a folder: the last digits of its name, whatever their padding.

    Args:
        folder: folder of the frames of a video; one that does not exist has none.

    Raises:
        DataError: two pictures have the same number.

    Examples:
        >>> number_pictures(Path("nowhere"))
        {}
    """
    return number_names(image_names(folder), str(folder)) if folder.is_dir() else {}


def number_names(names: Sequence[str], where: str) -> dict[int, str]:
    """Return number -> name of some pictures.

    Args:
        names: names of the pictures.
        where: folder, for messages.

    Raises:
        DataError: two pictures have the same number.

    Examples:
        >>> number_names(["LeftVideoSN001_comp_0012.png", "013.jpg", "cover.jpg"], "here")
        {12: 'LeftVideoSN001_comp_0012.png', 13: '013.jpg'}
    """
    numbered: dict[int, str] = {}
    for name in names:
        digits = re.findall(r"\d+", name.rpartition(".")[0])
        if digits and numbered.setdefault(int(digits[-1]), name) != name:
            raise DataError(f"{where}: {numbered[int(digits[-1])]} and {name} are both frame {int(digits[-1])}.")
    return numbered


def order_pictures(names: Sequence[str], where: str) -> list[str]:
    """Return the pictures of a clip in the order of their numbers; by the alphabet where one has no number.

    Args:
        names: names of the pictures.
        where: folder, for messages.

    Raises:
        DataError: two pictures have the same number.

    Examples:
        >>> order_pictures(["10.jpg", "9.jpg"], "here"), order_pictures(["b.jpg", "a1.jpg"], "here")
        (['9.jpg', '10.jpg'], ['a1.jpg', 'b.jpg'])
    """
    if not all(re.search(r"\d", name.rpartition(".")[0]) for name in names):
        return sorted(names)
    numbered = number_names(names, where)
    return [numbered[number] for number in sorted(numbered)]


def count_left_out(dataset: Dataset, **counts: int) -> None:
    """Set the counts of what a data set lists, but has no sample of, and add a note on them.

    Args:
        dataset: the data set.
        counts: "pictures" and "codes": frames that lack them; "apexes": clips that lack that picture.
    """
    reasons = {"pictures": NO_PICTURE, "codes": NO_CODES, "apexes": NO_APEX}
    dataset.left_out = {reasons[key]: count for key, count in counts.items() if count}
    if dataset.left_out:
        listed = ", ".join(f"{reason} ({count})" for reason, count in dataset.left_out.items())
        dataset.notes = (*dataset.notes, f"left out: {listed}")
