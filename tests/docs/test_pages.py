"""What the pages say is true of the package: commands parse, quoted messages exist, links lead somewhere, code runs."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

import interpfer
from interpfer.cli import COMMANDS, group

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGE = Path(interpfer.__file__).parent
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def blocks(text: str, *languages: str) -> Iterator[str]:
    """Yield the fenced blocks in one of some languages."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if found[1] in languages:
            yield found[2]


def commands(text: str) -> Iterator[str]:
    """Yield the calls of interpfer in shell blocks, joined where a line goes on."""
    for block in blocks(text, "sh", "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\||;", line):
                call = re.split(r"#| > ", part)[0].strip().removeprefix("$ ")
                if call.startswith("interpfer "):
                    yield call


CALLS = [(name, call) for name, page in zip(NAMES, PAGES, strict=True) for call in commands(page.read_text())]


@pytest.mark.parametrize(("page", "call"), CALLS, ids=[f"{page}: {call[:60]}" for page, call in CALLS])
def test_every_command_shown_parses(page: str, call: str) -> None:
    words = shlex.split(call)[1:]
    options = [word for word in words[:1] if word.startswith("-")]
    name, *rest = words[len(options) :] or ["--help"]
    if name.startswith("-"):
        return
    assert name in COMMANDS, f"{page}: interpfer has no command {name}"
    command = group.get_command(click.Context(group), name)
    assert command is not None
    rest = [word for word in rest if word != "..."]
    if "..." in words or set(rest) & {"--help", "--config", "--print-config"}:
        known = {flag for parameter in command.params for flag in parameter.opts} | {"--help"}
        assert {word for word in rest if word.startswith("--")} <= known
    else:
        command.make_context(name, rest)


def test_commands_in_running_text_exist() -> None:
    for name, page in zip(NAMES, PAGES, strict=True):
        for called in re.findall(r"`interpfer ([a-z][a-z-]*)", page.read_text()):
            assert called in COMMANDS, f"{name}: interpfer has no command {called}"


def strings(path: Path) -> Iterator[str]:
    """Yield the texts in a module, an ellipsis for each value that is filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


def test_every_quoted_message_is_one_of_the_package() -> None:
    known = [" ".join(text.split()) for path in PACKAGE.rglob("*.py") for text in strings(path)]
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    quoted = [line for block in blocks(page, "text") for line in block.splitlines() if line.strip()]
    assert len(quoted) > 20
    for line in quoted:
        parts = line.split("…")
        longest, pattern = max(parts, key=len), ".*".join(map(re.escape, parts))
        assert any(longest in text and re.search(pattern, text) for text in known), (
            f"no message of the package reads: {line}"
        )


def test_a_message_that_does_not_exist_would_be_found_out() -> None:
    texts = list(strings(PACKAGE / "results" / "folder.py"))
    assert any("already holds a run" in text for text in texts)
    assert not any("this message was never written" in text for text in texts)


@pytest.mark.parametrize("name", NAMES)
def test_links_between_pages_lead_somewhere(name: str) -> None:
    page = ROOT / name
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"https?://|mailto:|#", target):
            continue
        assert (page.parent / target.partition("#")[0]).exists(), f"{name} links to {target}"


def test_the_navigation_names_pages_that_are_there_and_no_page_is_forgotten() -> None:
    listed = re.findall(r"^\s+- (?:[^:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(name.removeprefix("docs/") for name in NAMES if name.startswith("docs/"))
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text())["strict"] is True


def test_the_tutorial_runs(few_faces: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but its first command, which has tests of its own and takes longest: its folder is stood in for."""
    from click.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "test").symlink_to(few_faces)
    for suffix in (".pt", ".yaml"):
        (tmp_path / "demo" / f"model{suffix}").symlink_to(checkpoint.with_suffix(suffix))
    first, *rest = commands((ROOT / "docs" / "tutorial.md").read_text())
    assert first == "interpfer demo --out demo"
    for call in rest:
        done = CliRunner().invoke(group, shlex.split(call)[1:])
        assert done.exit_code == 0, f"{call}: {done.output}"
    assert (tmp_path / "why.png").exists()
