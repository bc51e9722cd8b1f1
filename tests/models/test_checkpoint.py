import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from interpfer.errors import ModelError, TrustError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.load_weights import load_weights
from interpfer.models.loading import load_model

WEIGHTS = {"conv.weight": torch.ones(2, 3, 1, 1), "fc.bias": torch.arange(2.0)}


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def same(one: Any, other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_weights_are_found(tmp_path: Path, key: str | None, prefix: str) -> None:
    weights = {f"{prefix}{name}": value for name, value in WEIGHTS.items()}
    content = weights if key is None else {"epoch": 3, key: weights, "optimizer_state": {"lr": 0.1}}
    checkpoint = read_checkpoint(saved(tmp_path / "m.pt", content))
    assert same(checkpoint.weights, WEIGHTS)
    assert checkpoint.module is None
    assert len(checkpoint.sha256) == 64


def test_a_prefix_that_only_some_names_have_stays(tmp_path: Path) -> None:
    weights = {"module.a": torch.ones(1), "head": torch.ones(1)}
    assert same(read_checkpoint(saved(tmp_path / "m.pt", weights)).weights, weights)


def test_a_card_inside(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", {"state_dict": WEIGHTS, "card": {"classes": ["anger"]}})
    assert read_checkpoint(path).card == {"classes": ["anger"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"optimizer": {"lr": 1}, "epoch": 3},
            r"holds no weights, only the state of an optimizer; its keys are optimizer, epoch; pass another file",
        ),
        ({}, "holds no weights; its keys are none"),
        ([1, 2], "holds a list; expected weights or a module"),
        (torch.ones(2), "holds a Tensor; expected weights or a module"),
    ],
)
def test_no_weights(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_checkpoint(saved(tmp_path / "m.pt", content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"checkpoint .*m\.pt is empty; copy or download it again"),
        (b"<!DOCTYPE html> not found", r"m\.pt is not a readable checkpoint"),
        (b"PK\x03\x04" + b"\0" * 50, r"m\.pt is not a readable checkpoint"),
        (b"\x80\x02", r"m\.pt is not a readable checkpoint"),
    ],
)
def test_junk(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(ModelError, match=message) as error:
        read_checkpoint(tmp_path / "m.pt")
    assert not isinstance(error.value, TrustError)


def test_a_truncated_download(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", WEIGHTS)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        read_checkpoint(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"checkpoint not found: .*none\.pt"):
        read_checkpoint(tmp_path / "none.pt")


def test_a_whole_module_needs_trust_and_the_refusal_says_what_would_run(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()))
    with pytest.raises(TrustError) as error:
        load_model(path, classes=["anger", "fear"])
    assert str(error.value).startswith(f"checkpoint {path} is a pickle that would import and run torch.nn.modules.")
    assert str(error.value).endswith(
        "if you trust its source, pass --trust (trust=True), "
        "or pass its architecture with --arch to read the weights only."
    )
    read = read_checkpoint(path)
    assert read.module is None
    assert same(read.weights, read_checkpoint(path, trust=True).module.state_dict())
    module = read_checkpoint(path, trust=True).module
    assert isinstance(module, nn.Sequential)
    assert isinstance(read_checkpoint(saved(path, {"net": module}), trust=True).module, nn.Sequential)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_not_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "m.pt", tmp_path / "trace"
    torch.save({"state_dict": WEIGHTS, "extra": Hostile(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(TrustError, match=r"would import and run (_io|io)\.open, which no weights need; if you trust"):
        read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_bare_hostile_pickle_is_not_run(tmp_path: Path, protocol: int) -> None:
    path, trace = tmp_path / "m.pt", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Hostile(trace), protocol))
    with pytest.raises(TrustError, match=r"would import and run (_io|io)\.open, which no weights need; if you trust"):
        read_checkpoint(path)
    assert not trace.exists()


def test_files_from_before_torch_1_6(tmp_path: Path) -> None:
    path = tmp_path / "m.t7"
    torch.save({"net": WEIGHTS}, path, _use_new_zipfile_serialization=False)
    assert same(read_checkpoint(path).weights, WEIGHTS)
    torch.save(nn.Linear(2, 2), path, _use_new_zipfile_serialization=False)
    with pytest.raises(TrustError, match=r"would import and run .*torch\.nn\.modules\.linear\.Linear; if you trust"):
        read_checkpoint(path)
    assert isinstance(read_checkpoint(path, trust=True).module, nn.Linear)


def test_weights_that_do_not_fit() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    weights = network.state_dict()
    before = {name: value.clone() for name, value in weights.items()}
    wrong = {"0.weight": torch.zeros(3, 5), "0.bias": weights["0.bias"], "head.weight": torch.zeros(1)}
    with pytest.raises(ModelError) as error:
        load_weights(network, wrong, "m.pt")
    assert str(error.value) == (
        "the weights of m.pt do not fit the architecture: missing: 1.weight, 1.bias; unexpected: head.weight; "
        "0.weight is (3, 5) in the file and (3, 2) in the architecture. "
        "1 of its 4 tensors fit: pass another architecture (--arch)."
    )
    assert same(network.state_dict(), before)
    deeper = {f"0.{i}.bias": torch.zeros(1) for i in range(9)} | dict(weights)
    with pytest.raises(ModelError, match=r"unexpected: 0\.0\.bias, 0\.1\.bias, 0\.2\.bias and 6 more"):
        load_weights(network, deeper, "m.pt")


def test_load_model_reads_card_and_weights(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def build(width):\n"
        "    return nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))\n"
    )
    (tmp_path / "m.yaml").write_text(
        "arch: net.py:build\narch_args: {width: 4}\nclasses: [anger, fear]\ninput: {size: 16, mean: 0.5}\n"
    )
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    path = saved(tmp_path / "m.pt", {"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}})
    with pytest.raises(
        TrustError, match=r"arch 'net\.py:build' would run the file .*net\.py; review it, then pass --trust"
    ):
        load_model(path)
    model = load_model(path, trust=True, std=0.25, classes="fear, sad")
    assert model.name == "m"
    assert model.classes == ("fear", "sadness")
    assert (model.card.input.size, model.card.input.mean, model.card.input.std) == (16, (0.5,), (0.25,))
    assert same(model.module.state_dict(), network.state_dict())
    assert load_model(tmp_path, trust=True).name == "m"


def test_without_a_card(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt", WEIGHTS)
    with pytest.raises(
        ModelError, match=r"model card of .*m\.pt \(there is no m.yaml beside it\): the field 'arch' is missing"
    ):
        load_model(path)


def test_a_card_inside_that_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the card inside .* must be a mapping"):
        load_model(saved(tmp_path / "m.pt", {"state_dict": WEIGHTS, "card": "anger, fear"}))


def test_an_input_that_is_no_mapping(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "m.pt", {"state_dict": WEIGHTS, "card": {"arch": "a:b", "classes": ["anger"], "input": 112}}
    )
    with pytest.raises(ModelError, match="input must be a mapping"):
        load_model(path)


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("student.weight", "teacher.weight"), 0),
        (("teacher.weight", "student.weight"), 1),
        (("model.weight", "model_ema.weight"), 0),
        (("backbone.weight", "weight"), 1),
        (("one.weight", "two.weight"), None),
    ],
)
def test_of_two_copies_of_a_network_none_is_taken_for_the_other(names: tuple[str, str], taken: int | None) -> None:
    network = nn.Linear(1, 1, bias=False)
    weights = {name: torch.full((1, 1), float(i)) for i, name in enumerate(names)}
    if taken is None:
        with pytest.raises(ModelError, match="do not fit the architecture: missing: weight"):
            load_weights(network, weights, "m.pt")
    else:
        notes = load_weights(network, weights, "m.pt")
        assert network.weight.item() == taken
        assert notes[0].startswith("ignored 1 tensors that the architecture lacks")


def test_parts_move_beside_a_tensor_of_the_network_itself() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1))
            self.features, self.fc = nn.Linear(2, 2), nn.Linear(2, 1)

    weights = {"token": torch.ones(1)} | {
        f"{part}.{name}": torch.ones_like(value)
        for part, layer in (("trunk", nn.Linear(2, 2)), ("top", nn.Linear(2, 1)))
        for name, value in layer.state_dict().items()
    }
    network = Network()
    assert load_weights(network, weights, "m.pt") == ()
    assert all(value.eq(1).all() for value in network.state_dict().values())
