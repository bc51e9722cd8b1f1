"""The UNBC-McMaster shoulder pain expression archive."""

from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import require_root
from interpfer.datasets.coded import list_active, read_numbers
from interpfer.datasets.discovery import find_path, subfolders
from interpfer.datasets.frames import FrameDataset, count_left_out, every, number_names, number_pictures
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_subjects
from interpfer.errors import DataError
from interpfer.types import CodedAUs, Sample

CODES, PAIN = "Frame_Labels/FACS", "Frame_Labels/PSPI"
IMAGES = ("Images", "images", "aligned")
ENDING = "_facs.txt"
LEVELS = 5
BINARY = (43,)
"""Action units that were coded as 0 or 1."""


class UnbcDataset(FrameDataset):
    """``Frame_Labels/FACS/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt`` and the pictures in ``Images``.

    A file lists the active action units of a frame, a line of number, intensity from 0 to 5 (AU 43: 0 or 1), onset and
    offset for each; an empty file is a frame without any. What is not listed is absent. The pain score PSPI, which
    ``Frame_Labels/PSPI`` has in files of the same names, is an attribute. The 66 points of the archive are not read.

    Assumed: the layout is that of public loaders. No splits are published, so the subjects are split, see
    ``interpfer.datasets.subject_splits``; besides ``splits`` there are ``fold1`` to ``fold10``.
    """

    name: ClassVar[str] = "unbc"
    summary: ClassVar[str] = "UNBC-McMaster pain frames: Frame_Labels/FACS/ and Images/; also fold1 .. fold10"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    has_labels: ClassVar[bool] = False
    action_units: ClassVar[str] = "any, from 0 to 5"
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "https://sites.pitt.edu/~emotion/um-spread.htm"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "UnbcDataset":  # noqa: ARG003
        """Read the codes and list the pictures.

        Raises:
            DataError: codes or pictures are not found, or a line is malformed.
        """
        folder = require_root(root, cls.name)
        name, step = cls.parse_split(split)
        labels = find_path(folder, CODES)
        if labels is None:
            raise cls.missing_error(folder, CODES)
        base = labels.parent.parent
        images = next((base / place for place in IMAGES if (base / place).is_dir()), None)
        if images is None:
            raise cls.missing_error(folder, "Images next to Frame_Labels")
        people = subfolders(labels)
        chosen = split_subjects([person.name for person in people], name, f"data set {cls.name}")
        samples, missing = list[Sample](), 0
        for sequence in (each for person in people if person.name in chosen for each in subfolders(person)):
            place = f"{sequence.parent.name}/{sequence.name}"
            pictures = number_pictures(images / place)
            files = number_names([path.name for path in sequence.glob(f"*{ENDING}")], str(sequence))
            found = [frame for frame in sorted(files) if frame in pictures]
            missing += len(files) - len(found)
            for frame in every(found, step):
                picture, path = pictures[frame], sequence / files[frame]
                pain = _read_pain(base / PAIN / place / path.name)
                attributes = {} if pain is None else {"pspi": pain}
                samples.append(
                    Sample(
                        f"{place}/{picture}",
                        "",
                        images / place / picture,
                        sequence.parent.name,
                        read_codes(path),
                        attributes,
                    )
                )
        dataset = cls(samples, split, folder)
        count_left_out(dataset, pictures=missing)
        return dataset


def read_codes(path: str | Path) -> CodedAUs:
    """Return the action units of a frame.

    Args:
        path: file in ``Frame_Labels/FACS``.

    Raises:
        DataError: a line is malformed.
    """
    table = read_numbers(path, 4)
    return list_active(table[table[:, 1] > 0, :2], LEVELS, str(path), BINARY)


def _read_pain(path: Path) -> str | None:
    if not path.is_file():
        return None
    table = read_numbers(path, 1)
    if table.shape != (1, 1):
        raise DataError(f"{path}: a pain score must be one number, got {len(table)}.")
    return f"{table[0, 0]:g}"
