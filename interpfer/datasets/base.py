"""What a data set is: a list of samples, each an image with an expression."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image

from interpfer.datasets.images import read_image, read_size
from interpfer.errors import DataError, SplitError, nearest
from interpfer.labels import EXPRESSIONS
from interpfer.landmarks.base import LandmarkProvider
from interpfer.types import Sample

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})

ALL = "all"
"""The split of a data set that names none, where every image belongs to every split."""

USUAL = ("test", ALL)
"""Splits that nobody has to be told of when there are none."""

Counts = Mapping[str, int]
"""Images per expression; a total that is published without its classes stands under the name ""."""


class Dataset(ABC):
    """The samples of one split, in a fixed order.

    A data set is added by a subclass with an ``open`` of its own and a line in the table of ``interpfer.datasets``
    (or an entry point of the group ``interpfer.datasets``).

    Args:
        samples: in the order in which they are scored.
        split: the name of the split.
        root: where the data set lies, for messages.

    Attributes:
        classes: the expressions that occur, in canonical order.
        left_out: how many images the data set lists that are no sample, by reason.
        remarks: sentences that belong to every result.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for ``interpfer ls datasets``."""
    needs_root: ClassVar[bool] = True
    """Whether it lies in a folder that the user has to name."""
    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    aliases: ClassVar[Mapping[str, str]] = {"training": "train", "validation": "val", "valid": "val"}
    """Other names of splits; "test" where only the validation part is labelled, for instance."""
    order: ClassVar[tuple[str, ...]] = ()
    """The classes in the order in which the data set numbers them."""
    licence: ClassVar[str] = ""
    """One line: who may use it."""
    request: ClassVar[str] = ""
    """Where the data set is requested."""
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {}
    """Per split, the counts that its authors publish; several where several releases are around."""

    def __init__(self, samples: Sequence[Sample], split: str, root: Path | None = None) -> None:
        self.samples = tuple(samples)
        self.split = split
        self.root = root
        self.left_out: dict[str, int] = {}
        self.remarks: tuple[str, ...] = ()
        labels = {sample.label for sample in self.samples}
        self.classes = tuple(name for name in EXPRESSIONS if name in labels)
        if not self.samples:
            raise SplitError(f"data set {self.name}: the split '{split}' of {root} holds no image.")
        self._refuse_repeated_ids()

    @classmethod
    @abstractmethod
    def open(cls, root: Path | None, split: str, seed: int = 0) -> "Dataset":
        """Read the list of samples; opens no image.

        Args:
            root: the folder that the user named with ``--data-root``.
            split: one of ``splits``.
            seed: for data sets that draw their images.

        Raises:
            DataError: the folder or the split is not there, or a label is no expression.
        """

    @classmethod
    def available(cls, root: Path | None) -> tuple[str, ...]:  # noqa: ARG003
        """Return the splits that a check of the data set at ``root`` goes through."""
        return cls.splits

    @classmethod
    def listing(cls) -> dict[str, str]:
        """Return what ``interpfer ls datasets`` says, column -> text."""
        return {
            "what": cls.summary,
            "classes in order": ", ".join(cls.order) or "by name",
            "splits": ", ".join(cls.splits),
            "licence": cls.licence or "-",
            "requested at": cls.request,
        }

    @classmethod
    def resolve(cls, split: str) -> str:
        """Return the split that ``split`` or an alias names.

        Raises:
            DataError: there is no such split.
        """
        split = cls.aliases.get(split, split)
        require_split(split, cls.splits, f"data set {cls.name}")
        return split

    @classmethod
    def missing(cls, root: Path, *looked_for: str) -> DataError:
        """Return the error that says what was looked for and where the data set is requested."""
        request = f" It is requested at {cls.request}" if cls.request else ""
        return DataError(
            f"data set {cls.name}: found neither {' nor '.join(looked_for)} in {root} or the folders below it.{request}"
            if len(looked_for) > 1
            else f"data set {cls.name}: found no {looked_for[0]} in {root} or the folders below it.{request}"
        )

    def warn_no_splits(self, split: str, why: str) -> None:
        """Say that all images are used where a part of a data set without parts was asked for."""
        if split not in USUAL:
            self.remarks = (f"{why}: all {len(self)} images are used where the split '{split}' was asked for.",)

    def __len__(self) -> int:
        return len(self.samples)

    def image(self, index: int) -> Image.Image:
        """Return image ``index`` as RGB, upright.

        Raises:
            DataError: it is not a readable image.
        """
        path = self.samples[index].path
        assert path is not None
        return read_image(path)

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of what ``image`` returns, without decoding the picture where a header tells."""
        path = self.samples[index].path
        return self.image(index).size if path is None else read_size(path)

    def landmarks(self) -> LandmarkProvider | None:
        """Return the landmarks that the data set brings, or None."""
        return None

    def __repr__(self) -> str:
        return f"{self.name}, split {self.split}: {len(self)} images of {len(self.classes)} classes"

    def _refuse_repeated_ids(self) -> None:
        seen: set[str] = set()
        for sample in self.samples:
            if sample.id in seen:
                raise DataError(f"data set {self.name}: '{sample.id}' is listed twice in {self.root}.")
            seen.add(sample.id)


def require_root(root: Path | None, name: str) -> Path:
    """Return the folder of a data set that must have one.

    Raises:
        DataError: none was named, or it is no folder.
    """
    if root is None:
        raise DataError(f"data set {name} needs the folder it lies in: --data-root DIR.")
    if not root.is_dir():
        raise DataError(f"data set {name}: there is no folder {root}.")
    return root


def require_split(split: str, known: Sequence[str], where: str) -> None:
    """Check the name of a split.

    Raises:
        SplitError: ``split`` is none of ``known``.
    """
    if split not in known:
        raise SplitError(f"{where} has no split '{split}'.{nearest(split, known)} It has: {', '.join(known)}.")
