"""SFEW 2.0, Static Facial Expressions in the Wild."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Counts, Dataset, require_root
from interpfer.datasets.class_folders import find_class_folders

FOLDERS = {
    "train": ("train", "train_aligned_faces", "train_aligned"),
    "val": ("val", "val_aligned_faces", "val_aligned", "validation"),
}


class SfewDataset(Dataset):
    """Folders per class, ``Train/Angry`` and ``Val/Angry``, or for aligned faces ``Train_Aligned_Faces/Angry``.

    Assumed: class folders have names (numbers would be taken as alphabetical), and the totals are those of version 2.0.
    The labels of the test split are not public, so ``test`` is an alias of ``val``.
    """

    name: ClassVar[str] = "sfew"
    summary: ClassVar[str] = "SFEW 2.0: Train/Angry, Val/Angry .., or Train_Aligned_Faces/Angry .."
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    aliases: ClassVar[Mapping[str, str]] = {**Dataset.aliases, "test": "val"}
    order: ClassVar[tuple[str, ...]] = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "https://cs.anu.edu.au/few/AFEW.html"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {
        "train": ({"": 958}, {"": 891}),
        "val": ({"": 436}, {"": 431}),
    }

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "SfewDataset":  # noqa: ARG003
        """List the folders.

        Raises:
            DataError: they are not found, or the name of one is not an expression.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        class_folders = find_class_folders(folder, FOLDERS[split])
        if class_folders is None:
            raise cls.missing_error(folder, f"{split.title()}/Angry", f"{split.title()}_Aligned_Faces/Angry")
        return cls(class_folders.samples(cls.order), split, folder)
