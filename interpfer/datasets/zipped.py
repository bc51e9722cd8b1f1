"""Zip files as they are downloaded: class folders, or images and a table, read without unpacking."""

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from interpfer.datasets.base import ALL, require_split
from interpfer.datasets.discovery import is_hidden, is_image
from interpfer.datasets.folder import NOT_CLASSES
from interpfer.datasets.metadata import METADATA, read_rows, samples_of, split_of_folders
from interpfer.datasets.stored import StoredDataset
from interpfer.errors import DataError
from interpfer.labels import canonical, known_expression
from interpfer.types import Sample

TABLES = ("labels.csv", *METADATA)
LARGEST = 128 * 2**20
"""Bytes of the largest member that is unpacked, so that a small archive cannot fill the memory."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How members may be packed; others take memory as they please."""

UNSAFE = "name leads out of the archive"
UNLABELLED = "not in a class folder"
UNLISTED = "not in the table"
BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError)
"""What the standard library raises for members that are damaged, encrypted, or packed in another way."""


class ZipDataset(StoredDataset):
    """FILE.zip, or a folder with one zip file: class folders, or images with labels.csv or metadata of Hugging Face.

    Where a table is in the archive, it gives the labels: ``labels.csv`` as in the data set ``csv``, metadata as in
    ``imagefolder``. Else classes are folders, as in the data set ``folder``: those beside one that is named after an
    expression, else the uppermost two or more that hold images. Nothing is written to disk. Members whose name leads
    out of the archive are left out; one that unpacks to more than 128 MB is refused.

    Args:
        samples: images of the split.
        split: name of the split.
        root: the zip file.
        members: name of the member of each image.
    """

    name: ClassVar[str] = "zip"
    summary: ClassVar[str] = "FILE.zip of class folders, or of images with labels.csv or metadata; not unpacked"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    action_units: ClassVar[str] = "the column aus"

    def __init__(self, samples: Sequence[Sample], split: str, root: str | Path, members: Sequence[str] = ()) -> None:
        super().__init__(samples, split, root)
        self._members = tuple(members)
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "ZipDataset":  # noqa: ARG003
        """Read the list of members and the table, without unpacking images.

        Raises:
            DataError: there is no archive or it is damaged, or a label is not a class.
        """
        path, wanted = find_zip(root), cls.aliases.get(split, split)
        with open_zip(path) as archive:
            names, left_out = list_members(archive)
            rows, without, reason = read_labels(archive, path, names)
        splits = sorted({found for _, found in rows} - {""})
        if splits:
            require_split(wanted, splits, f"data set zip: {path}")
        chosen = [sample for sample, found in rows if not splits or found == wanted]
        dataset = cls(chosen, wanted if splits else ALL, path, [sample.id for sample in chosen])
        dataset.left_out = left_out | ({reason: without} if without else {})
        if not splits:
            dataset.warn_no_splits(split, f"{path} names no split")
        if not any(sample.label for sample in chosen):
            dataset.notes = (*dataset.notes, f"{path}: its table has no column of labels, so that images have none")
        return dataset

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits that folders or the table name; "all" if none does."""
        path = find_zip(root)
        with open_zip(path) as archive:
            rows, _, _ = read_labels(archive, path, list_members(archive)[0])
        return tuple(sorted({found for _, found in rows} - {""})) or (ALL,)

    def content(self, index: int) -> bytes:
        """Return the bytes of a picture.

        Raises:
            DataError: it is damaged, encrypted or too large, or the archive has changed.
        """
        return read_member(self._archive(), self._members[index])

    def _archive(self) -> zipfile.ZipFile:
        """Return the open archive; a forked process opens its own, because a file has one position."""
        assert self.root is not None
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), open_zip(self.root)
        return self._opened[1]


def find_zip(root: str | Path | None) -> Path:
    """Return the zip file that a path names, or the only one in a folder.

    Raises:
        DataError: there is none, or several.
    """
    if root is None:
        raise DataError("data set zip needs its file: pass --data-root FILE.zip.")
    path = Path(root)
    if path.is_file():
        return path
    if not path.is_dir():
        raise DataError(f"data set zip: file not found: {path}.")
    found = sorted(path.glob("*.zip"))
    if len(found) != 1:
        what = "found no *.zip in" if not found else f"found {len(found)} zip files in"
        raise DataError(f"data set zip: {what} {path}; pass one with --data-root.")
    return found[0]


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open an archive.

    Raises:
        DataError: it is not a readable one.
    """
    try:
        return zipfile.ZipFile(path)
    except (*BROKEN, MemoryError) as error:
        raise DataError(f"{path}: not a readable zip file ({' '.join(str(error).split())[:200]}).") from error


def list_members(archive: zipfile.ZipFile) -> tuple[list[str], dict[str, int]]:
    """Return the names of the files in an archive in order; and reason -> number of those left out.

    Raises:
        DataError: a name is in it twice.
    """
    members = [name for name in archive.namelist() if not name.endswith("/")]
    safe = [name for name in members if not _is_unsafe(name)]
    names = sorted(name for name in safe if not any(map(is_hidden, name.split("/"))))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{archive.filename}: {twice[0]} is in it twice.")
    return names, {UNSAFE: len(members) - len(safe)} if len(safe) < len(members) else {}


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the bytes of a member.

    Raises:
        DataError: it is damaged, encrypted, too large or packed in an unusual way, or not there.
    """
    where = f"{archive.filename}, {name}"
    try:
        if archive.getinfo(name).compress_type not in METHODS:
            raise DataError(f"{where}: is neither stored nor deflated; pack the archive again.")
        with archive.open(name) as file:
            content = file.read(LARGEST + 1)
    except (*BROKEN, KeyError) as error:
        raise DataError(f"{where}: cannot be unpacked ({' '.join(str(error).split())[:200]}).") from error
    if len(content) > LARGEST:
        raise DataError(f"{where}: unpacks to more than {LARGEST // 2**20} MB.")
    return content


def read_labels(
    archive: zipfile.ZipFile, path: Path, names: Sequence[str]
) -> tuple[list[tuple[Sample, str]], int, str]:
    """Return the images with their splits; how many others there are, and why they are left out.

    Raises:
        DataError: there is no image, or a label is not a class.
    """
    images = [name for name in names if is_image(name)]
    if not images:
        raise DataError(f"{path} holds no images; it has {', '.join(names[:3]) or 'no files'}.")
    rows = list[tuple[Sample, str]]()
    if tables := _tables(path, names):
        for table in tables:
            rows += _table_rows(read_member(archive, table), f"{path}, {table}", PurePosixPath(table), set(images))
        listed = {sample.id for sample, _ in rows}
        return rows, sum(name not in listed for name in images), UNLISTED
    classes = _class_folders(path, images)
    for name in images:
        place = next((each for each in PurePosixPath(name).parents if each in classes), None)
        if place is not None:
            rows.append((Sample(name, classes[place]), split_of_folders(place)))
    return rows, len(images) - len(rows), UNLABELLED


def _is_unsafe(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or not parts[0] or ":" in parts[0] or "\0" in name


def _tables(path: Path, names: Sequence[str]) -> list[str]:
    """Return the tables of labels: labels.csv, else metadata, of which a folder may have one."""
    for wanted in (TABLES[:1], TABLES[1:]):
        found = [name for name in names if PurePosixPath(name).name in wanted]
        folders = [PurePosixPath(name).parent for name in found]
        if len(set(folders)) < len(folders) or (len(found) > 1 and wanted == TABLES[:1]):
            raise DataError(f"{path} holds several tables of labels ({', '.join(found[:3])}); keep one.")
        if found:
            return found
    return []


def _table_rows(content: bytes, where: str, table: PurePosixPath, images: set[str]) -> list[tuple[Sample, str]]:
    """Return the images of a table; those of labels.csv may lie in the folder images beside it."""
    rows = samples_of(read_rows(content, table.name, where), table.parent, where)
    if table.name != TABLES[0]:
        return list(rows)
    inner = [
        ((table.parent / "images" / PurePosixPath(each.id).relative_to(table.parent)), each, s) for each, s in rows
    ]
    return [(replace(each, id=str(name)) if str(name) in images else each, split) for name, each, split in inner]


def _class_folders(path: Path, images: Sequence[str]) -> Mapping[PurePosixPath, str]:
    """Return folder -> class: those beside a folder named after an expression, else the uppermost two or more.

    Raises:
        DataError: there are none, or a name is not that of a class.
    """
    folders = {parent for name in images for parent in PurePosixPath(name).parents if parent.parts}
    folders = {each for each in folders if not any(part.lower() in NOT_CLASSES for part in each.parts)}
    bases = {each.parent for each in folders if known_expression(each.name)}
    if not bases:
        direct = {PurePosixPath(name).parent for name in images} & folders
        beside = {each.parent for each in direct if sum(other.parent == each.parent for other in direct) > 1}
        shallowest = min((len(base.parts) for base in beside), default=0)
        bases = {base for base in beside if len(base.parts) == shallowest}
    bases = {base for base in bases if not any(other in base.parents for other in bases)}
    if not bases:
        raise DataError(f"{path} holds neither a table of labels nor a folder per class, such as happy/1.jpg.")
    by_split: dict[str, PurePosixPath] = {}
    for base in sorted(bases):
        other = by_split.setdefault(split_of_folders(base / "x"), base)
        if other != base:
            raise DataError(f"{path}: {other} and {base} both contain folders per class; pass an archive of one.")
    classes = {}
    for each in sorted(folders):
        if each.parent in bases:
            try:
                classes[each] = canonical(each.name)
            except DataError as error:
                raise DataError(f"{path}, {each}: {error}") from error
    return classes
