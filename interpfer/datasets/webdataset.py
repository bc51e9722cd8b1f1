"""WebDataset: tar archives whose members of one name are a picture and its label."""

import sys
import tarfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import ALL, require_root, require_split
from interpfer.datasets.stored import StoredDataset, split_of
from interpfer.errors import DataError
from interpfer.files import bounded_integer, parse_json, read_text
from interpfer.labels import canonical
from interpfer.types import Sample

PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "ppm")
LABELS = ("cls", "label", "txt")
CLASS_NAMES = ("classnames.txt", "classes.txt")
LONGEST_LABEL = 100_000
"""Bytes of the longest member that is read as a label."""


class _Places:
    """Where the bytes of each picture lie, as arrays: a tuple of each would take five times the memory."""

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._path, self._start, self._length = array("q"), array("q"), array("q")

    def add(self, path: Path, start: int, length: int) -> None:
        """Add a picture: its archive, its first byte there and their number."""
        if not self._paths or self._paths[-1] != path:
            self._paths.append(path)
        self._path.append(len(self._paths) - 1)
        self._start.append(start)
        self._length.append(length)

    def __getitem__(self, index: int) -> tuple[Path, int, int]:
        """Return what was added."""
        return self._paths[self._path[index]], self._start[index], self._length[index]


class WebDataset(StoredDataset):
    """DIR/**/*.tar with members such as ``s0001.jpg`` and ``s0001.cls``, or ``s0001.json`` with a label.

    Members belong together by all of their name before the first dot. A label is a text, or a number of
    ``classnames.txt`` beside or above the archive; numbers without it are refused, because their order is not known.
    The split of an archive is that of its folder or its name. Each archive is read once for its list of members; of a
    damaged one, what lies before the damage is used, and a note says so. Archives are not compressed.

    Args:
        samples: pictures of the split.
        split: name of the split.
        root: folder of the data set.
        places: where each picture lies; None for nowhere.
    """

    name: ClassVar[str] = "webdataset"
    summary: ClassVar[str] = "tar archives with s0001.jpg, s0001.cls ..; classnames.txt beside or above them"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(self, samples: Sequence[Sample], split: str, root: str | Path, places: _Places | None = None) -> None:
        super().__init__(samples, split, root)
        self._places = places or _Places()

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "WebDataset":  # noqa: ARG003
        """Read the lists of members and the labels.

        Raises:
            DataError: there is no archive, one is compressed or damaged, or a label is not a class.
        """
        folder = require_root(root, cls.name)
        samples, places, notes, unpaired = list[Sample](), _Places(), list[str](), 0
        archives = _archives_of(folder, split)
        for path in archives:
            names = _class_names(path, folder)
            for key, members in _groups(path, notes):
                picture = next((members[kind] for kind in PICTURES if kind in members), None)
                if picture is None:
                    unpaired += 1
                    continue
                where = f"{path}, {key}"
                label, attributes = _label(path, members, names, where)
                name = f"{path.relative_to(folder).with_suffix('').as_posix()}/{key}"
                samples.append(Sample(name, label, None, attributes.pop("subject", None), None, attributes))
                places.add(path, picture.offset_data, picture.size)
        found = cls(samples, split if split_of(archives[0], folder) else ALL, folder, places)
        found.left_out = {"no picture": unpaired} if unpaired else {}
        if found.split == ALL:
            found.warn_no_splits(split, f"the archives of {folder} name no split")
        found.notes = (*found.notes, *notes)
        return found

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits that archives name; "all" if none does."""
        folder = require_root(root, cls.name)
        return tuple(sorted({split_of(path, folder) for path in folder.rglob("*.tar")} - {""})) or (ALL,)

    def content(self, index: int) -> bytes:
        """Return the bytes of a picture.

        Raises:
            DataError: the archive is gone, or shorter than when it was listed.
        """
        path, start, length = self._places[index]
        try:
            with path.open("rb") as file:
                file.seek(start)
                content = file.read(length)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
        if len(content) < length:
            raise DataError(f"{self.samples[index].id}: {path} ends within this picture.")
        return content


def _archives_of(root: Path, split: str) -> list[Path]:
    """Return the archives of a split in order; all, where none names one.

    Raises:
        DataError: there are none.
    """
    archives = sorted(root.rglob("*.tar"), key=_natural)
    if not archives:
        packed = next(iter(sorted([*root.rglob("*.tar.gz"), *root.rglob("*.tgz")])), None)
        if packed is not None:
            raise DataError(f"{packed} is compressed; unpack it to a .tar first (gunzip).")
        raise WebDataset.missing_error(root, "*.tar")
    splits = {split_of(path, root) for path in archives}
    if splits == {""}:
        return archives
    wanted = WebDataset.aliases.get(split, split)
    require_split(wanted, sorted(splits - {""}), f"data set webdataset: {root}")
    return [path for path in archives if split_of(path, root) == wanted]


def _natural(path: Path) -> tuple[object, ...]:
    return (path.parent.as_posix(), len(path.stem) if path.stem.isdigit() else 0, path.name)


def _groups(path: Path, notes: list[str]) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Yield the key of each group of members, and its members by what stands behind the first dot; note damage."""
    key, members = "", dict[str, tarfile.TarInfo]()
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                folder, _, base = member.name.rpartition("/")
                name, _, kind = base.partition(".")
                if not member.isfile() or not name or not kind:
                    continue
                own = f"{folder}/{name}".lstrip("./") if folder else name
                if own != key and members:
                    yield key, members
                    members = {}
                key, members[kind.lower()] = own, member
    except (tarfile.TarError, EOFError, OSError) as error:
        if not key:
            raise DataError(f"{path}: not a readable tar archive ({error}).") from error
        notes.append(f"{path} is damaged at {key} ({error}); that and what follows is left out.")
        return
    if members:
        yield key, members


def _label(
    path: Path, members: dict[str, tarfile.TarInfo], names: tuple[str, ...], where: str
) -> tuple[str, dict[str, str]]:
    """Return the class of a group, and its attributes."""
    kind = next((kind for kind in LABELS if kind in members), None)
    facts = _facts(path, members["json"], where) if "json" in members else {}
    text = _text(path, members[kind], where) if kind else str(facts.pop("label", facts.pop("cls", "")))
    attributes = {name: str(value) for name, value in facts.items() if isinstance(value, str | int | float)}
    if text in ("", "-1"):
        return "", attributes
    if text.removeprefix("-").isdecimal():
        if not names:
            raise DataError(f"{where}: the class is the number {text}, and there is no classnames.txt that names it.")
        if not 0 <= bounded_integer(text) < len(names):
            raise DataError(f"{where}: class {text} is none of the {len(names)} that classnames.txt names.")
        text = names[bounded_integer(text)]
    try:
        return sys.intern(canonical(text)), attributes
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _text(path: Path, member: tarfile.TarInfo, where: str) -> str:
    if member.size > LONGEST_LABEL:
        raise DataError(f"{where}: the label has {member.size} bytes.")
    with path.open("rb") as file:
        file.seek(member.offset_data)
        return file.read(member.size).decode("utf-8", "replace").strip()


def _facts(path: Path, member: tarfile.TarInfo, where: str) -> dict[str, object]:
    try:
        found = parse_json(_text(path, member, where))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: its json cannot be read ({error}).") from error
    return dict(found) if isinstance(found, dict) else {"label": found}


def _class_names(path: Path, root: Path) -> tuple[str, ...]:
    """Return the lines of the nearest file of class names, beside the archive or above it; empty for none."""
    folders = [path.parent, *(folder for folder in path.parent.parents if root == folder or root in folder.parents)]
    for folder in folders:
        for name in CLASS_NAMES:
            if (folder / name).is_file():
                lines = read_text(folder / name).splitlines()
                return tuple(line.strip() for line in lines if line.strip())
    return ()
