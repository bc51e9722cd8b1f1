"""Aff-Wild2, with the annotations of the ABAW challenges."""

import re
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar

import numpy as np

from interpfer.datasets.base import require_root
from interpfer.datasets.coded import MISSING, UNGRADED, code_rows, read_numbers, require_codes
from interpfer.datasets.discovery import find_path, subfolders
from interpfer.datasets.frames import FrameDataset, count_left_out, every, number_pictures
from interpfer.errors import DataError
from interpfer.files import bounded_integer
from interpfer.types import CodedAUs, Sample

AU_SETS = ("AU_Set", "AU_Detection_Challenge")
EXPRESSION_SETS = ("EXPR_Set", "EXPR_Classification_Challenge", "EXPR_Recognition_Challenge")
IMAGES = ("cropped_aligned", "cropped_aligned_images")
AU = re.compile(r"AU0*(\d+)", re.IGNORECASE)
ORDER = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other")


class AffWild2Dataset(FrameDataset):
    """``AU_Set`` and ``EXPR_Set`` with a file per video, and ``cropped_aligned/VIDEO/00001.jpg``.

    Both sets have a folder per split (``Train_Set``, ``Validation_Set`` and so on); one of them is enough. A file of
    ``AU_Set`` has the header ``AU1,AU2,...`` and a row of 0, 1 or -1 per frame, one of ``EXPR_Set`` a header with the
    names of the expressions and a row with the place of one in it, from 0, or -1; -1 is not coded. Row j, from 1, is
    ``0000j.jpg``, which is absent where no face was found. ``VIDEO_left`` and ``VIDEO_right`` are two people.

    Assumed: a video (or its left or right) is one person. The labels of the test split are not public.
    """

    name: ClassVar[str] = "affwild2"
    summary: ClassVar[str] = "Aff-Wild2 frames: AU_Set/ and/or EXPR_Set/ of ABAW, and cropped_aligned/"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    aliases = {**FrameDataset.aliases, "test": "val"}
    order: ClassVar[tuple[str, ...]] = ORDER
    action_units: ClassVar[str] = "12, present or absent"
    licence: ClassVar[str] = "academic research, by agreement"
    request: ClassVar[str] = "https://ibug.doc.ic.ac.uk/resources/aff-wild2/"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "AffWild2Dataset":  # noqa: ARG003
        """Read the codes and list the pictures.

        Raises:
            DataError: annotations or pictures are not found, or a line is malformed.
        """
        folder = require_root(root, cls.name)
        name, step = cls.parse_split(split)
        name = cls.resolve_split(name)
        units, expressions = (_list_videos(find_path(folder, *sets), name) for sets in (AU_SETS, EXPRESSION_SETS))
        images = find_path(folder, *IMAGES)
        if not units and not expressions:
            raise cls.missing_error(folder, f"AU_Set with a folder for {name}", f"EXPR_Set with a folder for {name}")
        if images is None:
            raise cls.missing_error(folder, IMAGES[0])
        samples, lacking, uncoded = list[Sample](), 0, 0
        for video in sorted({*units, *expressions}):
            pictures = number_pictures(images / video)
            codes = read_codes(units[video]) if video in units else []
            labels = read_labels(expressions[video]) if video in expressions else []
            rows = list(enumerate(zip_longest(codes, labels, fillvalue=None), 1))
            known = [(row, seen, label or "") for row, (seen, label) in rows if seen is not None or label]
            found = [each for each in known if each[0] in pictures]
            uncoded += len(rows) - len(known)
            lacking += len(known) - len(found)
            for row, seen, label in every(found, step):
                picture = images / video / pictures[row]
                samples.append(Sample(f"{video}/{picture.name}", label, picture, video, seen))
        dataset = cls(samples, name if step == 1 else f"{name}:{step}", folder)
        count_left_out(dataset, pictures=lacking, codes=uncoded)
        return dataset


def read_codes(path: str | Path) -> list[CodedAUs | None]:
    """Return the action units of the frames of a video, in order; None where none was coded.

    Args:
        path: file of ``AU_Set``.

    Raises:
        DataError: the header or a row is malformed.
    """
    names = _read_header(path)
    aus = tuple(bounded_integer(match[1]) for name in names if (match := AU.fullmatch(name)))
    if not aus or len(aus) < len(names):
        raise DataError(
            f"{path}, line 1: the header must name action units such as AU1,AU2,AU4, got '{','.join(names)}'."
        )
    codes = read_numbers(path, len(aus), ",", skip=1)
    require_codes(codes, (-1, 0, 1), str(path), [f"row {i + 1}" for i in range(len(codes))])
    return code_rows(np.select([codes < 0, codes > 0], [MISSING, UNGRADED], 0.0), aus)


def read_labels(path: str | Path) -> list[str]:
    """Return the expressions of the frames of a video, in order; "" where none was coded.

    Args:
        path: file of ``EXPR_Set``.

    Raises:
        DataError: the header or a row is malformed.
    """
    names = [name.lower() for name in _read_header(path)]
    if not set(names) <= set(ORDER) or len(set(names)) < len(names):
        raise DataError(f"{path}, line 1: the header must name {', '.join(ORDER)}, got '{','.join(names)}'.")
    numbers = read_numbers(path, 1, ",", skip=1)
    require_codes(numbers, range(-1, len(names)), str(path), [f"row {i + 1}" for i in range(len(numbers))])
    return [names[number] if number >= 0 else "" for number in numbers[:, 0].astype(int).tolist()]


def _read_header(path: str | Path) -> list[str]:
    with Path(path).open(encoding="utf-8-sig") as file:
        return [name.strip() for name in file.readline().split(",")]


def _list_videos(annotations: Path | None, split: str) -> dict[str, Path]:
    """Return video -> its file in the folder of a split; none if there is no such folder.

    Raises:
        DataError: several folders may be that of the split.
    """
    if annotations is None:
        return {}
    folders = [folder for folder in subfolders(annotations) if folder.name.lower().startswith(split)]
    if len(folders) > 1:
        listed = " and ".join(folder.name for folder in folders)
        raise DataError(f"{annotations}: {listed} may both be the split {split}; leave one of them there.")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.txt")) if path.name[0] != "."}
