"""Programs of ``torch.export`` (.pt2).

torch reads their pickles in full, looks operators up by dotted names below ``torch`` and evaluates expressions of
shapes as Python. So everything in the archive is checked before torch sees it.
"""

import io
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
from interpfer.models.readers.base import TRUST, Read, Request
from interpfer.models.readers.contents import without_wrappers
from interpfer.models.readers.pickles import imports, imports_of
from interpfer.models.readers.signatures import ambiguous, first_line, members

KIND = "torch.export program"
OPERATOR = re.compile(
    r"torch\.ops\.(aten|prim|prims|torchvision|quantized_decomposed|higher_order)\.(?!_*from_file|save|load)(?!__)\w+"
    r"(\.(?!__)\w+)?|_operator\.(eq|ne|[lg][te]|neg|pos|mul|add|sub|floordiv|mod|pow|truediv|and_|or_|[lr]shift|getitem)"
    r"|math\.\w+|torch\.sym_\w+|torch\._sym_sqrt|torch\._C\._set_grad_enabled"
)
HIGHER_ORDER = re.compile(r"torch\.ops\.higher_order\.(?!wrap_with_).*")
NAME = re.compile(r"[\w.]*")
"""What torch puts into Python source as it is: names of inputs, values and fields."""
TEXTS = ("as_string", "as_strings", "torch_version", "guards_code")
"""Fields whose text torch keeps, quotes, or is told to leave alone."""
TREES = ("in_spec", "out_spec", "context")
"""Fields that hold JSON of their own."""
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
            raise TrustError(f"{path} is a torch.export program that would run {', '.join(odd[:3])}; {TRUST}.")
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
    found = {f"{name} (a pickle)" for name in imports(path)} | set(ambiguous(path))
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(".json"):
                try:
                    content = json.loads(archive.read(name))
                except ValueError:
                    found.add(f"{name}, which is no JSON")
                    continue
                found.update(_odd_texts(content))
                for part in _pickled(content):
                    for item in (other for other in archive.namelist() if other.lower().endswith(f"/{part}".lower())):
                        wanted = imports_of(archive.read(item))
                        careful = wanted or _is_tensor(archive.read(item))
                        found.update(f"{what} (a pickle)" for what in wanted or ([] if careful else [item]))
            elif name.lower().endswith(".pt") and (held := archive.read(name)) and not _is_tensor(held):
                found.add(f"{name} (a pickle)")
            elif name.lower().endswith((".so", ".py", ".pyc", ".dll", ".cubin")):
                found.add(name)
    return sorted(found)


def _pickled(content: Any) -> Iterator[str]:
    """Yield the members of the archive that its index says are pickles."""
    table = content.get("config") if isinstance(content, dict) else None
    for entry in table.values() if isinstance(table, dict) else ():
        if isinstance(entry, dict) and entry.get("use_pickle") is not False:
            yield str(entry.get("path_name"))


def _is_tensor(content: bytes) -> bool:
    """Whether a pickle is tensors and plain containers, as torch's own careful reading has it."""
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # whatever a broken or hostile one brings torch to raise
        return False
    return True


def _odd_texts(content: Any, field: str = "") -> Iterator[str]:
    """Yield what in the JSON of a program torch would run: as Python source, as a name to look up, or evaluated."""
    if isinstance(content, list):
        for item in content:
            yield from _odd_texts(item, field)
    elif isinstance(content, dict):
        for key, value in content.items():
            if field == "range_constraints":
                yield from [] if _is_plain(key) else [f"the expression {key}"]
            elif not NAME.fullmatch(key) or key == "__enum__":
                yield f"the name {key}"
            if key != "metadata":  # remarks on where a node comes from
                yield from _odd_texts(value, key)
    elif isinstance(content, str):
        yield from _odd_text(content, field)


def _odd_text(text: str, field: str) -> Iterator[str]:
    if field in ("target", "as_operator"):
        if _is_code(text):
            yield f"the operator {text}"
    elif field == "expr_str":
        if not _is_plain(text):
            yield f"the expression {text}"
    elif field in TREES:
        try:
            yield from _odd_texts(json.loads(text))
        except ValueError:
            yield from _odd_texts(text)
    elif field not in TEXTS and not NAME.fullmatch(text):
        yield f"the name {text}"


def _is_code(target: str) -> bool:
    """Whether torch would look a target up among its own names, beyond operators on tensors."""
    looked_up = target.startswith(("torch", "_operator", "math", "#"))
    return looked_up and (not OPERATOR.fullmatch(target) or HIGHER_ORDER.fullmatch(target) is not None)


def _is_plain(expression: str) -> bool:
    words = WORD.findall(expression)
    return EXPRESSION.fullmatch(expression) is not None and all(KNOWN_WORDS.fullmatch(word) for word in words)
