import copy
import json
import math
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import interpfer
from interpfer.cli import finetune as command_file
from interpfer.errors import InterpferError
from interpfer.finetuning.augment import AUGMENTS
from interpfer.finetuning.guide import Guidance, Guide
from interpfer.finetuning.optim import Optim
from interpfer.finetuning.recipe import CHOICES, Recipe, resolve_recipe
from interpfer.finetuning.sweep import scaled, sweep
from interpfer.maps import MAPS
from interpfer.models.loading import load_model


def test_options_make_a_recipe() -> None:
    made = Recipe.of(
        weight=2, loss="l2", align_layers="all", optimizer="adamw", lr=1e-3, head_lr=10, epochs=3,
        freeze="stem, body.0", augment="flip", cutmix=0.5, patience=None,
    )  # fmt: skip
    assert made == Recipe(
        epochs=3,
        freeze=("stem", "body.0"),
        guide=Guide(attention=2, kind="l2", layers="all"),
        optim=Optim(optimiser="adamw", lr=1e-3, head=10),
        augment=replace(AUGMENTS["flip"], cutmix=0.5),
    )
    assert Recipe.of() == Recipe()
    assert Recipe().augment == AUGMENTS["light"]
    assert Recipe.of(freeze=["a", "b"]).freeze == ("a", "b")


@pytest.mark.parametrize(
    ("chosen", "weights"),
    [
        ({}, (1, 1.5)),
        ({"weight": 0}, (0, 0)),
        ({"weight": 9}, (9, 13.5)),
        ({"cam_weight": 2}, (1, 2)),
        ({"weight": 0, "cam_weight": 1}, (0, 1)),
        ({"align": "attention"}, (1, 0)),
        ({"align": "cam"}, (0, 1.5)),
        ({"align": "cam", "weight": 9}, (0, 13.5)),
        ({"align": "cam", "cam_weight": 1}, (0, 1)),
        ({"align": "cam", "weight": 0}, (0, 0)),
    ],
)
def test_one_weight_is_the_guide_as_a_whole(chosen: dict[str, float], weights: tuple[float, float]) -> None:
    assert Recipe.of(**chosen).guide.weights == weights


def test_a_weight_for_what_is_left_out_is_refused() -> None:
    with pytest.raises(InterpferError, match="--align attention leaves the class map out, and --cam-weight gives it"):
        Recipe.of(align="attention", cam_weight=1)


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"epochs": 0}, "epochs 0 must be at least 1"),
        ({"label_smoothing": 1.5}, "label smoothing 1.5 must be between 0 and 1"),
        ({"seed": -1}, "seed -1 must be between 0 and 4294967295"),
        ({"patience": -3}, "patience -3 must be at least 1"),
        ({"tradeoff": float("nan")}, "trade-off nan must be at least 0"),
        ({"clip": 0}, r"largest norm of the gradient 0 \(--clip\) must be above 0"),
        ({"head_lr": -1}, "factor on the head's rate -1 must be at least 0"),
        ({"weight_decay": -1}, "weight decay -1 must be at least 0"),
        ({"mixup": 3}, "mixup 3 must be between 0 and 1"),
        ({"cutmix": 0.8, "mixup": 0.8}, "cutmix and mixup together 1.6 must be between 0 and 1"),
    ],
)
def test_numbers_out_of_range_are_told(chosen: dict[str, float], told: str) -> None:
    with pytest.raises(InterpferError, match=told):
        Recipe.of(**chosen)


def nearness(maps: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    return (maps - heat).abs().mean(1)


def test_a_recipe_tells_its_choices_by_their_options() -> None:
    told = Recipe.of(weight=3, loss=nearness, freeze="a,b", ema=0.5).to_options()
    assert told["weight"] == 3
    assert "test_recipe.nearness" in told["loss"]
    assert told["freeze"] == ["a", "b"]
    assert told["ema"] == 0.5
    assert set(CHOICES) - {"align", "augment"} <= set(told)
    assert json.loads(json.dumps(told)) == told


OTHER: dict[type, object] = {float: 0.25, int: 3, bool: True, str: "other", tuple: ("other",), type(None): 3}


@pytest.mark.parametrize("part", ["", "guide", "optim", "augment"])
def test_two_recipes_tell_the_same_only_where_they_are(part: str) -> None:
    plain = Recipe()
    told = [plain.to_options()]
    for choice in fields(getattr(plain, part) if part else plain):
        other = copy.deepcopy(plain)
        owner = getattr(other, part) if part else other
        value = getattr(owner, choice.name)
        if is_dataclass(value):
            continue
        object.__setattr__(owner, choice.name, not value if isinstance(value, bool) else OTHER[type(value)])
        told.append(other.to_options())
    assert all(a != b for i, a in enumerate(told) for b in told[:i])


def test_functions_and_maps_are_told_apart() -> None:
    maps = [MAPS.get(name) for name in ("attention", "attention-random", "attention-first-half")]
    kinds = [lambda m, h: (m - h).abs().mean(1), lambda m, h: (m * h).sum(1)]
    guides = [*(Guide(attention_map=each) for each in maps), *(Guide(kind=each) for each in kinds)]
    told = [Recipe(guide=guide).to_options() for guide in guides]
    assert all(a != b for i, a in enumerate(told) for b in told[:i])


def test_weight_0_watches_nothing(checkpoint: Path) -> None:
    assert not Guidance(Recipe.of(weight=0).guide, load_model(checkpoint)).watched


def test_a_sweep_keeps_the_proportion_and_0_is_plain() -> None:
    assert scaled(Guide(), 9).weights == (9, 13.5)
    assert scaled(Guide(attention=4, cam=1), 8).weights == (8, 2)
    assert scaled(Guide(attention=0, cam=1), 8).weights == (0, 8)
    assert scaled(Guide(attention=4, cam=0), 8).weights == (8, 0)
    for guide in (Guide(), Guide(attention=4, cam=1), Guide(attention=0, cam=1), Guide(attention=0)):
        assert scaled(guide, 0).weights == (0, 0)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"wieght": 1}, "fine-tuning has no option 'wieght'. Did you mean weight"),
        ({"augment": "fliip"}, "augment 'fliip' is none of none, flip, light, paper. Did you mean flip"),
        ({"align": "both of them"}, "align 'both of them' is none of attention, cam, both"),
        ({"weight": -1}, "the guide's weight -1 must be at least 0"),
        ({"weight": float("nan")}, "weight nan must be at least 0"),
        ({"lr": 0}, "must be above 0"),
    ],
)
def test_impossible_choices(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(InterpferError, match=message):
        Recipe.of(**chosen)


def test_python_takes_single_choices_too(tmp_path: Path) -> None:
    with pytest.raises(InterpferError, match="no option 'dataroot'. Did you mean data_root"):
        interpfer.finetune("model.pt", "demo", out=tmp_path, dataroot="faces")
    with pytest.raises(InterpferError, match="no option 'epoch'. Did you mean epochs"):
        sweep("model.pt", "demo", [0, 4], out=tmp_path, epoch=1)
    with pytest.raises(InterpferError, match=r"give a recipe or single choices \(lr\), not both"):
        resolve_recipe(Recipe(), {"lr": 1})
    assert resolve_recipe(None, {"epochs": 20, "weight": 1, "loss": "cosine"}) == Recipe(epochs=20)


def test_every_choice_is_an_option_of_the_command() -> None:
    assert set(CHOICES) <= {option.name for option in command_file.command.params}


def epoch(accuracy: float, att: float, cam: float) -> dict[str, float]:
    return {"val_accuracy": accuracy, "att_cos": att, "cam_cos": cam}


@pytest.mark.parametrize(
    ("new", "old", "faces", "takes"),
    [
        (epoch(0.6, 0.1, 0.1), epoch(0.5, 0.9, 0.9), 1000, True),
        (epoch(0.6, 0.1, 0.1), epoch(0.5, 0.9, 0.9), 10, False),
        (epoch(0.5, 0.9, 0.9), epoch(0.6, 0.1, 0.1), 10, True),
        (epoch(0.5, 0.9, 0.9), epoch(0.6, 0.1, 0.1), 1000, False),
        (epoch(0.5, 0.6, 0.6), epoch(0.5, 0.5, 0.5), 10, True),
        (epoch(0.5, 0.5, 0.5), epoch(0.5, 0.5, 0.5), 10, False),
        (epoch(0.6, math.nan, math.nan), epoch(0.5, math.nan, math.nan), 10, True),
        (epoch(1.0, 0.5, 0.5), epoch(1.0, 0.4, math.nan), 10, True),
    ],
)
def test_accuracies_within_a_standard_error_are_equal_and_agreement_decides(
    new: dict[str, float], old: dict[str, float], faces: int, takes: bool
) -> None:
    top = max(new["val_accuracy"], old["val_accuracy"])
    assert Recipe().better(new, old, top, faces) is takes


def test_the_first_epoch_is_kept_and_a_trade_off_is_as_told() -> None:
    assert Recipe().better(epoch(0.5, math.nan, math.nan), None, 0.5, 10)
    assert not Recipe(tradeoff=1).better(epoch(0.6, 0.1, 0.1), epoch(0.5, 0.9, 0.9), 0.6, 1000)


@given(
    history=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12),
    faces=st.integers(1, 5000),
)
def test_the_kept_epoch_is_nearly_the_most_accurate_and_none_after_it_agrees_more(
    history: list[tuple[float, float]], faces: int
) -> None:
    lines = [epoch(accuracy, agreement, agreement) for accuracy, agreement in history]
    kept, top = 0, 0.0
    for i, line in enumerate(lines):
        top = max(top, line["val_accuracy"])
        if Recipe().better(line, lines[kept] if i else None, top, faces):
            kept = i
    least = top - math.sqrt(top * (1 - top) / faces)
    assert history[kept][0] >= least
    assert not [i for i in range(kept + 1, len(lines)) if history[i][0] >= least and history[i][1] > history[kept][1]]
