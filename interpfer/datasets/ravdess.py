"""RAVDESS, emotional speech and song of 24 actors."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import ALL, require_split
from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clip_files import Clip, Listing
from interpfer.datasets.clip_places import entries
from interpfer.datasets.discovery import folders_below
from interpfer.datasets.sampling import Sampling
from interpfer.labels import CLASS_ORDERS

FILE = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
ACTOR = re.compile(r"Actor_(\d\d)", re.IGNORECASE)
SOUND_ONLY, SONG = "03", "02"
FOLDS, PER_FOLD = 6, 4
INTENSITY = {"01": "normal", "02": "strong"}


class RavdessDataset(ClipDataset):
    """``Actor_05/01-01-03-02-01-01-05.mp4``, or a folder of frames of that name.

    The fields are modality (01 with sound, 02 without; one of both is read), speech or song, emotion, intensity,
    statement, repetition and actor. Speech is read; the split ``all-song`` has the songs. ``calm`` is a class of its
    own, never neutral. Folds are those of MAE-DFER: ``fold1`` tests actors 1 to 4, ``fold2`` 5 to 8, up to ``fold6``;
    ``test`` is ``fold1``, ``train`` the others. Assumed: only the first of these folds was seen.
    """

    name: ClassVar[str] = "ravdess"
    summary: ClassVar[str] = "RAVDESS, 8 classes with calm: Actor_05/01-01-03-02-01-01-05.mp4; also fold1 .. fold6"
    any_class: ClassVar[bool] = True
    splits: ClassVar[tuple[str, ...]] = ("train", "test", ALL)
    aliases: ClassVar[Mapping[str, str]] = {"training": "train"}
    order: ClassVar[tuple[str, ...]] = CLASS_ORDERS["ravdess"]
    licence: ClassVar[str] = "CC BY-NC-SA 4.0"
    request: ClassVar[str] = "https://zenodo.org/records/1188976"

    @classmethod
    def resolve_split(cls, split: str) -> str:
        """Return the name of a split, one of ``splits``, a fold or "all-song"."""
        split = cls.aliases.get(split, split)
        folds = tuple(f"fold{i + 1}" for i in range(FOLDS))
        require_split(split, (*cls.splits, *folds, "all-song"), f"data set {cls.name}")
        return split

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:  # noqa: ARG003
        """List the folders of the actors.

        Raises:
            DataError: none is found.
        """
        folders = [folder for folder in folders_below(root) if ACTOR.fullmatch(folder.name)]
        if not folders:
            raise cls.missing_error(root, "Actor_01/01-01-01-01-01-01-01.mp4")
        clips, damaged = dict[str, Clip](), dict[str, str]()
        for path in (path for folder in folders for path in entries(folder)):
            key = f"{path.parent.name}/{path.stem if path.is_file() else path.name}"
            match = FILE.fullmatch(key.rpartition("/")[2])
            if match is None or not 1 <= int(match[3]) <= len(cls.order):
                damaged[key] = f"{path}: must be named as 01-01-03-02-01-01-05.mp4."
                continue
            kind, channel, emotion, intensity, *_, actor = match.groups()
            if kind == SOUND_ONLY or (channel == SONG) != (split == "all-song") or not _is_in(int(actor), split):
                continue
            attributes = {"intensity": INTENSITY.get(intensity, intensity)}
            clip = Clip(key, cls.order[int(emotion) - 1], path, f"actor {actor}", attributes)
            clips.setdefault(f"{actor}/{match[0][3:]}", clip)
        return Listing(list(clips.values()), split, (), damaged)

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:  # noqa: ARG003
        """Return train and test."""
        return ("train", "test")


def _is_in(actor: int, split: str) -> bool:
    """Return whether an actor belongs to a split."""
    if split.startswith(ALL):
        return True
    fold = 1 if split in ("train", "test") else int(split.removeprefix("fold"))
    return ((actor - 1) // PER_FOLD == fold - 1) != (split == "train")
