"""Reads a checkpoint with the reader of its format. No code in a file runs without ``trust``."""

import hashlib
from dataclasses import replace
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.readers import READERS
from interpfer.models.readers.archive import check_archive
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.torchfile import code_error

CHUNK = 1 << 20
"""Bytes that are hashed at once."""


def read_checkpoint(
    path: str | Path, trust: bool = False, source: str | Path | None = None, key: str | None = None
) -> CheckpointData:
    """Read a checkpoint file or folder.

    Of a pickled module only the weights are read without ``trust``: ``module`` is None, and ``imports`` lists the names
    that would be imported. :func:`require_module` turns that into an error if there is no architecture.

    Args:
        path: a file, or a folder of a known kind.
        trust: allow code in the file to run.
        source: FILE.py in which classes of a pickle are looked up.
        key: place of the network in a file that holds several; None for the only one.

    Raises:
        TrustError: the file would run code; the message names it.
        ModelError: there is no such file, it holds no weights, or a package is missing.
    """
    path = Path(path)
    source = None if source is None else Path(source)
    if not path.exists():
        raise ModelError(f"checkpoint not found: {path}.")
    if path.is_file() and path.stat().st_size == 0:
        raise ModelError(f"checkpoint {path} is empty; copy or download it again.")
    for file in path.glob("pytorch_model*.bin"):  # transformers reads them without comparing checksums
        check_archive(file)
    reader = next(reader for name in READERS if (reader := READERS.get(name)()).accepts(path))
    data = reader.read(path, Request(trust, source, key))
    if key is not None and data.where != key:
        raise ModelError(f"{path} is a {data.format}, which holds one network; remove --key {key}.")
    return replace(data, sha256=data.sha256 or sha256_of(path))


def require_module(data: CheckpointData, path: str | Path) -> None:
    """Check that a pickled module was loaded, for a checkpoint without an architecture.

    Raises:
        TrustError: the module was left out because its code would run.
    """
    path = Path(path)
    if data.module is None and data.imports:
        raise code_error(path, data.imports)


def sha256_of_part(sha256: str, key: str) -> str:
    """Return the hash of one network in a file that holds several: of the file's hash and the key."""
    return hashlib.sha256(f"{sha256}:{key}".encode()).hexdigest()


def sha256_of(path: str | Path) -> str:
    """Return the hash of a file, or of the names and files in a folder."""
    path = Path(path)
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    for item in files:
        if path.is_dir():
            digest.update(item.relative_to(path).as_posix().encode())
        with item.open("rb") as file:
            while block := file.read(CHUNK):
                digest.update(block)
    return digest.hexdigest()
