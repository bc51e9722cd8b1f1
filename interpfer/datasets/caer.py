"""CAER and CAER-S, emotions in the context of scenes of television shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Dataset, require_root
from interpfer.datasets.class_clips import ClassClips
from interpfer.datasets.class_folders import SPLIT_FOLDERS, find_class_folders

ORDER = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
WHOLE_SCENES = "pictures are whole scenes, which may show several people: crop the faces, or use a model of scenes"


class CaerDataset(ClassClips):
    """``train/Anger/0001.avi``, ``validation``, ``test``; the pictures are whole scenes.

    Assumed: folders ``validation`` or ``val``.
    """

    name: ClassVar[str] = "caer"
    summary: ClassVar[str] = "CAER: train/Anger/0001.avi, validation, test; whole scenes"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "non-commercial research"
    request: ClassVar[str] = "https://caer-dataset.github.io"
    folders: ClassVar[Mapping[str, tuple[str, ...]]] = SPLIT_FOLDERS

    def _notes(self) -> list[str]:
        return [WHOLE_SCENES, *super()._notes()]


class CaerSDataset(Dataset):
    """``train/Anger/0001.png`` and ``test``: single frames of CAER, whole scenes."""

    name: ClassVar[str] = "caer-s"
    summary: ClassVar[str] = "CAER-S: train/Anger/0001.png, test; whole scenes"
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "non-commercial research"
    request: ClassVar[str] = "https://caer-dataset.github.io"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "CaerSDataset":  # noqa: ARG003
        """List the folders.

        Raises:
            DataError: they are not found, or the name of one is not an expression.
        """
        folder, split = require_root(root, cls.name), cls.resolve_split(split)
        class_folders = find_class_folders(folder, SPLIT_FOLDERS[split])
        if class_folders is None:
            raise cls.missing_error(folder, f"{split}/Anger")
        dataset = cls(class_folders.samples(cls.order), split, folder)
        dataset.notes = (WHOLE_SCENES,)
        return dataset
