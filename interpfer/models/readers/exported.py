"""Programs of ``torch.export`` (.pt2).

torch reads their pickles in full, looks operators up by dotted names below ``torch`` and evaluates expressions of
shapes as Python. So everything in the archive is checked before torch sees it.
"""

import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from interpfer.errors import ModelError, TrustError
from interpfer.models.program import Program
from interpfer.models.readers.base import Read, Request
from interpfer.models.readers.contents import without_wrappers
from interpfer.models.readers.pickles import imports, imports_of
from interpfer.models.readers.signatures import first_line, members

KIND = "torch.export program"
OPERATOR = re.compile(
    r"torch\.ops\.(aten|prim|prims|torchvision|quantized_decomposed|higher_order\.wrap_with_\w+)(\.[\w.]+)?"
    r"|_operator\.\w+|math\.\w+|torch\.sym_\w+|torch\._sym_sqrt|torch\._C\._set_grad_enabled"
)
REACHING = re.compile(r"torch\.ops\.aten\.(from_file|save|load)\b.*|_operator\.(attrgetter|methodcaller|itemgetter)")
EXPRESSION = re.compile(r"[\w\s+\-*/%(),.<>=&|~']*")
WORD = re.compile(r"[A-Za-z_]\w*")
KNOWN_WORDS = re.compile(
    r"[szufi]\w?\d+|[Mm]ax|[Mm]in|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|CeilToInt|FloorToInt|TruncToInt|IntTrueDiv"
    r"|FloatTrueDiv|ToFloat|PowByNatural|Eq|Ne|Ge|Gt|Le|Lt|And|Or|Not|oo|int_oo|Symbol|True|False|Piecewise|Where|Abs|positive|integer|real|nonnegative"
    r"|Mul|Add|Pow|Integer|Rational|Float|Half|One|Zero|NegativeOne|Infinity|Identity|evaluate|floor|ceiling"
)


class ExportedFile:
    """Reads an archive of ``torch.export.save``."""

    def accepts(self, path: Path) -> bool:
        """Look for the serialised graph in a zip archive."""
        names = members(path)
        return any(re.search(r"(^|/)(serialized_exported_program\.json|models/\w+\.json)$", name) for name in names)

    def read(self, path: Path, request: Request) -> Read:
        """Check the archive, and load it."""
        odd = _odd(path)
        if odd and not request.trust:
            raise TrustError(
                f"{path} is a torch.export program that would run {', '.join(odd[:3])}; "
                "if you trust where it comes from, say --trust (trust=True)."
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = torch.export.load(str(path))
                module = program.module(check_guards=False)  # a guard is a line of Python
        except Exception as error:
            raise ModelError(
                f"{path} is a torch.export program that cannot be read by torch {torch.__version__} "
                f"({first_line(error)}); export it again with this version."
            ) from error
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        weights = without_wrappers({**program.state_dict})
        call = Program(module, KIND, differentiable=True, batch=_fixed_batch(program), move=module.to)
        return Read(KIND, weights, call, program=True)


def _fixed_batch(program: Any) -> int | None:
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs:
            size = node.meta["val"].shape[0]
            return size if isinstance(size, int) else None
    return None


def _odd(path: Path) -> list[str]:
    """Return what is in the archive beyond operators on tensors and plain expressions."""
    found = {f"{name} (a pickle)" for name in imports(path)}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                try:
                    content = json.loads(archive.read(name))
                except ValueError:
                    found.add(f"{name}, which is no JSON")
                    continue
                found.update(_odd_texts(content))
                for part in _pickled(content):
                    held = [other for other in archive.namelist() if other.endswith(f"/{part}")]
                    found.update(f"{wanted} (a pickle)" for item in held for wanted in imports_of(archive.read(item)))
            elif name.endswith((".so", ".py", ".pyc", ".dll", ".cubin")):
                found.add(name)
    return sorted(found)


def _pickled(content: Any) -> Iterator[str]:
    """Yield the members of the archive that its index says are pickles."""
    table = content.get("config") if isinstance(content, dict) else None
    for entry in table.values() if isinstance(table, dict) else ():
        if isinstance(entry, dict) and entry.get("use_pickle") is not False:
            yield str(entry.get("path_name"))


def _odd_texts(content: Any) -> Iterator[str]:
    if isinstance(content, list):
        for item in content:
            yield from _odd_texts(item)
    elif isinstance(content, dict):
        for key, value in content.items():
            if key == "target" and isinstance(value, str) and _is_code(value):
                yield f"the operator {value}"
            elif key == "expr_str" and isinstance(value, str) and not _is_plain(value):
                yield f"the expression {value}"
            else:
                yield from _odd_texts(value)
        ranges = content.get("range_constraints")
        for symbol in ranges if isinstance(ranges, dict) else ():
            if not _is_plain(symbol):
                yield f"the expression {symbol}"


def _is_code(target: str) -> bool:
    """Whether torch would look a target up among its own names, beyond operators on tensors."""
    looked_up = target.startswith(("torch", "_operator", "math", "#"))
    return looked_up and (not OPERATOR.fullmatch(target) or REACHING.fullmatch(target) is not None)


def _is_plain(expression: str) -> bool:
    words = WORD.findall(expression)
    return EXPRESSION.fullmatch(expression) is not None and all(KNOWN_WORDS.fullmatch(word) for word in words)
