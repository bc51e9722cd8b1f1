"""DFEW, Dynamic Facial Expression in-the-Wild."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clip_files import Clip, Listing
from interpfer.datasets.clip_places import clip_path, find_place
from interpfer.datasets.csv import read_table
from interpfer.datasets.discovery import find_path
from interpfer.datasets.folds import fold_note, fold_splits, parse_fold
from interpfer.datasets.sampling import Sampling
from interpfer.files import bounded_integer

FOLDS = 5
PLACES = ("clip_224x224", "jpg_256", "clip_224x224_16f", "clip_224x224_avi", "original")
"""Folders of the clips below ``Clip``, the ones that are looked for first."""


class DfewDataset(ClipDataset):
    """``EmoLabel_DataSplit/test(single-labeled)/set_1.csv`` (video_name, label) and ``Clip/clip_224x224/00001``.

    ``jpg_256``, ``clip_224x224_16f`` (16 frames that are spread over each clip, which S2D reads) and videos
    (``clip_224x224_avi``, ``original``) are read where the first is not there; with the sampling ``s2d`` the one with
    16 frames is read first. Labels 1 to 7 are happy, sad, neutral, angry, surprise, disgust, fear. There are five
    folds: ``fold1`` to ``fold5`` are what they test on, ``fold1-train`` .. what they train on.
    """

    name: ClassVar[str] = "dfew"
    summary: ClassVar[str] = "DFEW: EmoLabel_DataSplit/ and Clip/clip_224x224/00001/*.jpg; also fold1 .. fold5"
    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    aliases: ClassVar[Mapping[str, str]] = {"training": "train"}
    order: ClassVar[tuple[str, ...]] = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")
    licence: ClassVar[str] = "research, by agreement"
    request: ClassVar[str] = "https://dfew-dataset.github.io"

    @classmethod
    def resolve_split(cls, split: str) -> str:
        """Return the name of a split, one of ``splits``, "all" or a fold."""
        split = cls.aliases.get(split, split)
        parse_fold(split, FOLDS, f"data set {cls.name}")
        return split

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:
        """Read the lists of a fold.

        Raises:
            DataError: lists or clips are not found, or a list has other columns.
        """
        places = sorted(PLACES, key=lambda name: not name.endswith("16f")) if sampling.name == "s2d" else PLACES
        place = find_place(root, *(f"Clip/{name}" for name in places), *places)
        if place is None:
            raise cls.missing_error(root, *(f"Clip/{name}" for name in PLACES))
        folds, part = parse_fold(split, FOLDS, f"data set {cls.name}")
        clips, damaged = list[Clip](), dict[str, str]()
        for fold in folds:
            folder = f"EmoLabel_DataSplit/{part}(single-labeled)"
            names = [f"{folder}/set_{fold}.csv", f"{folder}/{part}_set_{fold}.csv"]
            path = find_path(root, *names, f"EmoLabel_DataSplit/{part}/set_{fold}.csv")
            if path is None:
                raise cls.missing_error(root, names[0])
            table = read_table(path, cls.name, "video_name and label")
            for column in ("video_name", "label"):
                if column not in table:
                    raise cls.missing_error(path, f"column {column}")
            for line, name, label in zip(table.index + 2, table["video_name"], table["label"], strict=True):
                key = name.strip().zfill(5)
                if not (label.strip().isdecimal() and 1 <= bounded_integer(label) <= len(cls.order)):
                    damaged[key] = f"{path}, line {line}: the label must be from 1 to {len(cls.order)}, got '{label}'."
                    continue
                clips.append(Clip(key, cls.order[bounded_integer(label) - 1], clip_path(place, key)))
        notes = (f"clips are read from {place.name}", fold_note(split, FOLDS))
        return Listing(clips, split, notes, damaged)

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:  # noqa: ARG003
        """Return the splits and folds."""
        return ("train", "test", *fold_splits(FOLDS)[1:FOLDS])
