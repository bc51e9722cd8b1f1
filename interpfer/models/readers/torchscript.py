"""TorchScript programs (``torch.jit.save``).

Their code is TorchScript, not Python: it can compute on tensors, and little else. The text of the program is searched
for other operations before it is loaded.
"""

import re
import warnings
import zipfile
from pathlib import Path

import torch

from interpfer.errors import ModelError, TrustError
from interpfer.models.messages import TRUST, first_line
from interpfer.models.program import Program
from interpfer.models.readers.archive import check_archive
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.entries import strip_wrappers
from interpfer.models.readers.pickles import find_imports
from interpfer.models.readers.signatures import find_duplicate_members, list_members

KIND = "TorchScript program"
UNSAFE = re.compile(
    r"\b(save|from_file|load_library)\b|(?<!\.)\bops\b(?!\.(aten|prim|prims|torchvision|quantized|_caffe2)\.)(\.\w+)*"
    r"|__torch__\.torch\.classes\.(?!quantized)\w+"
)
"""Operations that access files or run code of other libraries; spaces around dots are removed before the search."""
ESCAPED = re.compile(r""",\s*["']\w*\\[\w\\]*["'],?\s*\)""")
"""A quoted name with escapes as the last argument, as for ``getattr``."""


class TorchScriptFile:
    """Reads a TorchScript archive."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file is a zip archive with TorchScript code."""
        names = list_members(path)
        return any("/code/" in name for name in names) and any(name.endswith("constants.pkl") for name in names)

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Load the program; it runs in the interpreter of TorchScript."""
        check_archive(path)
        unsafe = _find_unsafe(path)
        if unsafe and not request.trust:
            raise TrustError(
                f"{path} is a TorchScript program that would use {', '.join(unsafe[:3])}, which is more than "
                f"computing on tensors; {TRUST}."
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                script = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"{path} is a TorchScript program that cannot be read ({first_line(error)}).") from error
        for parameter in script.parameters():
            parameter.requires_grad_(False)
        name = getattr(script, "original_name", None)
        program = Program(script, KIND, differentiable=True, move=script.to)
        return CheckpointData(KIND, strip_wrappers(script.state_dict()), program, program=True, class_name=name)


def _find_unsafe(path: Path) -> list[str]:
    """Return the unsafe operations in the code of an archive, and the imports of its pickles except its own classes."""
    unsafe = set(find_duplicate_members(path))
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if "/code/" in name.lower() and name.lower().endswith(".py"):
                text = re.sub(r"[\s\\]*\.[\s\\]*", ".", archive.read(name).decode("utf-8", "replace"))
                unsafe.update(match.group() for match in UNSAFE.finditer(text))
                unsafe.update(match.group() for match in ESCAPED.finditer(text))
    names = find_imports(path)
    allowed = re.compile(r"__torch__\..*|torch\.jit\._pickle\.\w+|torch\._utils\.\w+|torch\.\w+")
    unsafe.update(name for name in names if not allowed.fullmatch(name) or name.startswith("__torch__.torch.classes"))
    return sorted(unsafe)
