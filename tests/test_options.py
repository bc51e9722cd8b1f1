"""Options of a verb: one definition, set by flags, keywords or a file."""

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import interpfer
from interpfer import choices
from interpfer.cli import COMMANDS, group
from interpfer.cli.options import VerbCommand
from interpfer.config import read_config, write_config
from interpfer.errors import InterpferError
from interpfer.finetuning.options import FinetuneOptions
from interpfer.options import Options, option, option_fields, resolve_options
from interpfer.scoring.options import ScoreOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example(Options):
    """Options to test with."""

    out: Path | str | None = option(None, "Folder", kind="path", repeats=False)
    shape: str = option("round", "Shape", choices=("round", "square"))
    count: int = option(3, "Number of them", kind="integer", least=1, most=9)
    share: float | None = option(None, "Share", kind="number", least=0, most=1)
    batch: int | str = option(4, "Batch", kind="count", least=1)
    fast: bool = option(False, "Hurry", kind="switch")
    maps: object = option(None, "Maps", kind="names")
    mean: object = option(None, "Mean", kind="numbers")
    codebook: object = option(None, "Codebook")
    arguments: object = option(None, "Arguments", kind="mapping")
    key: object = option(None, "Key", kind="key")


def verbs() -> dict[str, VerbCommand]:
    commands = {name: group.get_command(click.Context(group), name) for name in COMMANDS}
    return {name: command for name, command in commands.items() if isinstance(command, VerbCommand)}


def test_none_leaves_the_default() -> None:
    assert Example.of({"count": None, "shape": "square"}) == Example(shape="square")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shape": "rond"}, "shape must be one of round, square, got 'rond'. Did you mean round?"),
        ({"count": 0}, "count must be between 1 and 9, got 0."),
        ({"count": 2.5}, "count must be a whole number, got '2.5'."),
        ({"count": True}, "count must be a whole number, got 'True'."),
        ({"share": 1.5}, "share must be between 0 and 1, got 1.5."),
        ({"share": float("nan")}, "share must be between 0 and 1, got nan."),
        ({"batch": "many"}, "batch must be a whole number or auto, got 'many'."),
        ({"batch": 0}, "batch must be at least 1, got 0."),
        ({"fast": 1}, "fast must be true or false, got '1'."),
        ({"cuont": 1}, "interpfer example has no option 'cuont'. Did you mean count?"),
    ],
)
def test_a_bad_value_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InterpferError) as raised:
        Example.of(values, "example")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("count: many", "count must be a whole number, got 'many'."),
        ("maps: 3", "maps must be a name or a list of names, got '3'."),
        ("maps: [cosine, 3]", "maps must be a name or a list of names, got '['cosine', 3]'."),
        ("codebook: 3", "codebook must be a text, got '3'."),
        ("shape: true", "shape must be a text, got 'True'."),
        ("fast: 'no'", "fast must be true or false, got 'no'."),
        ("mean: [a, b]", "mean must be a number, a list of numbers or a name, got '['a', 'b']'."),
        ("arguments: x", "arguments must be a mapping of names, got 'x'."),
        ("key: [1]", "key must be an index, a key or weights of keys, got '[1]'."),
        ("count: 1.5", "count must be a whole number, got '1.5'."),
    ],
)
def test_a_value_of_another_type_in_a_file_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "score.yaml"
    path.write_text(content)
    with pytest.raises(InterpferError) as raised:
        Example.of(read_config(path))
    assert str(raised.value) == message


def test_small_numbers_and_words_that_look_like_switches_survive_a_file(tmp_path: Path) -> None:
    path = tmp_path / "finetune.yaml"
    options = FinetuneOptions(weight_decay=1e-5, lr=1e-3, precision="no", augment="none", seed=7)
    path.write_text(write_config(options))
    assert FinetuneOptions.of(read_config(path)).to_dict() == options.to_dict()
    path.write_text("lr: 1e-3\nweight-decay: 0.00001\nprecision: no\nclass_weights: true\n")
    assert FinetuneOptions.of(read_config(path)) == FinetuneOptions(lr=1e-3, weight_decay=1e-5, class_weights=True)
    run = tmp_path / "run.json"
    run.write_text(json.dumps({"options": options.to_dict()}))
    assert FinetuneOptions.of(read_config(run)).to_dict() == options.to_dict()


def test_numbers_of_numpy_are_numbers() -> None:
    options = Example(count=np.int64(5), share=np.float32(0.5))
    assert options.to_dict() == Example(count=5, share=0.5).to_dict()


def test_card_overrides_are_refused_for_a_model_in_memory(faces: Path, checkpoint: Path) -> None:
    model = interpfer.load_model(checkpoint)
    message = f"model {model.name} is loaded already: pass name, classes to load_model instead."
    for call in (
        lambda **overrides: interpfer.score(model, "csv", data_root=faces, device="cpu", **overrides),
        lambda **overrides: interpfer.explain_image(faces / "images" / "test_0001.png", model, **overrides),
    ):
        with pytest.raises(InterpferError, match=message):
            call(name="other", classes="rafdb")


def test_options_and_single_choices_exclude_each_other() -> None:
    assert resolve_options(Example, None, {"count": 5}, "example") == Example(count=5)
    assert resolve_options(Example, Example(count=5), {}, "example") == Example(count=5)
    with pytest.raises(InterpferError, match=r"pass options or single choices \(count\), not both"):
        resolve_options(Example, Example(), {"count": 5}, "example")


def test_a_config_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    options = Example(out="here", shape="square", share=0.25, batch="auto", fast=True)
    path = tmp_path / "example.yaml"
    path.write_text(write_config(options))
    assert Example.of(read_config(path)) == options
    assert "# Shape. One of: round, square.\n" in path.read_text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", "- 1\n", "must hold one 'name: value' per line"),
        ("a.yaml", "{", "cannot read the config file"),
        ("run.json", "{}", "contains no options: pass a YAML file"),
    ],
)
def test_a_bad_config_file(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InterpferError, match=message):
        read_config(path)
    with pytest.raises(InterpferError, match="cannot read the config file"):
        read_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize("name", ["score", "finetune", "explain", "inspect", "prepare", "check-data"])
def test_every_flag_of_a_verb_is_a_field_of_its_options(name: str) -> None:
    command = verbs()[name]
    fields = {each.name: each for each in option_fields(command.kind)}
    assert set(command.from_options) == {
        each for each, field in fields.items() if field.metadata["option"].flag != ""
    } | {param.name for param in command.params if isinstance(param, click.Argument) and param.name != "others"}
    for param in command.params:
        if param.name not in fields:
            assert param.name in {"config", "print_config", "json_wanted", "quiet", "others"}
            continue
        facts = fields[param.name].metadata["option"]
        assert param.default is None or str(param.default) == "Sentinel.UNSET", "the options own the default"
        if isinstance(param.type, click.Choice):
            assert tuple(param.type.choices) == facts.choices


@pytest.mark.parametrize("name", ["score", "finetune", "explain", "inspect", "prepare", "check-data"])
def test_every_option_has_help(name: str) -> None:
    page = CliRunner().invoke(group, [name, "--help"]).output
    for each in option_fields(verbs()[name].kind):
        facts = each.metadata["option"]
        assert facts.help, each.name
        assert facts.help[0].isupper() or facts.help[0].isdigit(), f"{name} --{each.name}: {facts.help}"
        assert not facts.help.startswith(("Of ", "Its ", "Whose ", "Where ")), f"{name} --{each.name}: {facts.help}"
        if facts.flag != "":
            assert f"--{each.name.replace('_', '-')}" in page or str(facts.flag) in page


def test_choices_are_those_of_the_table_that_implements_them() -> None:
    from interpfer.au.geometry import GEOMETRIES

    assert tuple(GEOMETRIES) == choices.GEOMETRIES
    assert tuple(choices.PROTOCOL_TRUTH) == choices.PROTOCOLS


def test_no_choice_is_written_twice_in_the_command_line() -> None:
    known_words = [tuple(value) for name, value in vars(choices).items() if name.isupper()]
    for path in (Path(interpfer.__file__).parent / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Tuple) and len(node.elts) > 1:
                words = tuple(each.value for each in node.elts if isinstance(each, ast.Constant))
                for known in known_words:
                    assert words != known, f"{path.name}:{node.lineno} repeats {known}"


def run_cli(*args: object) -> str:
    result = CliRunner().invoke(group, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return result.output


def test_flags_keywords_and_a_file_give_the_same_run(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    common = {"data_root": faces, "maps": "gradcam,baseline:uniform", "limit": 12, "device": "cpu", "report": False}
    interpfer.score(checkpoint, "csv", landmarks=faces / "landmarks.txt", out=tmp_path / "keywords", **common)
    flags = [
        checkpoint, "--dataset", "csv", "--data-root", faces, "--landmarks", faces / "landmarks.txt",
        "--maps", "gradcam,baseline:uniform", "--limit", 12, "--device", "cpu", "--no-report",
    ]  # fmt: skip
    run_cli("score", *flags, "--out", tmp_path / "flags")
    config = tmp_path / "score.yaml"
    config.write_text(run_cli("score", *flags, "--print-config"))
    assert yaml.safe_load(config.read_text())["limit"] == 12
    run_cli("score", "--config", config, "--out", tmp_path / "file")
    run_cli("score", "--config", tmp_path / "flags" / "run.json", "--out", tmp_path / "again")
    for table in ("scores.csv", "per_image.csv", "confusion.csv", "au_profile.csv"):
        contents = {(tmp_path / name / table).read_bytes() for name in ("keywords", "flags", "file", "again")}
        assert len(contents) == 1, table
    kept = json.loads((tmp_path / "flags" / "run.json").read_text())["options"]
    assert kept["model"] == str(checkpoint)
    assert kept["landmarks"] == str(faces / "landmarks.txt")
    assert "out" not in kept
    assert kept == json.loads((tmp_path / "again" / "run.json").read_text())["options"]


def test_a_flag_overrides_the_file(checkpoint: Path, tmp_path: Path) -> None:
    config = tmp_path / "score.yaml"
    config.write_text(f"model: {checkpoint}\ndataset: demo\nlimit: 5\nbatch-size: 8\n")
    printed = yaml.safe_load(run_cli("score", "--config", config, "--limit", 7, "--print-config"))
    assert (printed["limit"], printed["batch_size"], printed["dataset"]) == (7, 8, "demo")
    assert ScoreOptions.of(printed) == ScoreOptions(model=str(checkpoint), dataset="demo", limit=7, batch_size=8)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["score"], "missing: MODEL, --dataset NAME"),
        (["score", "m.pt", "--dataset", "csv"], "missing: --data-root DIR"),
        (["score", "--dataset", "csv"], "missing: MODEL, --data-root DIR"),
        (["explain", "face.jpg"], "missing: --model MODEL"),
        (["prepare", "--dataset", "demo"], "missing: --out FILE"),
        (
            ["score", "m.pt", "--dataset", "demo", "--resume", "--overwrite"],
            "cannot be combined; pass one",
        ),
        (["score", "m.pt", "--dataset", "demo", "--resume"], "--resume needs --out"),
    ],
)
def test_a_wrong_call_names_all_that_is_missing(args: list[str], message: str) -> None:
    result = CliRunner().invoke(group, args)
    assert result.exit_code == 2
    assert message in result.output


def test_an_unknown_name_in_a_file_is_an_error_of_the_users(checkpoint: Path, tmp_path: Path) -> None:
    config = tmp_path / "score.yaml"
    config.write_text("limt: 5\n")
    result = CliRunner().invoke(group, ["score", str(checkpoint), "--dataset", "demo", "--config", str(config)])
    assert result.exit_code == 1
    assert "interpfer score has no option 'limt'. Did you mean limit" in result.output
