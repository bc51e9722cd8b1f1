"""Recognises files by their first bytes, and says what to do with those that are no checkpoints."""

import json
import zipfile
from collections import Counter
from pathlib import Path

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
    (b"GGUF", "it is a GGUF file, which holds language models"),
)

HEADER_LIMIT = 100_000_000
"""Bytes of a safetensors header, as the format has it."""


def head(path: Path, count: int = 64) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(count)


def not_a_checkpoint(path: Path) -> str:
    """Say what a file is that holds no network, and the remedy; "" if it is not recognised."""
    start = head(path)
    if start[4:8] == b"TFL3":
        return "it is a TensorFlow Lite model; convert it to ONNX first"
    if start.startswith(b"PK\x03\x04") and (names := members(path)):
        if any(name.endswith(("saved_model.pb", "model.weights.h5")) for name in names):
            return "it is a Keras model; convert it to PyTorch or ONNX first"
        if not any(name.endswith("data.pkl") for name in names):
            return f"it is a zip archive of {', '.join(names[:3])}; unpack it first"
    return next((remedy for mark, remedy in SIGNATURES if start.lstrip().startswith(mark)), "")


def members(path: Path) -> tuple[str, ...]:
    """Return the names in a zip archive, or none if it is no archive or a broken one."""
    if not path.is_file() or not head(path, 4).startswith(b"PK\x03\x04"):
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return ()


def ambiguous(path: Path) -> tuple[str, ...]:
    """Return the names in a zip archive that torch, which takes no heed of case, may read as another member."""
    seen = Counter(name.lower() for name in members(path))
    return tuple(f"{name}, of which there are several" for name, count in seen.items() if count > 1)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a JSON header, and the header."""
    if not path.is_file():
        return False
    start = head(path, 9)
    size = int.from_bytes(start[:8], "little")
    return len(start) == 9 and 2 <= size <= HEADER_LIMIT and start[8:9] == b"{"


def read_json(path: Path) -> dict[str, object]:
    """Return a JSON object, or an empty one if the file is missing or holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
