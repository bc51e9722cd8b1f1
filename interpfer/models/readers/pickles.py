"""Finds the names that a pickle would import by reading its opcodes, without running it."""

import io
import pickletools
import re
import sys
import tarfile
import zipfile
from _compat_pickle import IMPORT_MAPPING
from collections.abc import Iterator
from pathlib import Path

from interpfer.models.readers.signatures import ZIP, is_bomb

TENSOR_PARTS = re.compile(
    r"torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state|qtensor|sparse_tensor)"
    r"|torch\.(storage\.)?\w*Storage|torch\.(Size|device|Tensor|nn\.parameter\.Parameter)"
    r"|torch\.(bfloat16|bool|(u?int|float|complex)\d+\w*)"
    r"|collections\.(OrderedDict|Counter)|(__builtin__|builtins)\.(set|dict|list|tuple|int|float|bool|bytearray|complex)"
)
"""Names that tensors and plain containers need; reading them needs no trust."""

HARMLESS = re.compile(
    r"argparse\.Namespace|types\.SimpleNamespace|pathlib\.\w+|datetime\.\w+|collections\.(defaultdict|deque)"
    r"|_codecs\.encode|copyreg\._reconstructor|copy_reg\._reconstructor|(__builtin__|builtins)\.(object|slice|frozenset)"
    r"|torch\.(nn|optim)\.[\w.]+|torch\._C\._nn\.\w+|torch\.torch_version\.TorchVersion|functools\.partial|enum\.\w+"
)
"""Names of the standard library and torch that ordinary checkpoints contain beside the weights."""

PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".tar", ".p")
"""Suffixes of the members of an archive that are unpickled; the others are raw data."""

LEGACY_MAGIC, LEGACY_PICKLES = 0x1950A86A20F9469CFC6C, 5
"""First number in a file of torch before 1.6, and the number of pickles in it."""

LIBRARY_MODULES = {*sys.stdlib_module_names, *(name.partition(".")[0] for name in IMPORT_MAPPING), "torch"} - {
    "__main__"
}
"""Modules of the standard library, also by their names in Python 2 (used by old protocols), and torch."""

MAX_DEPTH = 3
"""Levels of archives within archives that are opened."""

UNKNOWN_NAME = "a name made while unpickling"

BOMB = "an archive that is far larger unpacked"
"""Stands for the names in an archive that is not opened for its size."""


def find_imports(path: Path) -> tuple[str, ...]:
    """Return the dotted names that the pickles in a file would import, except those that tensors need.

    Zip archives are opened, also within one another, and old tar archives.

    Args:
        path: any file.

    Returns:
        Sorted names; "a name made while unpickling" for names that are not in the file.
    """
    if tarfile.is_tarfile(path):
        with tarfile.open(path, "r:") as archive:  # torch writes none that are compressed
            listed = [member for member in archive.getmembers() if member.isfile()]
            if is_bomb(sum(member.size for member in listed), path.stat().st_size):
                return (BOMB,)
            members = [archive.extractfile(member) for member in listed]
            names = {name for file in members if file is not None for name in _read_pickles(file.read(), many=True)}
            return tuple(sorted(name for name in names if not TENSOR_PARTS.fullmatch(name)))
    return find_imports_in(path.read_bytes())


def find_imports_in(content: bytes) -> tuple[str, ...]:
    """Return the names that the bytes of a file would import; see ``find_imports``."""
    return tuple(sorted({name for name in _read_file(content, MAX_DEPTH) if not TENSOR_PARTS.fullmatch(name)}))


def select_suspicious(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that no checkpoint needs: functions of the standard library or of torch, and unknown names.

    Examples:
        >>> select_suspicious(("__main__.Meter", "posix.system", "torch.nn.modules.linear.Linear", "builtins.eval"))
        ('posix.system', 'builtins.eval')
    """
    return tuple(
        name
        for name in names
        if not HARMLESS.fullmatch(name) and ("." not in name or name.partition(".")[0] in LIBRARY_MODULES)
    )


def _read_file(content: bytes, depth: int) -> Iterator[str]:
    if content.startswith(ZIP) and depth:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if is_bomb(sum(member.file_size for member in archive.infolist()), len(content)):
                    yield BOMB
                    return
                for name in archive.namelist():
                    if name.lower().endswith(PICKLE_SUFFIXES):
                        yield from _read_file(archive.read(name), depth - 1)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError):
            return
    else:
        yield from _read_pickles(content)


def _read_pickles(content: bytes, many: bool = False) -> Iterator[str]:
    """Yield the names in the pickles at the beginning of some bytes: one pickle, or those of an old file of torch."""
    stream = io.BytesIO(content)
    try:
        many = many or next(
            (argument == LEGACY_MAGIC for code, argument, _ in pickletools.genops(content) if code.name != "PROTO")
        )
        for _ in range(LEGACY_PICKLES if many else 1):
            yield from _read_pickle(stream)
    except Exception:  # truncated, or no pickle: the names before the error count
        return


def _read_pickle(stream: io.BytesIO) -> Iterator[str]:
    """Yield the names in one pickle; of the stack only texts are followed."""
    recent: list[str | None] = []
    memo: dict[int, str | None] = {}
    for code, argument, _ in pickletools.genops(stream):
        if code.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
            recent.append(None)
        elif code.name == "STACK_GLOBAL":
            module, name = recent[-2:] if len(recent) > 1 else [None, None]
            yield UNKNOWN_NAME if module is None or name is None else f"{module}.{name}"
            recent.append(None)
        elif code.name.startswith("EXT"):
            yield f"the registered extension {argument}"
        elif code.name == "MEMOIZE":
            memo[len(memo)] = recent[-1] if recent else None
        elif code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(str(argument))] = recent[-1] if recent else None
        elif code.name in ("GET", "BINGET", "LONG_BINGET"):
            recent.append(memo.get(int(str(argument))))
        elif isinstance(argument, str) and "UNICODE" in code.name or "STRING" in code.name:
            recent.append(argument if isinstance(argument, str) else None)
        elif code.name not in ("PROTO", "FRAME", "MARK"):
            recent.append(None)
