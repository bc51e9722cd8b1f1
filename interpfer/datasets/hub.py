"""Data sets of the Hugging Face hub: ``--dataset hub --data-root hf://datasets/OWNER/NAME[@REVISION][/FOLDER]``.

What is read is recognised by the files: parquet, tar archives, a zip file, or a folder of images. The copy in the cache
of huggingface_hub is read first; the network is asked only for what is not there, or where the copy may be incomplete.
"""

import importlib
from collections.abc import Sequence
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Dataset, require_split
from interpfer.datasets.discovery import is_image
from interpfer.datasets.imagefolder import ImageFolderDataset
from interpfer.datasets.metadata import METADATA
from interpfer.datasets.parquet import ParquetDataset
from interpfer.datasets.parquet_files import PART, missing_parts
from interpfer.datasets.stored import split_of
from interpfer.datasets.webdataset import CLASS_NAMES, WebDataset
from interpfer.datasets.zipped import ZipDataset
from interpfer.errors import DataError, PluginError
from interpfer.registry import missing_package
from interpfer.runtime.hub_access import (
    CONNECT_SECONDS,
    HubAddress,
    describe_failure,
    describe_missing,
    is_reachable,
    parse_address,
    take_snapshot,
)

FORM = "hf://datasets/OWNER/NAME[@REVISION][/FOLDER]"
BESIDE = ("README.md", "dataset_dict.json", "dataset_info.json", "state.json", *CLASS_NAMES)
"""Names of files that belong to tables and archives."""

MANY = 100
"""Files that are asked for by name; of more, by folder."""


class HubDataset(Dataset):
    """A data set of the Hugging Face hub, which is recognised by its files and read as the data set that they are."""

    name: ClassVar[str] = "hub"
    summary: ClassVar[str] = f"a data set of the Hugging Face hub: {FORM}"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    action_units: ClassVar[str] = "the column aus"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> Dataset:
        """Find the files of a split in the cache, or download them, and read them.

        Raises:
            DataError: the address is wrong, or there is no such data set, revision or split, or no network; or as the
                data set that is read.
            PluginError: huggingface_hub is not installed.
        """
        address = parse_data_address(root)
        snapshot, note = locate_data(address, cls.aliases.get(split, split))
        place = snapshot / address.path
        kind = recognise(_names_below(place), str(address))
        dataset = kind.open(place, split, seed)
        pinned = replace(address, revision=snapshot.name)
        dataset.notes = (*dataset.notes, f"read from {pinned}", *([note] if note else []))
        return dataset

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits that the files in the cache name."""
        address = parse_data_address(root)
        place = locate_data(address, "")[0] / address.path
        return recognise(_names_below(place), str(address)).available_splits(place)


def parse_data_address(root: str | Path | None) -> HubAddress:
    """Return the address of a data set.

    Raises:
        DataError: it has another form than ``hf://datasets/OWNER/NAME[@REVISION][/FOLDER]``.
    """
    address = None if root is None else parse_address(root)
    if address is None or not address.is_data:
        raise DataError(f"data set hub: --data-root must be {FORM}, got '{'' if root is None else root}'.")
    return address


def locate_data(address: HubAddress, split: str) -> tuple[Path, str]:
    """Return the folder of a revision in the cache with the files of a split, and a note on what is assumed of it.

    Args:
        address: the data set.
        split: name of the split; "" for all files.

    Raises:
        DataError: it is not in the cache and cannot be downloaded.
        PluginError: huggingface_hub is not installed.
    """
    try:
        importlib.import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        raise PluginError(f"{address} needs {missing_package(error)}.") from error
    from huggingface_hub import constants

    cached = _find_cached(address)
    have = [] if cached is None else wanted_files(_names_below(cached), address, split)
    if cached is not None and _is_proven(have):
        return cached, ""
    if not constants.HF_HUB_OFFLINE and is_reachable(constants.ENDPOINT):
        return _download(address, split, cached), ""
    if cached is not None and have:
        return cached, f"the copy of {address.repo} in the cache ({len(have)} files) is assumed to be complete"
    raise DataError(f"{describe_missing(address)}.")


def wanted_files(names: Sequence[str], address: HubAddress, split: str) -> list[str]:
    """Return the files that are read of a split, by the names in a repository; all, where they name no split.

    Examples:
        >>> names = ["README.md", "data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"]
        >>> wanted_files(names, HubAddress("owner/faces"), "test")
        ['data/test-00000-of-00001.parquet', 'README.md']
    """
    below = [name for name in names if not address.path or name.startswith(f"{address.path}/")]
    data = [name for name in below if _kind_of(name)]
    if not data:
        return []
    kinds = {_kind_of(name) for name in data}
    root = Path(address.path)
    if kinds <= {ParquetDataset, WebDataset} and split:
        splits = {name: split_of(Path(name), root) for name in data}
        data = [name for name in data if splits[name] == split] if any(splits.values()) else data
    return data + [name for name in below if name.rpartition("/")[2] in BESIDE] if data else []


def recognise(names: Sequence[str], where: str) -> type[Dataset]:
    """Return the data set that some files are.

    Args:
        names: paths of files.
        where: the data set, for messages.

    Raises:
        DataError: they are none, or several.

    Examples:
        >>> recognise(["data/test.parquet", "README.md"], "here").name
        'parquet'
    """
    kinds = {kind for name in names if (kind := _kind_of(name))}
    packed = kinds - {ImageFolderDataset}
    if len(packed) > 1:
        listed = ", ".join(sorted(kind.name for kind in packed))
        raise DataError(f"{where} holds files of several kinds ({listed}); name a folder of it: {FORM}.")
    if not kinds:
        files = ", ".join(sorted(names)[:3])
        raise DataError(f"{where} holds neither parquet, tar and zip files nor images; it has {files or 'no files'}.")
    return next(iter(packed or kinds))


def _kind_of(name: str) -> type[Dataset] | None:
    base = name.rpartition("/")[2].lower()
    if base in METADATA or is_image(base):
        return ImageFolderDataset
    endings: dict[str, type[Dataset]] = {
        ".parquet": ParquetDataset,
        ".arrow": ParquetDataset,
        ".tar": WebDataset,
        ".tar.gz": WebDataset,
        ".zip": ZipDataset,
    }
    return next((kind for ending, kind in endings.items() if base.endswith(ending)), None)


def _is_proven(names: Sequence[str]) -> bool:
    """Return whether the names of files prove that none is missing: all are numbered parts of a known count."""
    data = [Path(name) for name in names if _kind_of(name)]
    return bool(data) and all(PART.fullmatch(path.stem) for path in data) and not missing_parts(data)


def _names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _find_cached(address: HubAddress) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        return take_snapshot(snapshot_download, address, local_files_only=True)
    except Exception:  # not there, or only partly
        return None


def _download(address: HubAddress, split: str, cached: Path | None) -> Path:
    """Download what is missing of a split, and return the folder."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().dataset_info(address.repo, revision=address.revision or None, timeout=CONNECT_SECONDS * 5)
        names = [each.rfilename for each in info.siblings or ()]
        wanted = wanted_files(names, address, split)
        if not wanted:
            below = [name for name in names if not address.path or name.startswith(f"{address.path}/")]
            recognise(below, str(address))
            known = {split_of(Path(name), Path(address.path)) for name in below if _kind_of(name)}
            require_split(split, sorted(known - {""}), str(address))
        if cached is not None and cached.name == info.sha and all((cached / name).is_file() for name in wanted):
            return cached
        return take_snapshot(snapshot_download, address, allow_patterns=_patterns(wanted))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{describe_failure(address, error)}.") from error


def _patterns(names: Sequence[str]) -> list[str]:
    """Return patterns that fit some files; of many, their folders."""
    if len(names) <= MANY:
        return [escape(name) for name in names]
    folders = {name.rpartition("/")[0] for name in names}
    return [escape(name) for name in names if "/" not in name] + [
        f"{escape(each)}/*" for each in sorted(folders) if each
    ]
