"""Averaged weights (EMA, SWA) are read wherever libraries store them, with the outputs of the averaged network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.loading import load_model
from interpfer.models.readers.averages import has_same_parameters, name_parameters, resembles
from interpfer.models.readers.contents import find_weights
from interpfer.models.small import SmallCNN

CARD: dict[str, Any] = {
    "arch": "interpfer:small",
    "arch_args": {"width": 4},
    "classes": "anger,fear",
    "input_size": 32,
}


def network(seed: int) -> SmallCNN:
    torch.manual_seed(seed)
    built = SmallCNN(2, width=4)
    with torch.no_grad():
        for value in built.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand_like(value))
    return built.eval()


RAW, AVERAGED = network(0), network(1)
RAW_STATE, AVERAGED_STATE = RAW.state_dict(), AVERAGED.state_dict()


def with_prefix(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in weights.items()}


def parameters() -> list[Tensor]:
    return [value.detach().clone() for value in AVERAGED.parameters()]


def logits(content: Any, path: Path, **options: Any) -> tuple[Tensor, tuple[str, ...]]:
    torch.save(content, path)
    model = load_model(path, **CARD, **options)
    with torch.no_grad():
        return model.module(torch.linspace(0, 1, 3 * 32 * 32).view(1, 3, 32, 32)), model.notes


def expected(of: nn.Module) -> Tensor:
    with torch.no_grad():
        return of(torch.linspace(0, 1, 3 * 32 * 32).view(1, 3, 32, 32))


FILES: dict[str, tuple[Any, str]] = {
    "swa_state_dict": ({"state_dict": RAW_STATE, "swa_state_dict": AVERAGED_STATE}, "swa_state_dict"),
    "averaged model of torch": (
        {"model": RAW_STATE, "swa_model": with_prefix("module.", AVERAGED_STATE) | {"n_averaged": torch.tensor(4)}},
        "swa_model",
    ),
    "another name": ({"model": RAW_STATE, "polyak_weights": AVERAGED_STATE}, "polyak_weights"),
    "lightning": (
        {
            "state_dict": RAW_STATE,
            "callbacks": {"SWA{'x': 1}": {"average_model_state": with_prefix("module.", AVERAGED_STATE)}},
        },
        "callbacks.SWA{'x': 1}.average_model_state",
    ),
    "nested": ({"checkpoint": {"model": RAW_STATE, "ema": AVERAGED_STATE}}, "ema"),
    "ema-pytorch": (
        with_prefix("online_model.", RAW_STATE)
        | with_prefix("ema_model.", AVERAGED_STATE)
        | {"initted": torch.tensor([True]), "step": torch.tensor([7])},
        "ema_model.",
    ),
    "ema-pytorch beside the network": (
        {
            "model": RAW_STATE,
            "ema": with_prefix("online_model.", RAW_STATE) | with_prefix("ema_model.", AVERAGED_STATE),
        },
        "ema",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_the_averaged_weights_are_read_and_a_note_says_so(tmp_path: Path, case: str) -> None:
    content, key = FILES[case]
    found, notes = logits(content, tmp_path / "m.pt")
    assert torch.equal(found, expected(AVERAGED))
    assert not torch.equal(found, expected(RAW))
    assert any(note.startswith(f"the averaged weights under '{key}' were read, not ") for note in notes), notes


def test_the_averaged_weights_alone(tmp_path: Path) -> None:
    found, notes = logits(with_prefix("ema_model.", AVERAGED_STATE), tmp_path / "m.pt")
    assert torch.equal(found, expected(AVERAGED))
    assert notes == ()


@pytest.mark.parametrize("key", ["ema", "ema_state", "anything"])
@pytest.mark.parametrize("beside", [{"collected_params": None}, {}])
def test_parameters_without_names(tmp_path: Path, key: str, beside: dict[str, Any]) -> None:
    stored = {"decay": 0.99, "num_updates": 3, "shadow_params": parameters()} | beside
    found, notes = logits({"model": RAW_STATE, key: stored}, tmp_path / "m.pt")
    averaged = network(0)
    for own, value in zip(averaged.parameters(), AVERAGED.parameters(), strict=True):
        own.data.copy_(value)  # as ema.copy_to does: the buffers stay
    assert torch.equal(found, expected(averaged))
    assert notes == (f"the averaged weights under '{key}' were read, not those under 'model'",)


def test_parameters_without_names_that_do_not_fit(tmp_path: Path) -> None:
    found, notes = logits({"model": RAW_STATE, "ema": {"shadow_params": parameters()[1:]}}, tmp_path / "m.pt")
    assert torch.equal(found, expected(RAW))
    assert notes == (
        "the averaged parameters under 'ema' were not read: they are a list without names, and do not fit the network",
    )
    for content in ({"shadow_params": parameters(), "decay": 0.9}, {"ema": {"shadow_params": parameters()}}):
        with pytest.raises(ModelError, match=r"averaged parameters as a list without names.*after ema\.copy_to"):
            find_weights(content, "m.pt")


def test_mmengine_keeps_the_averaged_weights_under_state_dict(tmp_path: Path) -> None:
    content = {
        "meta": {"mmengine_version": "0.10.3"},
        "state_dict": AVERAGED_STATE,
        "ema_state_dict": with_prefix("module.", RAW_STATE) | {"steps": torch.tensor(5)},
    }
    found, notes = logits(content, tmp_path / "m.pt")
    assert torch.equal(found, expected(AVERAGED))
    assert notes == (
        "the weights under 'state_dict' are the averaged ones; mmengine keeps the others under 'ema_state_dict'",
    )


def test_lightning_has_moved_the_averages_into_the_network(tmp_path: Path) -> None:
    statistics = {name: value + 1 for name, value in AVERAGED_STATE.items() if "running" in name}
    callbacks = {"SWA": {"average_model_state": with_prefix("module.", AVERAGED_STATE | statistics)}}
    found, notes = logits({"state_dict": AVERAGED_STATE, "callbacks": callbacks}, tmp_path / "m.pt")
    assert torch.equal(found, expected(AVERAGED))
    assert notes == ()


def test_meters_are_no_averaged_weights(tmp_path: Path) -> None:
    meters = {"loss": torch.tensor(0.5), "accuracy": torch.tensor(0.9)}
    for key in ("avg_meters", "ema", "average"):
        found, notes = logits({"model": RAW_STATE, key: meters}, tmp_path / "m.pt")
        assert torch.equal(found, expected(RAW))
        assert notes == ()
    _, notes = logits({"model": RAW_STATE, "ema": {"other.weight": torch.ones(9, 9)}}, tmp_path / "m.pt")
    assert notes == ("the weights under 'ema' were not read: they are those of another network",)


def test_an_average_beside_the_network_in_one_state_dict_is_named(tmp_path: Path) -> None:
    content = {"state_dict": with_prefix("model.", RAW_STATE) | with_prefix("model_ema.module.", AVERAGED_STATE)}
    found, notes = logits(content, tmp_path / "m.pt")
    assert torch.equal(found, expected(RAW))
    assert notes[0] == "the averaged weights under 'model_ema.' were not read; pass --key model_ema to read them"
    found, notes = logits(content, tmp_path / "m.pt", key="model_ema")
    assert torch.equal(found, expected(AVERAGED))
    assert notes == ("the network under the key 'model_ema' was read",)


@pytest.mark.parametrize(("key", "of"), [("model", RAW), ("ema", AVERAGED), ("online_model", RAW)])
def test_a_key_chooses_between_them(tmp_path: Path, key: str, of: nn.Module) -> None:
    beside = with_prefix("online_model.", RAW_STATE) | with_prefix("ema_model.", AVERAGED_STATE)
    content = beside if key == "online_model" else {"model": RAW_STATE, "ema": AVERAGED_STATE}
    assert torch.equal(logits(content, tmp_path / "m.pt", key=key)[0], expected(of))


def test_comparisons() -> None:
    assert name_parameters([torch.ones(3)], {"a": torch.ones(2)}) is None
    assert name_parameters([], {"a": torch.ones(2)}) is None
    assert not resembles({}, RAW_STATE)
    assert has_same_parameters(RAW_STATE | {"stages.0.1.running_mean": torch.zeros(4)}, RAW_STATE)
    assert not has_same_parameters(AVERAGED_STATE, RAW_STATE)
