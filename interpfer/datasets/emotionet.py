"""EmotioNet, the part whose action units were coded by hand."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from interpfer.datasets.base import Dataset, require_root
from interpfer.datasets.coded import LARGEST_CODE, MISSING, UNGRADED, code_rows, require_codes
from interpfer.datasets.discovery import folders_below, image_names
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_by_picture
from interpfer.datasets.xlsx import read_cells
from interpfer.errors import DataError
from interpfer.files import bounded_integer
from interpfer.types import Sample

TABLE = re.compile(r"EmotioNet_FACS.*\.(csv|xlsx)", re.IGNORECASE)
URL = "url"
AU = re.compile(r"au\s*0*(\d+)")
NOT_CODED = 999


class EmotioNetDataset(Dataset):
    """``EmotioNet_FACS_aws_2020_24600.csv`` or ``.xlsx``, and the pictures under the last part of their addresses.

    Headers and cells have quotes and blanks inside: ``'URL'``, ``'URL orig'``, ``'AU 1'`` to ``'AU 60'``; 0 and 1 are
    absent and present, 999 is not coded. A picture is looked for by its name in all folders; the many that cannot be
    downloaded any more are left out and counted. There are no expressions, and it is not known who is on a picture. The
    tables that were labelled by a machine are not read.

    Assumed: the columns, as in public loaders. No splits are published: ``test`` is every fifth picture of the sorted
    list, ``train`` the others, and ``all`` both.
    """

    name: ClassVar[str] = "emotionet"
    summary: ClassVar[str] = "EmotioNet, coded by hand: EmotioNet_FACS_aws_2020_24600.csv and pictures in any folder"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    has_labels: ClassVar[bool] = False
    action_units: ClassVar[str] = "those of the table, present or absent"
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "https://cbcsl.ece.ohio-state.edu/enc-2020/"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "EmotioNetDataset":  # noqa: ARG003
        """Read the table and look for the pictures.

        Raises:
            DataError: the table or all pictures are missing, or a row is malformed.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        path, pictures = _search(folder)
        if path is None:
            raise cls.missing_error(folder, "EmotioNet_FACS_aws_2020_24600.csv", "EmotioNet_FACS_aws_2020_24600.xlsx")
        table = read_cells(path)
        columns = {bounded_integer(match[1]): name for name in table.columns if (match := AU.fullmatch(name))}
        if URL not in table or not columns or max(columns) > LARGEST_CODE:
            raise DataError(
                f"{path}, line 1: the columns must be 'URL' and 'AU 1' to 'AU 60', got "
                f"'{', '.join(table.columns)[:80]}'; lists without a header, labelled by a machine, are not read."
            )
        aus, rows = tuple(sorted(columns)), [f"line {i + 2}" for i in range(len(table))]
        codes = table[[columns[au] for au in aus]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
        require_codes(codes, (0, 1, NOT_CODED), str(path), rows)
        coded = code_rows(np.select([codes == NOT_CODED, codes == 1], [MISSING, UNGRADED], 0.0), aus)
        samples, left_out = dict[str, Sample](), dict[str, int]()
        for url, seen in zip(table[URL], coded, strict=True):
            name = url.rstrip("/").rpartition("/")[2]
            reason = "listed more than once" if name in samples else "" if name in pictures else "picture not found"
            if reason or seen is None:
                left_out[reason or "not coded"] = left_out.get(reason or "not coded", 0) + 1
            else:
                samples[name] = Sample(name, "", pictures[name], None, seen)
        dataset = cls(split_by_picture(list(samples.values()), split, f"data set {cls.name}"), split, folder)
        dataset.left_out = left_out
        return dataset


def _search(root: Path) -> tuple[Path | None, Mapping[str, Path]]:
    """Return the table, and name -> picture of all pictures below a folder, the nearest first."""
    found, pictures = None, dict[str, Path]()
    for folder in folders_below(root):
        found = found or next((path for path in sorted(folder.iterdir()) if TABLE.fullmatch(path.name)), None)
        for name in image_names(folder):
            pictures.setdefault(name, folder / name)
    return found, pictures
