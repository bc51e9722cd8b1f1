"""The interface of data sets: a list of samples, each an image with a class."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image

from interpfer.datasets.images import read_image, read_size
from interpfer.errors import DataError, SplitError, nearest
from interpfer.labels import sort_classes
from interpfer.landmarks.base import LandmarkProvider
from interpfer.types import Sample

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
        *(".pgm", ".ppm", ".pbm", ".pnm", ".tga", ".avif", ".avifs", ".jp2", ".j2k", ".jpf", ".jpx"),
        *(".heic", ".heif", ".hif", ".jxl", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
    }
)
"""Suffixes of images in lower case, also of formats that cannot be read: such a file is counted and named."""

ALL = "all"
"""The split of a data set without splits, in which every image belongs to every split."""

QUIET_SPLITS = ("test", ALL)
"""Splits that need no warning when a data set without splits is asked for them."""

Counts = Mapping[str, int]
"""Expression -> number of images; a published total without its classes has the key ""."""


class Dataset(ABC):
    """The samples of one split, in a fixed order.

    To add a data set, write a subclass that implements ``open``, and name it in the table of ``interpfer.datasets`` or
    in an entry point of the group ``interpfer.datasets``.

    Args:
        samples: samples in the order in which they are scored.
        split: name of the split.
        root: folder of the data set, for messages.

    Attributes:
        samples: samples in the order in which they are scored.
        split: name of the split.
        root: folder of the data set.
        classes: classes that occur: expressions in canonical order, then others by the alphabet.
        left_out: reason -> number of images that the data set lists, but that are not samples.
        notes: sentences to report with every result.
    """

    name: ClassVar[str]
    """Value of ``--dataset``."""
    summary: ClassVar[str]
    """One line for ``interpfer ls datasets``."""
    needs_root: ClassVar[bool] = True
    """Whether the user has to pass the folder of the data set."""
    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    """Names of the splits."""
    aliases: ClassVar[Mapping[str, str]] = {"training": "train", "validation": "val", "valid": "val"}
    """Other name -> split; for instance "test" if only the validation split is labelled."""
    order: ClassVar[tuple[str, ...]] = ()
    """Classes in the order in which the data set numbers them."""
    has_labels: ClassVar[bool] = True
    """Whether its images have labels of classes."""
    has_clips: ClassVar[bool] = False
    """Whether its images are sampled frames of clips; ``open`` then takes a ``sampling``, too."""
    action_units: ClassVar[str] = ""
    """Which action units it codes, and how, in a few words."""
    licence: ClassVar[str] = ""
    """Terms of use in one line."""
    request: ClassVar[str] = ""
    """Address where the data set can be requested."""
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {}
    """Split -> counts published by the authors, one for each release."""

    def __init__(self, samples: Sequence[Sample], split: str, root: str | Path | None = None) -> None:
        self.samples = tuple(samples)
        self.split = split
        self.root = None if root is None else Path(root)
        self.left_out: dict[str, int] = {}
        self.notes: tuple[str, ...] = ()
        self.classes = sort_classes(sample.label for sample in self.samples)
        if not self.samples:
            raise SplitError(f"data set {self.name}: the split '{split}' of {root} contains no images.")
        self._require_unique_ids()

    @classmethod
    @abstractmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "Dataset":
        """Read the list of samples, without opening images.

        Args:
            root: folder of the data set (``--data-root``).
            split: one of ``splits``.
            seed: random seed of synthetic data sets.

        Raises:
            DataError: the folder or the split does not exist, or a label is not the name of a class.
        """

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:  # noqa: ARG003
        """Return the splits of the data set in ``root``, for ``interpfer check-data``."""
        return cls.splits

    @classmethod
    def listing(cls) -> dict[str, str]:
        """Return column -> text for ``interpfer ls datasets``."""
        return {
            "what": cls.summary,
            "classes in order": ", ".join(cls.order) or ("by name" if cls.has_labels else "none"),
            "action units": cls.action_units or "-",
            "splits": ", ".join(cls.splits),
            "licence": cls.licence or "-",
            "requested at": cls.request,
        }

    @classmethod
    def resolve_split(cls, split: str) -> str:
        """Return the name of a split, which may be an alias.

        Raises:
            SplitError: the split is unknown.
        """
        split = cls.aliases.get(split, split)
        require_split(split, cls.splits, f"data set {cls.name}")
        return split

    @classmethod
    def missing_error(cls, root: str | Path, *expected: str) -> DataError:
        """Return the error for a folder without the expected files.

        Args:
            root: folder of the data set.
            expected: files or folders, of which one is needed.
        """
        request = f" Request it at {cls.request}" if cls.request else ""
        missing = f"neither {' nor '.join(expected)}" if len(expected) > 1 else f"no {expected[0]}"
        return DataError(f"data set {cls.name}: found {missing} in {root} or its subfolders.{request}")

    def warn_no_splits(self, split: str, why: str) -> None:
        """Add a note that all images are used, because the data set has no splits.

        Args:
            split: split that was requested.
            why: what is missing.
        """
        if split not in QUIET_SPLITS:
            self.notes = (f"{why}: all {len(self)} images are used instead of the split '{split}'.",)

    def __len__(self) -> int:
        return len(self.samples)

    def image(self, index: int) -> Image.Image:
        """Return image ``index`` as upright RGB.

        Raises:
            DataError: the image cannot be read.
        """
        path = self.samples[index].path
        assert path is not None
        return read_image(path)

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of ``image(index)``, from the header of the file where possible."""
        path = self.samples[index].path
        return self.image(index).size if path is None else read_size(path)

    def frame(self, index: int) -> tuple[int, int, int, int] | None:  # noqa: ARG002
        """Return (left, top) of ``image(index)`` in its picture, and the picture's (width, height); None for all of it.

        Truths that are given in pixels of the picture are moved by it.
        """
        return None

    def landmarks(self) -> LandmarkProvider | None:
        """Return the landmarks of the data set; None if it has none."""
        return None

    def __repr__(self) -> str:
        return f"{self.name}, split {self.split}: {len(self)} images of {len(self.classes)} classes"

    def _require_unique_ids(self) -> None:
        ids: set[str] = set()
        for sample in self.samples:
            if sample.id in ids:
                raise DataError(f"data set {self.name}: '{sample.id}' is listed twice in {self.root}.")
            ids.add(sample.id)


def require_root(root: str | Path | None, name: str) -> Path:
    """Return the folder of a data set that needs one.

    Raises:
        DataError: it was not passed, or is not a folder.
    """
    if root is None:
        raise DataError(f"data set {name} needs its folder: pass --data-root DIR.")
    folder = Path(root)
    if folder.is_file() and folder.suffix.lower() == ".zip":
        raise DataError(f"data set {name}: {folder} is a zip file; unpack it, or read it with --dataset zip.")
    if str(root).startswith(("hf:/", "hf:\\")):
        raise DataError(f"data set {name}: {root} is a data set of the hub; read it with --dataset hub.")
    if not folder.is_dir():
        raise DataError(f"data set {name}: folder not found: {folder}.")
    return folder


def require_split(split: str, known: Sequence[str], where: str) -> None:
    """Check the name of a split.

    Args:
        split: name of the split.
        known: names allowed.
        where: data set or file, for messages.

    Raises:
        SplitError: ``split`` is not one of ``known``.
    """
    if split not in known:
        raise SplitError(f"{where} has no split '{split}'.{nearest(split, known)} Known: {', '.join(known)}.")
