"""AFEW, Acted Facial Expressions in the Wild."""

from collections.abc import Mapping
from typing import ClassVar

from interpfer.datasets.base import Dataset
from interpfer.datasets.class_clips import ClassClips


class AfewDataset(ClassClips):
    """``Train_AFEW/Angry/000046280.avi`` and ``Val_AFEW/Angry``; or folders of frames in place of the videos.

    Assumed: the names of the folders, which were not seen. The labels of the test split are not public, so ``test`` is
    an alias of ``val``.
    """

    name: ClassVar[str] = "afew"
    summary: ClassVar[str] = "AFEW: Train_AFEW/Angry/*.avi and Val_AFEW/Angry/*.avi, or folders of frames"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    aliases: ClassVar[Mapping[str, str]] = {**Dataset.aliases, "test": "val"}
    order: ClassVar[tuple[str, ...]] = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    licence: ClassVar[str] = "non-commercial research, by agreement"
    request: ClassVar[str] = "https://cs.anu.edu.au/few/AFEW.html"
    folders: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "train": ("train_afew", "train", "train_afew_processed"),
        "val": ("val_afew", "val", "validation", "val_afew_processed"),
    }
