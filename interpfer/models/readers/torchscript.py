"""TorchScript programs (``torch.jit.save``).

Their code is TorchScript, not Python: it can compute on tensors, and little else. What reaches beyond tensors is looked
for in the text of the program before it is loaded.
"""

import re
import warnings
import zipfile
from pathlib import Path

import torch

from interpfer.errors import ModelError, TrustError
from interpfer.models.program import Program
from interpfer.models.readers.base import TRUST, Read, Request
from interpfer.models.readers.contents import without_wrappers
from interpfer.models.readers.pickles import imports
from interpfer.models.readers.signatures import ambiguous, first_line, members

KIND = "TorchScript program"
REACHING = re.compile(
    r"\b(save|from_file|load_library)\b|(?<!\.)\bops\b(?!\.(aten|prim|prims|torchvision|quantized|_caffe2)\.)(\.\w+)*"
    r"|__torch__\.torch\.classes\.(?!quantized)\w+"
)
"""Operations that touch files or run code of other libraries, however they are reached; spaces around dots are gone."""
ESCAPED = re.compile(r""",\s*["']\w*\\[\w\\]*["'],?\s*\)""")
"""A name in quotes, as ``getattr`` takes it last, that is spelled with escapes."""


class TorchScriptFile:
    """Reads a TorchScript archive."""

    def accepts(self, path: Path) -> bool:
        """Look for the program's code in a zip archive."""
        names = members(path)
        return any("/code/" in name for name in names) and any(name.endswith("constants.pkl") for name in names)

    def read(self, path: Path, request: Request) -> Read:
        """Load the program; it runs in the interpreter of TorchScript."""
        reaching = _reaching(path)
        if reaching and not request.trust:
            raise TrustError(
                f"{path} is a TorchScript program that would use {', '.join(reaching[:3])}, which is more than "
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
        return Read(KIND, without_wrappers(script.state_dict()), program, program=True, class_name=name)


def _reaching(path: Path) -> list[str]:
    """Return what the code of an archive uses beyond tensors, and what its pickles import beyond its own classes."""
    found = set(ambiguous(path))
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if "/code/" in name.lower() and name.lower().endswith(".py"):
                text = re.sub(r"[\s\\]*\.[\s\\]*", ".", archive.read(name).decode("utf-8", "replace"))
                found.update(match.group() for match in REACHING.finditer(text))
                found.update(match.group() for match in ESCAPED.finditer(text))
    names = imports(path)
    allowed = re.compile(r"__torch__\..*|torch\.jit\._pickle\.\w+|torch\._utils\.\w+|torch\.\w+")
    found.update(name for name in names if not allowed.fullmatch(name) or name.startswith("__torch__.torch.classes"))
    return sorted(found)
