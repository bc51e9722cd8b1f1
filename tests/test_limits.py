"""The package stays small enough to read: few modules at its root, short modules, short functions, few parameters."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import interpfer

ROOT = Path(interpfer.__file__).parent
ROOT_MODULES = 12
MODULE_LINES = 300
FUNCTION_LINES = 60
PARAMETERS = 10

Function = ast.FunctionDef | ast.AsyncFunctionDef

FILES = {str(path.relative_to(ROOT.parent)): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def find_functions(source: str) -> Iterator[Function]:
    """Yield every function of a module: methods and nested functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            yield node


def count_lines(function: Function) -> int:
    """Return the number of lines of a function, from ``def`` to its last line; decorators are left out."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def count_parameters(function: Function) -> int:
    """Return the number of parameters of a function, ``self``, ``*args`` and ``**kwargs`` included."""
    spec = function.args
    return sum(map(len, (spec.posonlyargs, spec.args, spec.kwonlyargs))) + bool(spec.vararg) + bool(spec.kwarg)


def long_functions(path: str, source: str) -> list[str]:
    """Return a line for each function of a module that is over ``FUNCTION_LINES``."""
    return [
        f"{path}:{function.lineno} {function.name} has {count_lines(function)} lines"
        for function in find_functions(source)
        if count_lines(function) > FUNCTION_LINES
    ]


def wide_functions(path: str, source: str) -> list[str]:
    """Return a line for each function of a module that has more than ``PARAMETERS``."""
    return [
        f"{path}:{function.lineno} {function.name} has {count_parameters(function)} parameters"
        for function in find_functions(source)
        if count_parameters(function) > PARAMETERS
    ]


def require_none(offenders: list[str], limit: str) -> None:
    """Fail with one line per offender."""
    if offenders:
        pytest.fail("\n".join([f"{len(offenders)} over the limit of {limit}:", *offenders]), pytrace=False)


def test_the_root_of_the_package_holds_few_modules() -> None:
    modules = sorted(path.name for path in ROOT.glob("*.py"))
    assert len(modules) <= ROOT_MODULES, f"{len(modules)} modules, at most {ROOT_MODULES}: {', '.join(modules)}"


def test_modules_are_short() -> None:
    counts = {path: len(source.splitlines()) for path, source in FILES.items()}
    long = [f"{path} has {count} lines" for path, count in counts.items() if count > MODULE_LINES]
    require_none(long, f"{MODULE_LINES} lines per module")


def test_functions_are_short() -> None:
    require_none(
        [line for path, source in FILES.items() for line in long_functions(path, source)],
        f"{FUNCTION_LINES} lines per function",
    )


def test_functions_have_few_parameters() -> None:
    require_none(
        [line for path, source in FILES.items() for line in wide_functions(path, source)],
        f"{PARAMETERS} parameters per function",
    )


def test_the_limits_are_exact() -> None:
    head = "class A:\n    @decorated\n    async def f(self, a, /, b, *c, d, **e):\n"
    body = "        pass\n" * (FUNCTION_LINES - 1)
    (function,) = find_functions(head + body)
    assert (count_lines(function), count_parameters(function)) == (FUNCTION_LINES, 6)
    assert long_functions("a.py", head + body) == wide_functions("a.py", head + body) == []
    assert long_functions("a.py", head + body + "        pass\n") == ["a.py:3 f has 61 lines"]
    assert wide_functions("a.py", f"def g({', '.join('abcdefghijk')}): ...") == ["a.py:1 g has 11 parameters"]
    assert wide_functions("a.py", f"def g({', '.join('abcdefghij')}): ...") == []
