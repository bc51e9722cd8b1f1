"""MEAD, talking faces with eight emotions at three intensities, from seven views."""

import re
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clip_files import Clip, Listing
from interpfer.datasets.clip_places import entries
from interpfer.datasets.discovery import folders_below, subfolders
from interpfer.datasets.sampling import Sampling
from interpfer.datasets.subject_splits import SUBJECT_SPLITS, split_subjects
from interpfer.labels import CLASS_ORDERS, known_expression

PERSON = re.compile(r"[MW]\d{3}")
LEVEL = re.compile(r"(?P<emotion>[a-z]+)_level_(?P<level>\d)", re.IGNORECASE)
VIEW = "front"


class MeadDataset(ClipDataset):
    """``M003/video/front/angry/level_1/001.mp4``, also ``M003/video/front/angry_level_1/001.mp4``; the front view.

    The level is an attribute. No splits are published, so the people are split, see
    ``interpfer.datasets.subject_splits``; besides ``splits`` there are ``fold1`` to ``fold10``.
    """

    name: ClassVar[str] = "mead"
    summary: ClassVar[str] = "MEAD, front view: M003/video/front/angry/level_1/001.mp4; also fold1 .. fold10"
    splits: ClassVar[tuple[str, ...]] = SUBJECT_SPLITS
    order: ClassVar[tuple[str, ...]] = CLASS_ORDERS["alphabetical8"]
    licence: ClassVar[str] = "non-commercial research"
    request: ClassVar[str] = "https://wywu.github.io/projects/MEAD/MEAD.html"

    @classmethod
    def resolve_split(cls, split: str) -> str:
        """Return the name of a split."""
        return cls.aliases.get(split, split)

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:  # noqa: ARG003
        """List the folders of the people.

        Raises:
            DataError: none is found, or the split is unknown.
        """
        places = {
            folder.name: folder / "video" / VIEW for folder in folders_below(root) if PERSON.fullmatch(folder.name)
        }
        places = {person: place for person, place in places.items() if place.is_dir()}
        if not places:
            raise cls.missing_error(root, f"M003/video/{VIEW}/angry/level_1/001.mp4")
        clips, damaged = list[Clip](), dict[str, str]()
        for person in sorted(split_subjects(sorted(places), split, f"data set {cls.name}")):
            for folder in subfolders(places[person]):
                match = LEVEL.fullmatch(folder.name)
                emotion = match["emotion"] if match else folder.name
                if known_expression(emotion) is None:
                    damaged[f"{person}/{folder.name}"] = f"{folder}: '{emotion}' is no emotion of MEAD."
                    continue
                levels = (
                    {f"level_{match['level']}": folder} if match else {each.name: each for each in subfolders(folder)}
                )
                for level, place in levels.items():
                    for path in entries(place):
                        key = f"{person}/{emotion}/{level}/{path.stem if path.is_file() else path.name}"
                        clips.append(Clip(key, emotion, path, person, {"level": level}))
        return Listing(clips, split, (), damaged)
