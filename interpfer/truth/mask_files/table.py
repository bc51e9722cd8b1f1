"""The masks of a file or folder by image and class, and how the names of images and classes are matched."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from interpfer.errors import DataError
from interpfer.labels import canonical
from interpfer.truth.mask_files.shapes import Shape
from interpfer.types import Sample

IGNORE = "ignore"
"""Name in place of a class for the pixels that count neither way."""

EVERY_IMAGE = "*"
"""Name in place of an image for a mask of all images."""

SAME_CLASS = {"airspace opacity": "lung opacity"}
"""Spelling of a class -> the one under which it is matched: the code and the text of CheXlocalize differ."""


def class_key(name: str) -> str:
    """Return what two spellings of a class have in common; "" for any class.

    Examples:
        >>> class_key(" Happy "), class_key("Lung Opacity")
        ('happiness', 'lung opacity')
    """
    key = name.strip().lower()
    with suppress(DataError):
        key = canonical(name) if key else ""
    return SAME_CLASS.get(key, key)


@dataclass(frozen=True)
class Entry:
    """A mask.

    Attributes:
        image: name of the image as written, with slashes; ``EVERY_IMAGE`` for all.
        group: key of its class; "" for any, ``IGNORE`` for pixels to ignore.
        shape: the mask itself.
        alias: further name of the image under which it is a mask of any class; "" for none.
    """

    image: str
    group: str
    shape: Shape
    alias: str = ""


@dataclass(frozen=True)
class MaskTable:
    """Masks in the order of their file.

    Attributes:
        entries: all masks.
        exact: name of an image, with and without its ending -> its masks, each with the key of its class.
        tails: end of a name -> the names that end so.
    """

    entries: tuple[Entry, ...]
    exact: dict[str, list[tuple[str, Entry]]] = field(init=False, default_factory=dict, repr=False)
    tails: dict[str, set[str]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for entry in self.entries:
            for name in _spellings(entry.image):
                self.exact.setdefault(name, []).append((entry.group, entry))
            if entry.alias:
                group = IGNORE if entry.group == IGNORE else ""
                for name in _spellings(entry.alias):
                    self.exact.setdefault(name, []).append((group, entry))
            for tail in {PurePosixPath(name).name for name in _spellings(entry.image)}:
                self.tails.setdefault(tail, set()).add(_spellings(entry.image)[0])

    def image_of(self, sample: str) -> str | None:
        """Return the name under which the masks of an image are listed; None where it has none.

        A name matches with or without its ending; else its last part does where it is of one image alone, as do its
        parts joined by ``_`` (the ids of CheXlocalize).
        """
        spellings = _spellings(sample)
        for name in spellings:
            if name in self.exact:
                return name
        tails = [PurePosixPath(name).name for name in spellings]
        parts = PurePosixPath(spellings[-1]).parts
        tails += ["_".join(parts[start:]) for start in range(len(parts) - 1)]
        for tail in tails:
            images = self.tails.get(tail, set())
            if len(images) == 1:
                return next(iter(images))
        return None

    @property
    def groups(self) -> set[str]:
        """Keys of the classes that masks are of."""
        return {entry.group for entry in self.entries} - {"", IGNORE}

    def find(self, sample: Sample) -> tuple[Entry, ...]:
        """Return the masks of a sample's class, those of any class, and the pixels to ignore."""
        image, label = self.image_of(sample.id), class_key(sample.label)
        listed = [*(self.exact[image] if image is not None else ()), *self.exact.get(EVERY_IMAGE, ())]
        found = [entry for group, entry in listed if group in ("", IGNORE) or group == label]
        return tuple(dict.fromkeys(found))

    def without_image(self, samples: Iterable[Sample]) -> tuple[str, ...]:
        """Return the names of images that have masks and are none of the samples."""
        used = {entry.image for sample in samples for entry in self._listed(sample)}
        return tuple(dict.fromkeys(e.image for e in self.entries if e.image not in used and e.image != EVERY_IMAGE))

    def require_unambiguous(self, samples: Sequence[Sample], where: str) -> None:
        """Check that no two samples share the masks of one name that is the end of theirs.

        Raises:
            DataError: two do; the message names them.
        """
        taken: dict[str, str] = {}
        for sample in samples:
            image = self.image_of(sample.id)
            if image is None or image in _spellings(sample.id):
                continue
            other = taken.setdefault(image, sample.id)
            if other != sample.id and not self._is_of_classes(image):
                raise DataError(
                    f"{where}: the mask of '{image}' could be of {other} and of {sample.id}; name it as one of them."
                )

    def _is_of_classes(self, image: str) -> bool:
        """Return whether all masks of a name are of a class, whose samples then have names of their own."""
        return all(group for group, _ in self.exact[image])

    def _listed(self, sample: Sample) -> Iterator[Entry]:
        image = self.image_of(sample.id)
        return (entry for _, entry in self.exact.get(image or "", ()))


def _spellings(image: str) -> tuple[str, ...]:
    """Return a name with slashes, and without its ending."""
    path = PurePosixPath(image.replace("\\", "/"))
    return tuple(dict.fromkeys((str(path), str(path.with_suffix("")) if path.name else str(path))))
