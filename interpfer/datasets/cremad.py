"""CREMA-D, the crowd-sourced emotional multimodal actors dataset."""

import re
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clip_files import Clip, Listing
from interpfer.datasets.clip_places import entries, find_place
from interpfer.datasets.csv import read_table
from interpfer.datasets.discovery import find_path
from interpfer.datasets.sampling import Sampling
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_subjects
from interpfer.labels import CLASS_ORDERS

FILE = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{2})", re.IGNORECASE)
CLASSES = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
VOTES = {name[0]: label for name, label in CLASSES.items()}
NO_VOTE = "clips whose viewers did not agree on a face"


class CremaDDataset(ClipDataset):
    """``VideoFlash/1001_IEO_NEU_XX.flv``: actor, sentence, intended emotion, intensity.

    Labels are what the actors were to show, not what viewers saw. No splits are published, so the actors are split, see
    ``interpfer.datasets.subject_splits``; besides ``splits`` there are ``fold1`` to ``fold10``.
    """

    name: ClassVar[str] = "crema-d"
    summary: ClassVar[str] = "CREMA-D, intended emotions: VideoFlash/1001_IEO_NEU_XX.flv; also fold1 .. fold10"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    order: ClassVar[tuple[str, ...]] = CLASS_ORDERS["crema-d"]
    licence: ClassVar[str] = "ODbL 1.0"
    request: ClassVar[str] = "https://github.com/CheyneyComputerScience/CREMA-D"

    @classmethod
    def resolve_split(cls, split: str) -> str:
        """Return the name of a split."""
        return cls.aliases.get(split, split)

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:  # noqa: ARG003
        """List the videos.

        Raises:
            DataError: they are not found, or the split is unknown.
        """
        place = find_place(root, "VideoFlash", "VideoMP4", "VideoMp4")
        if place is None:
            raise cls.missing_error(root, "VideoFlash/1001_IEO_NEU_XX.flv")
        clips, damaged, labels, unsure = list[Clip](), dict[str, str](), cls.labels(root), 0
        for path in entries(place):
            key = path.stem if path.is_file() else path.name
            match = FILE.fullmatch(key)
            if match is None or match[3].upper() not in CLASSES:
                damaged[key] = f"{path}: must be named as 1001_IEO_NEU_XX.flv."
                continue
            label = CLASSES[match[3].upper()] if labels is None else labels.get(key.upper(), "")
            unsure += not label
            attributes = {"sentence": match[2].upper(), "intensity": LEVELS.get(match[4].upper(), match[4])}
            clips += [Clip(key, label, path, match[1], attributes)] if label else []
        actors = split_subjects(sorted({clip.subject or "" for clip in clips}), split, f"data set {cls.name}")
        chosen = [clip for clip in clips if clip.subject in actors]
        return Listing(chosen, split, (), damaged, {NO_VOTE: unsure} if unsure else {})

    @classmethod
    def labels(cls, root: Path) -> dict[str, str] | None:  # noqa: ARG003
        """Return clip -> class where that is not the intended emotion; None where it is."""
        return None


class CremaDPerceivedDataset(CremaDDataset):
    """The same with what most viewers saw in the face: the column FaceVote of ``processedResults/summaryTable.csv``.

    Clips with a tie (``A:D``) are left out. Assumed: the columns FileName and FaceVote, and letters A, D, F, H, N, S.
    """

    name: ClassVar[str] = "crema-d-perceived"
    summary: ClassVar[str] = "CREMA-D, what viewers saw in the face: processedResults/summaryTable.csv"

    @classmethod
    def labels(cls, root: Path) -> dict[str, str]:
        """Read the votes.

        Raises:
            DataError: the table or a column is not found.
        """
        path = find_path(root, "processedResults/summaryTable.csv", "summaryTable.csv")
        if path is None:
            raise cls.missing_error(root, "processedResults/summaryTable.csv")
        table = read_table(path, cls.name, "FileName and FaceVote")
        for column in ("FileName", "FaceVote"):
            if column.lower() not in table:
                raise cls.missing_error(path, f"column {column}")
        votes = zip(table["filename"], table["facevote"], strict=True)
        return {
            name.strip().upper(): VOTES[vote.strip().upper()] for name, vote in votes if vote.strip().upper() in VOTES
        }
