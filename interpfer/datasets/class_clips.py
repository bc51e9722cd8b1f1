"""Data sets of clips in one folder per class, in one folder per split."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.class_folders import find_class_folders
from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clip_files import Clip, Listing
from interpfer.datasets.clip_places import entries
from interpfer.datasets.sampling import Sampling


class ClassClips(ClipDataset):
    """``SPLIT/CLASS/CLIP``, where a clip is a video or a folder of frames; a name of no class is counted as damaged."""

    folders: ClassVar[Mapping[str, tuple[str, ...]]]
    """Split -> names of its folder, in lower case."""

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:  # noqa: ARG003
        """List the folders of a split.

        Raises:
            DataError: they are not found.
        """
        found = find_class_folders(root, cls.folders[split])
        if found is None:
            raise cls.missing_error(root, *(f"{name}/Angry" for name in cls.folders[split]))
        clips = [
            Clip(f"{folder.name}/{path.stem if path.is_file() else path.name}", folder.name, path)
            for folder in found.classes
            for path in entries(folder)
        ]
        return Listing(clips, split)
