"""KDEF, the Karolinska Directed Emotional Faces."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Counts, Dataset, require_root
from interpfer.datasets.discovery import folders_below, image_names
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_by_subject
from interpfer.types import Sample

CODES = {
    "AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness", "NE": "neutral", "SA": "sadness", "SU": "surprise",
}  # fmt: skip
NAME = re.compile(r"[AB]([FM]\d\d)(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)\.\w+$", re.IGNORECASE)


class KdefDataset(Dataset):
    """Files named ``AF01ANS.JPG``, in one folder or in a folder per person.

    The name is: session A or B, sex, person 01 to 35, expression (AF afraid, AN, DI, HA, NE, SA, SU), view (S straight,
    HL and HR half profiles, FL and FR full profiles). Only straight views are samples, since 68 landmarks need both
    halves of a face. A subject is sex and person, the same in both sessions.

    Assumed: 140 straight views per expression (70 people, two sessions); other files are ignored. No splits are
    published, so the subjects are split, see ``interpfer.datasets.subject_splits``; besides ``splits`` there are
    ``fold1`` to ``fold10``.

    Attributes:
        views: views that are samples.
    """

    name: ClassVar[str] = "kdef"
    summary: ClassVar[str] = "KDEF, straight views: AF01ANS.JPG, in any subfolder; also fold1 .. fold10"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    order: ClassVar[tuple[str, ...]] = tuple(CODES.values())
    licence: ClassVar[str] = "non-commercial research; no redistribution"
    request: ClassVar[str] = "https://kdef.se/"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {"all": (dict.fromkeys(CODES.values(), 140),)}
    views: ClassVar[tuple[str, ...]] = ("S",)

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "KdefDataset":  # noqa: ARG003
        """List the files.

        Raises:
            DataError: no file has such a name.
        """
        folder = require_root(root, cls.name)
        samples, profiles = [], 0
        for subfolder in folders_below(folder):
            for name in image_names(subfolder):
                if match := NAME.match(name):
                    subject, code, view = (group.upper() for group in match.groups())
                    if view in cls.views:
                        samples.append(Sample(name, CODES[code], subfolder / name, subject))
                    else:
                        profiles += 1
        if not samples:
            raise cls.missing_error(folder, "straight views such as AF01ANS.JPG")
        samples.sort(key=lambda sample: sample.id)
        dataset = cls(split_by_subject(samples, split, f"data set {cls.name}"), split, folder)
        if profiles and split == "all":
            dataset.left_out = {"half and full profiles": profiles}
        return dataset
