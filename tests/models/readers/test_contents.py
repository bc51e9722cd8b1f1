from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from interpfer.errors import ModelError
from interpfer.models.load_weights import load_weights
from interpfer.models.readers.contents import AVERAGED_KEYS, WEIGHT_KEYS, find_weights

WEIGHTS = {"conv.weight": torch.ones(2, 3, 1, 1), "fc.bias": torch.arange(2.0)}
OTHER = {name: torch.zeros_like(value) for name, value in WEIGHTS.items()}


def network() -> nn.Module:
    return nn.ModuleDict({"body": nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), "fc": nn.Linear(4, 2)})


@pytest.mark.parametrize("key", [*WEIGHT_KEYS, *AVERAGED_KEYS])
def test_usual_keys(key: str) -> None:
    contents = find_weights({"epoch": 3, key: WEIGHTS, "optimizer": {"lr": 0.1}}, "m.pt")
    assert (list(contents.weights or ()), contents.where, contents.skipped) == (
        list(WEIGHTS),
        key,
        ("epoch", "optimizer"),
    )


@pytest.mark.parametrize("key", AVERAGED_KEYS)
@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"module": w, "decay": 0.9}, lambda w: {"shadow": w}])
def test_averaged_weights_go_first(key: str, wrap: Any) -> None:
    contents = find_weights({"state_dict": OTHER, key: wrap(WEIGHTS)}, "m.pt")
    assert contents.weights is not None
    assert torch.equal(contents.weights["fc.bias"], WEIGHTS["fc.bias"])
    assert contents.notes == (f"the averaged weights under '{key}' were read, not those under 'state_dict'",)


def test_two_parts_are_joined_and_placed() -> None:
    source = network()
    parts = {"model_state_dict": source["body"].state_dict(), "fc_state_dict": source["fc"].state_dict(), "epoch": 1}
    contents = find_weights(parts, "m.pt")
    assert contents.notes == (
        "the file holds the network in parts, which were joined: model_state_dict, fc_state_dict",
    )
    fresh = network()
    load_weights(fresh, contents.weights or {}, "m.pt")
    assert all(torch.equal(one, other) for one, other in zip(fresh.parameters(), source.parameters(), strict=True))


def test_losses_and_teachers_are_no_parts() -> None:
    contents = find_weights({"model": WEIGHTS, "criterion": {"center": torch.ones(2)}, "teacher": OTHER}, "m.pt")
    assert list(contents.weights or ()) == list(WEIGHTS)
    assert contents.skipped == ("criterion", "teacher")


@given(st.lists(st.sampled_from(["module.", "_orig_mod.", "model.", "net.", "backbone.", "encoder."]), max_size=3))
def test_prefixes_come_off_where_that_makes_names_fit(prefixes: list[str]) -> None:
    source, fresh = network(), network()
    weights = {"".join(prefixes) + name: value for name, value in source.state_dict().items()}
    assert load_weights(fresh, weights, "m.pt") == ()
    assert all(torch.equal(one, other) for one, other in zip(fresh.parameters(), source.parameters(), strict=True))


def test_a_trunk_under_its_name() -> None:
    source = nn.ModuleDict({"backbone": network()})
    assert load_weights(source, network().state_dict(), "m.pt") == ()


def test_other_heads_are_left_over_with_a_note() -> None:
    extra = {"age.weight": torch.ones(1), "age.bias": torch.ones(1), "n_averaged": torch.tensor(3)}
    notes = load_weights(network(), network().state_dict() | extra, "m.pt")
    assert notes == ("ignored 2 tensors that the architecture lacks: age",)


def test_more_blocks_than_the_architecture_has_are_an_error() -> None:
    deeper = network().state_dict() | {"body.2.weight": torch.ones(4, 4, 1, 1)}
    with pytest.raises(ModelError, match=r"do not fit the architecture: unexpected: body\.2\.weight"):
        load_weights(network(), deeper, "m.pt")


def test_counters_of_batches_may_be_missing() -> None:
    weights = {name: value for name, value in network().state_dict().items() if "num_batches" not in name}
    assert load_weights(network(), weights, "m.pt") == ()
