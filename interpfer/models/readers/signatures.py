"""Recognises files by their first bytes, and says what to do with files that are no checkpoints."""

import zipfile
from collections import Counter
from pathlib import Path

from interpfer.files import parse_json

SIGNATURES = (
    (b"version https://git-lfs", "it is a Git LFS pointer; fetch the file itself with `git lfs pull`"),
    (b"\x89HDF", "it is an HDF5 file, as Keras writes; convert the model to PyTorch or ONNX first"),
    (b"<", "it is a web page or XML; download the file itself"),
    (b"\x1f\x8b", "it is a gzip archive; unpack it first"),
    (b"7z\xbc\xaf", "it is a 7z archive; unpack it first"),
    (b"Rar!", "it is a RAR archive; unpack it first"),
    (b"BZh", "it is a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "it is an xz archive; unpack it first"),
    (b"\x89PNG", "it is a picture"),
    (b"\xff\xd8\xff", "it is a picture"),
    (b"\x93NUMPY", "it is a NumPy array"),
)
"""First bytes of a file, what it is, and what to do."""

ZIP = b"PK\x03\x04"
"""First bytes of a zip archive."""

MAX_RATIO, FREE_BYTES = 20, 1 << 28
"""Largest unpacked size of an archive as a multiple of the packed one, and the bytes that are allowed in any case."""

MAX_HEADER = 100_000_000
"""Largest header of a safetensors file in bytes, according to the format."""


def is_bomb(unpacked: int, packed: int) -> bool:
    """Return whether an archive is far larger unpacked than any checkpoint.

    Args:
        unpacked: size of its members in bytes.
        packed: its own size in bytes.

    Examples:
        >>> is_bomb(10**10, 10**7), is_bomb(2 * 10**9, 10**9)
        (True, False)
    """
    return unpacked > FREE_BYTES + MAX_RATIO * packed


def read_start(path: Path, count: int = 64) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(count)


def describe_other_file(path: Path) -> str:
    """Return what a file is that holds no network, and what to do; "" if it is not recognised."""
    start = read_start(path)
    if start.startswith(ZIP) and (names := list_members(path)):
        if any(name.endswith(("saved_model.pb", "model.weights.h5")) for name in names):
            return "it is a Keras model; convert it to PyTorch or ONNX first"
        if not any(name.endswith("data.pkl") for name in names):
            return f"it is a zip archive of {', '.join(names[:3])}; unpack it first"
    return next((remedy for mark, remedy in SIGNATURES if start.lstrip().startswith(mark)), "")


def list_members(path: Path) -> tuple[str, ...]:
    """Return the names in a zip archive; empty if the file is no archive or a broken one."""
    if not path.is_file() or not read_start(path, 4).startswith(ZIP):
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except Exception:  # zipfile may raise anything for a broken archive
        return ()


def find_duplicate_members(path: Path) -> tuple[str, ...]:
    """Return the names that occur more than once in a zip archive; torch ignores case and may read the other one."""
    counts = Counter(name.lower() for name in list_members(path))
    return tuple(f"{name}, of which there are several" for name, count in counts.items() if count > 1)


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins like a safetensors file: with the length of a JSON header, and the header."""
    if not path.is_file():
        return False
    start = read_start(path, 9)
    size = int.from_bytes(start[:8], "little")
    return len(start) == 9 and 2 <= size <= MAX_HEADER and start[8:9] == b"{"


def read_json(path: Path) -> dict[str, object]:
    """Return the JSON object in a file; empty if the file is missing or holds no object."""
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
