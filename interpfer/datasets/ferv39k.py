"""FERV39k, facial expressions in videos of 22 kinds of scenes."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clip_files import Clip, Listing
from interpfer.datasets.clip_places import clip_path, find_place
from interpfer.datasets.discovery import find_path
from interpfer.datasets.sampling import Sampling
from interpfer.files import read_text

PLACES = ("2_ClipsforFaceCrop", "2_ClipsForFaceCrop")


class Ferv39kDataset(ClipDataset):
    """``4_setups/All_scenes/test_All.csv`` with ``Action/Happy/0015 Happy``; ``2_ClipsforFaceCrop/Action/Happy/0015``.

    Labels are words, so no order of numbers is assumed. The scene is an attribute.
    """

    name: ClassVar[str] = "ferv39k"
    summary: ClassVar[str] = "FERV39k: 4_setups/All_scenes/test_All.csv and 2_ClipsforFaceCrop/Action/Happy/0015/*.jpg"
    aliases: ClassVar[Mapping[str, str]] = {"training": "train"}
    order: ClassVar[tuple[str, ...]] = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")
    licence: ClassVar[str] = "research, by request from a university"
    request: ClassVar[str] = "https://wangyanckxx.github.io/Proj_CVPR2022_FERV39k.html"

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:  # noqa: ARG003
        """Read the list of a split.

        Raises:
            DataError: list or clips are not found.
        """
        name = f"{split}_All.csv"
        path = find_path(root, f"4_setups/All_scenes/{name}", f"All_scenes/{name}", name)
        place = find_place(root, *PLACES)
        if path is None or place is None:
            raise cls.missing_error(root, f"4_setups/All_scenes/{name}" if path is None else PLACES[0])
        inner = place / place.name  # as some archives unpack
        place = inner if inner.is_dir() else place
        clips, damaged = list[Clip](), dict[str, str]()
        for number, line in enumerate(read_text(path).splitlines(), 1):
            words = line.split()
            if not words:
                continue
            if len(words) != 2 or words[0].count("/") < 2:
                damaged[words[0]] = f"{path}, line {number}: must be as 'Action/Happy/0015 Happy', got '{line}'."
                continue
            clips.append(Clip(words[0], words[1], clip_path(place, words[0]), None, {"scene": words[0].split("/")[0]}))
        return Listing(clips, split, (), damaged)
