import copy
import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch

import interpfer
from interpfer.errors import InterpferError
from interpfer.finetuning.augment import AUGMENTS
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.optim import Optim
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import Recipe, make_recipe, resolve_choices
from interpfer.finetuning.sweep import sweep
from interpfer.maps import MAPS
from interpfer.truth.options import TruthOptions


def test_options_make_a_recipe() -> None:
    options = FinetuneOptions(
        weight=2, loss="l2", align_layers="all", optimizer="adamw", lr=1e-3, head_lr=10, epochs=3,
        freeze="stem, body.0", augment="flip", cutmix=0.5, protocol="corrected", codebook="emfacs",
    )  # fmt: skip
    assert make_recipe(options) == Recipe(
        epochs=3,
        freeze=("stem", "body.0"),
        guide=Guide(
            weight=2,
            loss="l2",
            align_layers="all",
            truth_options=TruthOptions(protocol="corrected", codebook="emfacs"),
        ),
        optim=Optim(optimizer="adamw", lr=1e-3, head_lr=10),
        augment=replace(AUGMENTS["flip"], cutmix=0.5),
    )


@pytest.mark.parametrize(
    ("chosen", "weights"),
    [
        ({}, (3, 4.5)),
        ({"weight": 0}, (0, 0)),
        ({"weight": 9}, (9, 13.5)),
        ({"cam_weight": 2}, (3, 2)),
        ({"weight": 0, "cam_weight": 1}, (0, 1)),
        ({"align": "attention"}, (3, 0)),
        ({"align": "attention", "cam_weight": 0}, (3, 0)),
        ({"align": "cam"}, (0, 4.5)),
        ({"align": "cam", "weight": 9}, (0, 13.5)),
        ({"align": "cam", "cam_weight": 1}, (0, 1)),
        ({"align": "cam", "weight": 0}, (0, 0)),
    ],
)
def test_one_weight_is_the_guide_as_a_whole(chosen: dict[str, object], weights: tuple[float, float]) -> None:
    assert make_recipe(FinetuneOptions(**chosen)).guide.weights == weights


def test_a_weight_for_what_is_left_out_is_refused() -> None:
    with pytest.raises(InterpferError) as raised:
        make_recipe(FinetuneOptions(align="attention", cam_weight=1))
    assert str(raised.value) == (
        "--align attention has no class-map term, so it cannot be combined with --cam-weight; pass one."
    )


def nearness(maps: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    return (maps - heat).abs().mean(1)


def test_a_recipe_as_json_has_the_names_of_the_options() -> None:
    recipe = Recipe(freeze="a,b", guide=Guide(weight=3, loss=nearness), optim=Optim(ema=0.5))
    values = recipe.to_dict()
    assert values["weight"] == 3
    assert "test_recipe.nearness" in values["loss"]
    assert values["freeze"] == ["a", "b"]
    assert values["ema"] == 0.5
    assert values["protocol"] == "paper"
    assert values["guide.cam_layers"] == "last"
    assert values["optim.momentum"] == 0.9
    assert values["augment.flip"] == 0.5
    assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize(
    ("freeze", "names"), [("none", ()), ("half", "half"), ("a, b", ("a", "b")), (["a"], ("a",)), ((), ())]
)
def test_what_is_frozen_is_a_list_of_names(freeze: str | list[str], names: str | tuple[str, ...]) -> None:
    assert Recipe(freeze=freeze).freeze == names


OTHER: dict[type, object] = {float: 0.375, int: 3, bool: True, str: "other", tuple: ("other",), type(None): 3,
                             TruthOptions: TruthOptions(truth="other")}  # fmt: skip


@pytest.mark.parametrize("part", ["", "guide", "optim", "augment"])
def test_different_recipes_have_different_values(part: str) -> None:
    plain = Recipe()
    values = [plain.to_dict()]
    for choice in fields(getattr(plain, part) if part else plain):
        other = copy.deepcopy(plain)
        owner = getattr(other, part) if part else other
        value = getattr(owner, choice.name)
        if (
            is_dataclass(value) and type(value) not in OTHER
        ) or choice.name == "method":  # a method decides nothing more
            continue
        object.__setattr__(owner, choice.name, not value if isinstance(value, bool) else OTHER[type(value)])
        values.append(other.to_dict())
    assert all(a != b for i, a in enumerate(values) for b in values[:i])


def test_different_functions_and_maps_have_different_values() -> None:
    maps = [MAPS.get(name) for name in ("attention", "attention-random", "attention-first-half")]
    losses = [lambda m, h: (m - h).abs().mean(1), lambda m, h: (m * h).sum(1)]
    guides = [*(Guide(attention_map=each) for each in maps), *(Guide(loss=each) for each in losses)]
    values = [Recipe(guide=guide).to_dict() for guide in guides]
    assert all(a != b for i, a in enumerate(values) for b in values[:i])


def test_single_choices_options_or_a_recipe() -> None:
    options, recipe = resolve_choices(None, None, {"epochs": 20, "out": "x"})
    assert options == FinetuneOptions(epochs=20, out="x")
    assert recipe == Recipe(epochs=20)
    options, recipe = resolve_choices(None, Recipe(epochs=3), {"device": "cpu"})
    assert (options.device, recipe.epochs) == ("cpu", 3)
    assert resolve_choices(FinetuneOptions(epochs=5), None, {})[1] == Recipe(epochs=5)
    with pytest.raises(InterpferError, match=r"pass a recipe or single choices \(lr, augment, codebook\), not both"):
        resolve_choices(None, Recipe(), {"lr": 1, "augment": "flip", "codebook": "emfacs", "device": "cpu"})
    with pytest.raises(InterpferError, match=r"pass options or single choices \(lr\), not both"):
        resolve_choices(FinetuneOptions(), None, {"lr": 1})


def test_python_suggests_the_nearest_option(tmp_path: Path) -> None:
    with pytest.raises(InterpferError, match="no option 'dataroot'. Did you mean data_root"):
        interpfer.finetune("model.pt", "demo", out=tmp_path, dataroot="faces")
    with pytest.raises(InterpferError, match="no option 'epoch'. Did you mean epochs"):
        sweep("model.pt", "demo", [0, 4], out=tmp_path, epoch=1)
