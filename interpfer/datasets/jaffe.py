"""JAFFE, Japanese Female Facial Expression."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Counts, Dataset, require_root
from interpfer.datasets.discovery import folders_below, image_names
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_by_subject
from interpfer.types import Sample

CODES = {
    "AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral", "SA": "sadness", "SU": "surprise",
}  # fmt: skip
COUNTS = (30, 29, 32, 31, 30, 31, 30)
NAME = re.compile(r"([A-Z]{2})\.(AN|DI|FE|HA|NE|SA|SU)\d*\.\d+\.\w+$", re.IGNORECASE)


class JaffeDataset(Dataset):
    """Files named ``KA.AN1.39.tiff``, in any subfolder.

    The name is: person (one of ten), expression and take, number of the picture.

    Assumed: the counts per expression are those of the common release of 213 pictures. No splits are published, so the
    subjects are split, see ``interpfer.datasets.subject_splits``; besides ``splits`` there are ``fold1`` to ``fold10``,
    one person each.
    """

    name: ClassVar[str] = "jaffe"
    summary: ClassVar[str] = "JAFFE: KA.AN1.39.tiff, in any subfolder; also fold1 .. fold10, one person each"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    order: ClassVar[tuple[str, ...]] = tuple(CODES.values())
    licence: ClassVar[str] = "non-commercial research, by request"
    request: ClassVar[str] = "https://zenodo.org/record/3451524"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {"all": (dict(zip(CODES.values(), COUNTS, strict=True)),)}

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "JaffeDataset":  # noqa: ARG003
        """List the files.

        Raises:
            DataError: no file has such a name.
        """
        folder = require_root(root, cls.name)
        samples = [
            Sample(name, CODES[match[2].upper()], subfolder / name, match[1].upper())
            for subfolder in folders_below(folder)
            for name in image_names(subfolder)
            if (match := NAME.match(name))
        ]
        if not samples:
            raise cls.missing_error(folder, "images such as KA.AN1.39.tiff")
        samples.sort(key=lambda sample: sample.id)
        return cls(split_by_subject(samples, split, f"data set {cls.name}"), split, folder)
