"""AffectNet: the manually annotated images."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.affectnet_files import Release, read_arrays, read_table
from interpfer.datasets.base import Counts, require_root
from interpfer.datasets.bundled_landmarks import BundledLandmarks
from interpfer.datasets.class_folders import SPLIT_FOLDERS, find_class_folders
from interpfer.datasets.cropped import CroppedDataset
from interpfer.datasets.discovery import find_path
from interpfer.landmarks.base import LandmarkProvider

ORDER = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
TABLES = {"train": ("training.csv", "train.csv"), "val": ("validation.csv", "val.csv", "valid.csv")}
TRAIN_COUNTS = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)


class AffectNetDataset(CroppedDataset):
    """The npy release, the older csv release, or one folder per class; eight classes.

    npy: ``val_set/images/N.jpg`` (224 px) with ``val_set/annotations/N_exp.npy`` and ``N_lnd.npy``. csv:
    ``validation.csv`` with subDirectory_filePath, face box, facial_landmarks and expression, and the pictures below
    ``Manually_Annotated_Images``; faces are cropped to their boxes. Folders: ``val/0`` to ``val/7``, or by name.
    Expressions 8 to 10 (none, uncertain, no face) are left out. The labels of the test split are not public, so
    ``test`` is an alias of ``val``. Both releases contain landmarks.

    Attributes:
        release: files of the release.
    """

    name: ClassVar[str] = "affectnet"
    summary: ClassVar[str] = "AffectNet, 8 classes: val_set/ of the npy release, validation.csv, or folders val/0 .."
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    aliases: ClassVar[Mapping[str, str]] = {**CroppedDataset.aliases, "test": "val"}
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "research only, by agreement with the supervisor's signature"
    request: ClassVar[str] = "http://mohammadmahoor.com/pages/databases/affectnet/"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {
        "train": (dict(zip(ORDER, TRAIN_COUNTS, strict=True)),),
        "val": (dict.fromkeys(ORDER, 500) | {"contempt": 499}, dict.fromkeys(ORDER, 500)),
    }
    release: Release | None = None

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "AffectNetDataset":  # noqa: ARG003
        """Read the annotations, without opening images.

        Raises:
            DataError: no release is found, or an expression is not a number from 0 to 10.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        if annotations := find_path(folder, f"{split}_set/annotations", f"{split}/annotations"):
            release = read_arrays(annotations, cls.order)
        elif table := find_path(folder, *TABLES[split]):
            release = read_table(table, folder, cls.order)
        elif class_folders := find_class_folders(folder, SPLIT_FOLDERS[split]):
            listed = class_folders.samples(ORDER)
            samples = [sample for sample in listed if sample.label in cls.order]
            other = {"of other classes": len(listed) - len(samples)} if len(samples) < len(listed) else {}
            release = Release(samples, left_out=other)
        else:
            raise cls.missing_error(
                folder,
                f"{split}_set/annotations",
                TABLES[split][0],
                f"folders {split}/0 to {split}/{len(cls.order) - 1}",
            )
        dataset = cls(release.samples, split, folder, release.boxes)
        dataset.left_out = release.left_out
        dataset.release = release
        return dataset

    def landmarks(self) -> LandmarkProvider | None:
        """Return the landmarks of the release; None for class folders."""
        if self.release is None or self.release.landmarks is None:
            return None
        return BundledLandmarks(self.release.digest(), self.release.landmarks)


class AffectNet7Dataset(AffectNetDataset):
    """AffectNet without contempt."""

    name: ClassVar[str] = "affectnet7"
    summary: ClassVar[str] = "AffectNet without contempt, 7 classes"
    order: ClassVar[tuple[str, ...]] = ORDER[:7]
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {
        "train": (dict(zip(ORDER[:7], TRAIN_COUNTS[:7], strict=True)),),
        "val": (dict.fromkeys(ORDER[:7], 500),),
    }
