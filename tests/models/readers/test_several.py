"""Files with several networks, sequences around weights, and parts of folders: a choice by key, or one clear line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from interpfer.cli import group
from interpfer.errors import ModelError
from interpfer.inspection.checkpoint import inspect_checkpoint
from interpfer.models.checkpoint import read_checkpoint, sha256_of
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN

CARD: dict[str, Any] = {"arch": "interpfer:small", "arch_args": {"width": 4}, "classes": "anger,fear", "input_size": 32}


def weights(seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return SmallCNN(2, width=4).state_dict()


FIRST, SECOND = weights(1), weights(2)
OPTIMIZER = torch.optim.Adam([nn.Parameter(torch.ones(2))]).state_dict()


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def same(one: Any, other: dict[str, Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in other)


SEVERAL: dict[str, tuple[Any, tuple[str, str]]] = {
    "folds": ({"fold_0": FIRST, "fold_1": SECOND, "epoch": 3}, ("fold_0", "fold_1")),
    "best and last": ({"best_model": FIRST, "last_model": SECOND}, ("best_model", "last_model")),
    "dictionaries": (
        {"fold_0": {"state_dict": FIRST, "acc": 0.5}, "fold_1": {"state_dict": SECOND, "acc": 0.6}},
        ("fold_0", "fold_1"),
    ),
    "nested": ({"models": {"a": FIRST, "b": SECOND}, "optimizer": OPTIMIZER}, ("models.a", "models.b")),
    "a list inside": ({"folds": [FIRST, SECOND]}, ("folds.0", "folds.1")),
    "a list": ([FIRST, SECOND], ("0", "1")),
    "a tuple": ((FIRST, SECOND, OPTIMIZER), ("0", "1")),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_a_key_chooses_one_of_several(tmp_path: Path, case: str) -> None:
    content, keys = SEVERAL[case]
    path = saved(tmp_path / "m.pt", content)
    message = re.escape(
        f"checkpoint {path} holds 2 networks, under {', '.join(keys)}; choose one: --key {keys[0]} (key={keys[0]!r})."
    )
    with pytest.raises(ModelError, match=message):
        load_model(path, **CARD)
    with pytest.raises(ModelError, match=message):
        inspect_checkpoint(path, **CARD)
    hashes = set()
    for key, expected in zip(keys, (FIRST, SECOND), strict=True):
        model = load_model(path, key=key, **CARD)
        assert same(model.module.state_dict(), expected)
        assert model.name == f"m-{key}"
        assert model.notes[-1] == f"the network under the key '{key}' was read"
        hashes.add(model.sha256)
        report, inspected = inspect_checkpoint(path, key=key, **CARD)
        assert inspected is not None
        assert same(inspected.module.state_dict(), expected)
        assert report.sha256 == sha256_of(path)
    assert len(hashes) == 2


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", {"fold_0": FIRST, "fold_1": SECOND})
    message = "holds no network under the key 'fold_2'; it holds fold_0, fold_1."
    for key in ("fold_2", "fold_0.nothing", "5"):
        with pytest.raises(ModelError, match=re.escape(message.replace("fold_2", key))):
            load_model(path, key=key, **CARD)
    with pytest.raises(ModelError, match=r"a module in memory holds one network: key='a' must be None"):
        load_model(SmallCNN(2), key="a", classes="anger,fear")
    torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 1))).save(str(tmp_path / "s.pt"))
    with pytest.raises(ModelError, match=r"is a TorchScript program, which holds one network; remove --key a\."):
        load_model(tmp_path / "s.pt", key="a", **CARD)


def test_the_command_line_takes_a_key(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", {"fold_0": FIRST, "fold_1": SECOND})
    (tmp_path / "m.yaml").write_text("arch_args: {width: 4}\n")
    arguments = ["inspect", str(path), "--arch", "interpfer:small", "--classes", "anger,fear", "--input-size", "32"]
    refused = CliRunner().invoke(group, arguments)
    assert refused.exit_code == 1
    assert "choose one: --key fold_0" in refused.stderr
    assert CliRunner().invoke(group, [*arguments, "--key", "fold_1"]).exit_code == 0


@pytest.mark.parametrize(
    ("content", "item"),
    [
        ((FIRST, 7), "tuple of 2, of which item 0"),
        ([3, FIRST, OPTIMIZER], "list of 3, of which item 1"),
        ([{"state_dict": FIRST}], "list of 1, of which item 0"),
    ],
)
def test_a_sequence_around_one_network(tmp_path: Path, content: Any, item: str) -> None:
    model = load_model(saved(tmp_path / "m.pt", content), **CARD)
    assert same(model.module.state_dict(), FIRST)
    assert model.notes == (f"the file holds a {item} was read, counted from 0",)


def test_a_list_of_names_and_tensors(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path / "m.pt", list(FIRST.items())), **CARD)
    assert same(model.module.state_dict(), FIRST)


def test_a_list_of_tensors_without_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", [torch.ones(2), torch.ones(3)])
    with pytest.raises(ModelError, match=r"holds a list of 2 tensors without names, .*save the network's state_dict"):
        load_model(path, **CARD)


def test_a_second_network_beside_the_usual_key_is_named(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path / "m.pt", {"model": FIRST, "best_model": SECOND}), **CARD)
    assert same(model.module.state_dict(), FIRST)
    assert model.notes == ("the weights under 'model' were read, not those under best_model; --key chooses one",)


def test_layers_with_the_same_names_are_parts(tmp_path: Path) -> None:
    layers = {"0": nn.Linear(3, 3).state_dict(), "1": nn.Linear(3, 3).state_dict()}
    data = read_checkpoint(saved(tmp_path / "m.pt", layers))
    assert list(data.weights or ()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_a_safetensors_file_with_two_networks(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    both = {f"{part}.{name}": value for part, state in (("a", FIRST), ("b", SECOND)) for name, value in state.items()}
    save_file(both, tmp_path / "m.safetensors")
    assert same(load_model(tmp_path / "m.safetensors", key="b", **CARD).module.state_dict(), SECOND)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from safetensors.torch import save_file

    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text(json.dumps({"model_type": "vit"}))
    for name in ("model.safetensors", "model-00001-of-00002.safetensors"):
        save_file(FIRST, tmp_path / "hf" / name)
    (tmp_path / "hf" / "model.safetensors.index.json").write_text("{}")
    return tmp_path / "hf"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.safetensors", "holds the weights of a Hugging Face folder .*pass the folder {}, or --arch"),
        ("model-00001-of-00002.safetensors", r"is one of several files of a checkpoint; pass their folder {}\."),
        ("model.safetensors.index.json", r"holds settings, no weights; pass its folder {}\."),
        ("config.json", r"holds settings, no weights; pass its folder {}\."),
    ],
)
def test_a_file_of_a_hugging_face_folder(folder: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message.format(re.escape(str(folder)))):
        load_model(folder / name, classes="anger,fear")
    with pytest.raises(ModelError, match=message.format(re.escape(str(folder)))):
        inspect_checkpoint(folder / name)


def test_weights_of_a_folder_with_an_architecture(folder: Path) -> None:
    assert same(load_model(folder / "model.safetensors", **CARD).module.state_dict(), FIRST)


def test_a_part_of_an_adapter(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"base_model.model.fc.lora_A.weight": torch.zeros(4, 8)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    for path in (tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"):
        for arch in (None, "interpfer:small"):
            with pytest.raises(ModelError, match=r"is a part of an adapter; pass its folder"):
                load_model(path, classes="anger,fear", arch=arch)
