"""The door to a checkpoint: finds the reader of a file or folder. Nothing in a file runs without ``trust``."""

import hashlib
from dataclasses import replace
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.readers import READERS
from interpfer.models.readers.base import Read, Request
from interpfer.models.readers.torchfile import refusal

CHUNK = 1 << 20


def read_checkpoint(path: Path, trust: bool = False, source: Path | None = None) -> Read:
    """Read a checkpoint file or folder.

    A whole pickled module is read inertly without ``trust``: the ``Read`` has its weights, no module, and ``wants``
    names what would run; :func:`require_runnable` turns that into an error where there is no architecture.

    Args:
        path: a file, or a folder of a known kind.
        trust: allow code that the file brings to run.
        source: the FILE.py in which classes of a pickle are looked for.

    Raises:
        TrustError: the file would run code; the message names what.
        ModelError: no such file, nothing usable in it, or a package is missing.
    """
    if not path.exists():
        raise ModelError(f"there is no checkpoint {path}.")
    if path.is_file() and path.stat().st_size == 0:
        raise ModelError(f"checkpoint {path} is empty; copy or download it again.")
    reader = next(reader for name in READERS if (reader := READERS.get(name)()).accepts(path))
    read = reader.read(path, Request(trust, source))
    return replace(read, sha256=read.sha256 or sha256_of(path))


def require_runnable(read: Read, path: Path) -> None:
    """Check that weights of a module that was not run have an architecture elsewhere.

    Raises:
        TrustError: always, if the module of the file would be needed.
    """
    if read.module is None and read.imports:
        raise refusal(path, read.imports)


def sha256_of(path: Path) -> str:
    """Hash a file, or the names and files of a folder."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    for item in files:
        if path.is_dir():
            digest.update(item.relative_to(path).as_posix().encode())
        with item.open("rb") as file:
            while block := file.read(CHUNK):
                digest.update(block)
    return digest.hexdigest()
