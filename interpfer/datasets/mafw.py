"""MAFW, the multi-modal database of compound affect in the wild."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clip_files import Clip, Listing
from interpfer.datasets.clip_places import clip_path, find_place
from interpfer.datasets.discovery import find_path
from interpfer.datasets.folds import fold_note, fold_splits, parse_fold
from interpfer.datasets.sampling import Sampling
from interpfer.files import read_text
from interpfer.labels import CLASS_ORDERS, EXPRESSIONS, known_expression

FOLDS = 5
EXTRA = ("anxiety", "helplessness", "disappointment")


class MafwDataset(ClipDataset):
    """``single/no_caption/set_1/test.txt`` with ``00025.mp4 anger``; ``data/frames/00025`` or ``data/clips/00025.mp4``.

    Eleven classes: the eight expressions, anxiety, helplessness and disappointment, which have no action units in the
    codebooks. Frames are read where there are any, else the videos, which show more than the face. There are five
    folds, as of DFEW.
    """

    name: ClassVar[str] = "mafw"
    summary: ClassVar[str] = "MAFW, 11 classes: single/no_caption/set_1/test.txt and data/frames/00025/; fold1 .. fold5"
    any_class: ClassVar[bool] = True
    aliases: ClassVar[Mapping[str, str]] = {"training": "train"}
    order: ClassVar[tuple[str, ...]] = CLASS_ORDERS["mafw-mae-dfer"]
    licence: ClassVar[str] = "research, by agreement"
    request: ClassVar[str] = "https://mafw-database.github.io/MAFW/"
    labels: ClassVar[str] = "single"
    """Folder of the lists."""

    @classmethod
    def resolve_split(cls, split: str) -> str:
        """Return the name of a split, one of ``splits``, "all" or a fold."""
        split = cls.aliases.get(split, split)
        parse_fold(split, FOLDS, f"data set {cls.name}")
        return split

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:  # noqa: ARG003
        """Read the lists of a fold.

        Raises:
            DataError: lists or clips are not found.
        """
        place = find_place(root, "data/frames", "data/clips", "frames", "clips")
        if place is None:
            raise cls.missing_error(root, "data/frames", "data/clips")
        folds, part = parse_fold(split, FOLDS, f"data set {cls.name}")
        clips, damaged = list[Clip](), dict[str, str]()
        for fold in folds:
            path = find_path(root, f"{cls.labels}/no_caption/set_{fold}/{part}.txt")
            if path is None:
                raise cls.missing_error(root, f"{cls.labels}/no_caption/set_{fold}/{part}.txt")
            for number, line in enumerate(read_text(path).splitlines(), 1):
                words = line.split()
                if not words:
                    continue
                key, label = words[0].rpartition(".")[0] or words[0], cls.class_name(words[-1])
                if len(words) != 2 or label is None:
                    damaged[key] = f"{path}, line {number}: must be as '00025.mp4 anger', got '{line}'."
                    continue
                clips.append(Clip(key, label, clip_path(place, key)))
        return Listing(clips, split, (f"clips are read from {place.name}", fold_note(split, FOLDS)), damaged)

    @classmethod
    def class_name(cls, word: str) -> str | None:
        """Return the class that a word of a list means; None for none."""
        name = known_expression(word) or word.lower()
        return name if name in (*EXPRESSIONS, *EXTRA) else None

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:  # noqa: ARG003
        """Return the splits and folds."""
        return ("train", "test", *fold_splits(FOLDS)[1:FOLDS])


class MafwCompoundDataset(MafwDataset):
    """The same with the lists ``compound/no_caption``: also ``anger_disgust``, which is the class ``anger+disgust``.

    Parts are in the order in which the list names them.
    """

    name: ClassVar[str] = "mafw-compound"
    summary: ClassVar[str] = "MAFW with compound classes such as anger+disgust: compound/no_caption/set_1/test.txt"
    order: ClassVar[tuple[str, ...]] = ()
    labels: ClassVar[str] = "compound"

    @classmethod
    def class_name(cls, word: str) -> str | None:
        """Return the class that a word of a list means, its parts joined by +; None for none."""
        parts = [MafwDataset.class_name(part) for part in word.split("_")]
        return None if None in parts else "+".join(part for part in parts if part)
