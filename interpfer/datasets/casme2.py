"""CASME II, spontaneous micro-expressions."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Dataset, require_root
from interpfer.datasets.discovery import find_path, folders_below
from interpfer.datasets.facs_text import parse_facs
from interpfer.datasets.frames import count_left_out, number_pictures
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_by_subject
from interpfer.datasets.xlsx import read_cells
from interpfer.errors import DataError
from interpfer.labels import canonical
from interpfer.types import CodedAUs, Sample

TABLE = re.compile(r"CASME2-coding.*\.(xlsx|csv)", re.IGNORECASE)
IMAGES = ("Cropped", "CASME2-RAW", "CASME2_RAW_selected")
COLUMNS = {"subject": 0, "filename": 1, "apexframe": 4, "action units": 7, "estimated emotion": 8}


class Casme2Dataset(Dataset):
    """``CASME2-coding-20140508.xlsx`` and ``Cropped/sub01/EP02_01f/reg_img46.jpg``; the apex frame of each clip.

    Action units are FACS text such as ``4+L10``, or ``?`` for not coded; what is not listed is absent. Pictures are
    matched by the number of the frame. Emotions outside the eight expressions (repression, others) are classes of their
    own. A clip whose apex frame is not given or has no picture is left out and counted.

    Assumed: the columns, by their places and names, as in public loaders; sides are those of FACS. No splits are
    published, so the subjects are split, see ``interpfer.datasets.subject_splits``; besides ``splits`` there are
    ``fold1`` to ``fold10``.
    """

    name: ClassVar[str] = "casme2"
    summary: ClassVar[str] = "CASME II, apex frames: CASME2-coding-20140508.xlsx and Cropped/; also fold1 .. fold10"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    action_units: ClassVar[str] = "any, with sides"
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "http://casme.psych.ac.cn/casme/e2"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "Casme2Dataset":  # noqa: ARG003
        """Read the table and list the pictures.

        Raises:
            DataError: the table or the pictures are not found, or the table has other columns.
        """
        folder = require_root(root, cls.name)
        files = (path for place in folders_below(folder) for path in sorted(place.iterdir()))
        path = next((path for path in files if TABLE.fullmatch(path.name)), None)
        images = find_path(folder, *IMAGES)
        if path is None or images is None:
            raise cls.missing_error(folder, "CASME2-coding-20140508.xlsx with Cropped")
        samples, missing, unread = list[Sample](), 0, list[str]()
        for number, row in enumerate(_read_rows(path), 2):
            subject = f"sub{row['subject'].zfill(2)}"
            place = images / subject / row["filename"]
            apex = row["apexframe"].removesuffix(".0")
            picture = number_pictures(place).get(int(apex)) if apex.isdigit() else None
            seen = _parse(row["action units"], f"line {number}", unread)
            if picture is None:
                missing += 1
                continue
            label = canonical(row["estimated emotion"]) if row["estimated emotion"] else ""
            samples.append(Sample(f"{subject}/{row['filename']}/{picture}", label, place / picture, subject, seen))
        dataset = cls(split_by_subject(samples, split, f"data set {cls.name}"), split, folder)
        if unread:
            dataset.notes = (
                f"{path}: {len(unread)} rows that are not FACS text count as not coded, the first: {unread[0]}",
            )
        count_left_out(dataset, apexes=missing)
        return dataset


def _read_rows(path: Path) -> list[Mapping[str, str]]:
    """Return the cells of each row by the names in ``COLUMNS``."""
    table = read_cells(path)
    names = list(table.columns)
    wrong = [name for name, place in COLUMNS.items() if names[place : place + 1] != [name]]
    if wrong:
        place = COLUMNS[wrong[0]] + 1
        raise DataError(f"{path}, line 1: column {place} must be '{wrong[0]}', got '{', '.join(names)[:80]}'.")
    columns = [table[name].tolist() for name in COLUMNS]
    return [dict(zip(COLUMNS, cells, strict=True)) for cells in zip(*columns, strict=True) if any(cells)]


def _parse(text: str, where: str, unread: list[str]) -> CodedAUs | None:
    """Return the action units in a cell; None where it is not FACS text, of which a list takes note."""
    try:
        return parse_facs(text, where)
    except DataError as error:
        unread.append(str(error))
        return None
