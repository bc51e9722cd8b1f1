"""Says what a pickle would import, by reading its opcodes; nothing of it is run."""

import io
import pickletools
import re
import sys
import tarfile
import zipfile
from _compat_pickle import IMPORT_MAPPING
from collections.abc import Iterator
from pathlib import Path

TENSOR_PARTS = re.compile(
    r"torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state|qtensor|sparse_tensor)"
    r"|torch\.(storage\.)?\w*Storage|torch\.(Size|device|Tensor|nn\.parameter\.Parameter)"
    r"|torch\.(bfloat16|bool|(u?int|float|complex)\d+\w*)"
    r"|collections\.(OrderedDict|Counter)|(__builtin__|builtins)\.(set|dict|list|tuple|int|float|bool|bytearray|complex)"
)
"""What tensors and plain containers are made of: reading it needs no trust."""

HARMLESS = re.compile(
    r"argparse\.Namespace|types\.SimpleNamespace|pathlib\.\w+|datetime\.\w+|collections\.(defaultdict|deque)"
    r"|_codecs\.encode|copyreg\._reconstructor|copy_reg\._reconstructor|(__builtin__|builtins)\.(object|slice|frozenset)"
    r"|torch\.(nn|optim)\.[\w.]+|torch\._C\._nn\.\w+|torch\.torch_version\.TorchVersion|functools\.partial|enum\.\w+"
)
"""Of the standard library and torch: what stands in honest checkpoints beside the weights."""

ZIP = b"PK\x03\x04"
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".tar", ".p")
"""Members of an archive that are unpickled; the others are raw data."""

MAGIC, LEGACY = 0x1950A86A20F9469CFC6C, 5
"""What a file of torch before 1.6 begins with, and how many pickles it is."""

OWN_MODULES = {*sys.stdlib_module_names, *(name.partition(".")[0] for name in IMPORT_MAPPING), "torch"} - {"__main__"}
"""The standard library, also by its names in Python 2, which old protocols use, and torch."""

DEPTH = 3
"""Archives within archives that are opened."""


def imports(path: Path) -> tuple[str, ...]:
    """Return the dotted names that the pickles of a file would import, beyond what tensors are made of.

    Zip archives are opened, also within one another, and old tar archives.

    Args:
        path: any file.

    Returns:
        Sorted names; a name that is only made while unpickling is called "a name made while unpickling".
    """
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            parts = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()]
            names = {name for part in parts if part is not None for name in _streams(part.read(), many=True)}
            return tuple(sorted(name for name in names if not TENSOR_PARTS.fullmatch(name)))
    return imports_of(path.read_bytes())


def imports_of(content: bytes) -> tuple[str, ...]:
    """Return the same for the bytes of a file."""
    return tuple(sorted({name for name in _of(content, DEPTH) if not TENSOR_PARTS.fullmatch(name)}))


def suspicious(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that no honest checkpoint needs: functions of the standard library, of torch, or unknown ones.

    >>> suspicious(("__main__.Meter", "posix.system", "torch.nn.modules.linear.Linear", "builtins.eval"))
    ('posix.system', 'builtins.eval')
    """
    return tuple(
        name
        for name in names
        if not HARMLESS.fullmatch(name) and ("." not in name or name.partition(".")[0] in OWN_MODULES)
    )


def _of(content: bytes, depth: int) -> Iterator[str]:
    if content.startswith(ZIP) and depth:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    if name.lower().endswith(PICKLES):
                        yield from _of(archive.read(name), depth - 1)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError):
            return
    else:
        yield from _streams(content)


def _streams(content: bytes, many: bool = False) -> Iterator[str]:
    """Yield the names of the pickles at the beginning of some bytes: one, or as many as an old file of torch has."""
    stream = io.BytesIO(content)
    try:
        many = many or next(
            (argument == MAGIC for code, argument, _ in pickletools.genops(content) if code.name != "PROTO")
        )
        for _ in range(LEGACY if many else 1):
            yield from _names(stream)
    except Exception:  # broken off, or no pickle at all: what came before it counts
        return


def _names(stream: io.BytesIO) -> Iterator[str]:
    """Yield the names of one pickle; the stack is followed just as far as texts go."""
    recent: list[str | None] = []
    memo: dict[int, str | None] = {}
    for code, argument, _ in pickletools.genops(stream):
        if code.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
            recent.append(None)
        elif code.name == "STACK_GLOBAL":
            module, name = recent[-2:] if len(recent) > 1 else [None, None]
            yield "a name made while unpickling" if module is None or name is None else f"{module}.{name}"
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
