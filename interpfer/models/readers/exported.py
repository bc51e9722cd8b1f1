"""Programs of ``torch.export`` (.pt2).

torch unpickles their pickles, looks up operators by dotted names in ``torch`` and evaluates expressions of shapes as
Python. So everything in the archive is checked before torch reads it.
"""

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from interpfer.errors import ModelError, TrustError
from interpfer.files import parse_json
from interpfer.models.messages import TRUST, first_line
from interpfer.models.program import Program
from interpfer.models.readers.archive import check_archive
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.entries import strip_wrappers
from interpfer.models.readers.pickles import find_imports, find_imports_in
from interpfer.models.readers.signatures import find_duplicate_members, list_members

KIND = "torch.export program"
OPERATOR = re.compile(
    r"torch\.ops\.(aten|prim|prims|torchvision|quantized_decomposed|higher_order)\.(?!_*from_file|save|load)(?!__)\w+"
    r"(\.(?!__)\w+)?|_operator\.(eq|ne|[lg][te]|neg|pos|mul|add|sub|floordiv|mod|pow|truediv|and_|or_|[lr]shift|getitem)"
    r"|math\.\w+|torch\.sym_\w+|torch\._sym_sqrt|torch\._C\._set_grad_enabled"
)
HIGHER_ORDER = re.compile(r"torch\.ops\.higher_order\.(?!wrap_with_).*")
NAME = re.compile(r"[\w.]*")
"""Text that torch may copy into Python source: names of inputs, values and fields."""
TEXT_FIELDS = ("as_string", "as_strings", "torch_version", "guards_code")
"""Fields whose text torch stores or quotes, or does not use with ``check_guards=False``."""
FLOAT_FIELDS = ("as_float", "as_floats", "as_float_lists", "real", "imag")
"""Fields of numbers."""
SPECIAL_FLOATS = ("Infinity", "-Infinity", "NaN")
"""Texts in which torch writes the numbers that JSON lacks."""
JSON_FIELDS = ("in_spec", "out_spec", "context")
"""Fields whose text is JSON."""
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
        """Return whether the file is a zip archive with a serialised graph."""
        names = list_members(path)
        return any(re.search(r"(^|/)(serialized_exported_program\.json|models/\w+\.json)$", name) for name in names)

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Check the archive, and load it."""
        check_archive(path)
        unsafe = _find_unsafe(path)
        if unsafe and not request.trust:
            raise TrustError(f"{path} is a torch.export program that would run {', '.join(unsafe[:3])}; {TRUST}.")
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
        weights = strip_wrappers({**program.state_dict})
        wrapped = Program(module, KIND, differentiable=True, batch=_fixed_batch(program), move=module.to)
        return CheckpointData(KIND, weights, wrapped, program=True)


def _fixed_batch(program: Any) -> int | None:
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs:
            size = node.meta["val"].shape[0]
            return size if isinstance(size, int) else None
    return None


def _find_unsafe(path: Path) -> list[str]:
    """Return everything in the archive but operators on tensors, plain expressions and pickles of tensors."""
    unsafe = {f"{name} (a pickle)" for name in find_imports(path)} | set(find_duplicate_members(path))
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(".json"):
                try:
                    content = parse_json(archive.read(name))
                except ValueError:
                    unsafe.add(f"{name}, which is not JSON")
                    continue
                unsafe.update(_find_unsafe_texts(content))
                for suffix in _list_pickles(content):
                    members = [item for item in archive.namelist() if item.lower().endswith(f"/{suffix}".lower())]
                    unsafe.update(item for member in members for item in _check_pickle(member, archive.read(member)))
            elif name.lower().endswith(".pt") and (data := archive.read(name)) and not _is_tensor(data):
                unsafe.add(f"{name} (a pickle)")
            elif name.lower().endswith((".so", ".py", ".pyc", ".dll", ".cubin")):
                unsafe.add(name)
    return sorted(unsafe)


def _check_pickle(member: str, data: bytes) -> list[str]:
    """Return the imports of a pickle; if it has none but is no tensor, the pickle itself."""
    names = find_imports_in(data) or (() if _is_tensor(data) else (member,))
    return [f"{name} (a pickle)" for name in names]


def _list_pickles(content: Any) -> Iterator[str]:
    """Yield the names of the members that are pickles according to the index of the archive."""
    table = content.get("config") if isinstance(content, dict) else None
    for entry in table.values() if isinstance(table, dict) else ():
        if isinstance(entry, dict) and entry.get("use_pickle") is not False:
            yield str(entry.get("path_name"))


def _is_tensor(content: bytes) -> bool:
    """Return whether torch can read a pickle with ``weights_only``: tensors and plain containers."""
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # torch may raise anything for a broken or hostile pickle
        return False
    return True


def _find_unsafe_texts(content: Any, field: str = "") -> Iterator[str]:
    """Yield the texts in the JSON of a program that torch would run as Python source, look up or evaluate."""
    if isinstance(content, list):
        for item in content:
            yield from _find_unsafe_texts(item, field)
    elif isinstance(content, dict):
        for key, value in content.items():
            if field == "range_constraints":
                yield from [] if _is_plain(key) else [f"the expression {key}"]
            elif not NAME.fullmatch(key) or key == "__enum__":
                yield f"the name {key}"
            if key != "metadata":  # where a node comes from; torch does not use it
                yield from _find_unsafe_texts(value, key)
    elif isinstance(content, str):
        yield from _check_text(content, field)


def _check_text(text: str, field: str) -> Iterator[str]:
    if field in ("target", "as_operator"):
        if _is_code(text):
            yield f"the operator {text}"
    elif field == "expr_str":
        if not _is_plain(text):
            yield f"the expression {text}"
    elif field in JSON_FIELDS:
        try:
            yield from _find_unsafe_texts(parse_json(text))
        except ValueError:
            yield from _find_unsafe_texts(text)
    elif field in FLOAT_FIELDS and text in SPECIAL_FLOATS:
        return
    elif field not in TEXT_FIELDS and not NAME.fullmatch(text):
        yield f"the name {text}"


def _is_code(target: str) -> bool:
    """Return whether torch would look up a target that is no operator on tensors."""
    is_looked_up = target.startswith(("torch", "_operator", "math", "#"))
    return is_looked_up and (not OPERATOR.fullmatch(target) or HIGHER_ORDER.fullmatch(target) is not None)


def _is_plain(expression: str) -> bool:
    words = WORD.findall(expression)
    return EXPRESSION.fullmatch(expression) is not None and all(KNOWN_WORDS.fullmatch(word) for word in words)
