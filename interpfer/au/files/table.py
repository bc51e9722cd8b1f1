"""Action units by the name of the image."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from interpfer.types import CodedAUs


@dataclass(frozen=True)
class AUTable:
    """Action units by image.

    Attributes:
        codes: name of an image as written -> its action units; None where it is listed and not coded.
        program: what wrote the file.
        rule: what decides whether an action unit is present.
        notes: what a reader of scores with these action units has to know, a line each.
        by_name: last part of a name, with and without its ending -> the names that have it.
    """

    codes: Mapping[str, CodedAUs | None]
    program: str = ""
    rule: str = ""
    notes: tuple[str, ...] = ()
    by_name: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        found: dict[str, tuple[str, ...]] = {}
        for key in self.codes:
            path = PurePosixPath(key)
            for name in {path.name, path.stem}:
                found[name] = (*found.get(name, ()), key)
        object.__setattr__(self, "by_name", found)

    def find(self, image: str) -> CodedAUs | None:
        """Return the action units of an image; None where it is not listed or not coded.

        The file may name an image without its ending, and with fewer or more of its folders, as long as the name is of
        one image alone.
        """
        key = self._key(image)
        return None if key is None else self.codes[key]

    def unlisted(self, images: Iterable[str]) -> list[str]:
        """Return the images that the file does not list."""
        return [image for image in images if self._key(image) is None]

    def _key(self, image: str) -> str | None:
        """Return the name of an image in the file; None if it does not list it."""
        path = PurePosixPath(image.replace("\\", "/"))
        for name in (path, path.with_suffix("")):
            if str(name) in self.codes:
                return str(name)
        keys = self.by_name.get(path.name) or self.by_name.get(path.stem, ())
        if len(keys) > 1:
            keys = tuple(key for key in keys if _is_of(key, path))
        return keys[0] if len(keys) == 1 else None


def _is_of(key: str, path: PurePosixPath) -> bool:
    """Return whether a name with folders ends in another one, endings aside."""
    own, other = PurePosixPath(key).with_suffix("").parts, path.with_suffix("").parts
    shorter = min(len(own), len(other))
    return shorter > 1 and own[-shorter:] == other[-shorter:]
