import pytest
import timm
import torch
from torch import nn

from interpfer.errors import InterpferError, ModelError
from interpfer.finetuning.freezing import freeze, frozen_names, rest_frozen
from interpfer.finetuning.guide import Guidance, Guide
from interpfer.finetuning.optim import (
    Optim,
    head_parameters,
    idle_parameters,
    make_average,
    make_optimiser,
    make_schedule,
)
from interpfer.finetuning.recipe import Recipe
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from tests.conftest import EXPRESSIONS


@pytest.fixture
def model() -> Model:
    return load_model(SmallCNN(7, width=8), classes=EXPRESSIONS, input_size=32)


def test_the_head_is_what_follows_the_last_grid(model: Model) -> None:
    assert head_parameters(model) == {"head.weight", "head.bias"}
    assert all(parameter.requires_grad for parameter in model.module.parameters())


def test_head_and_body_learn_at_their_own_rates(model: Model) -> None:
    optimiser = make_optimiser(model, Optim(lr=0.1, head=10, body=0.5))
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    for name, parameter in model.module.named_parameters():
        assert rates[id(parameter)] == pytest.approx(1.0 if name.startswith("head") else 0.05)
        assert bool(decays[id(parameter)]) == (parameter.dim() > 1)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "step", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_every_schedule_lasts_the_whole_training(model: Model, optimiser: str, schedule: str, warmup: float) -> None:
    optim = Optim(optimiser=optimiser, schedule=schedule, warmup=warmup, lr=0.1, step_epochs=1, step_factor=0.5)
    opt = make_optimiser(model, optim)
    course = make_schedule(opt, optim, epochs=4, per_epoch=5)
    rates = []
    for _ in range(20):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        course.step()
    assert max(rates) == pytest.approx(0.1)
    if warmup or schedule == "one-cycle":
        assert rates[0] < rates[3]
    if schedule != "constant":
        assert rates[-1] < 0.06
    else:
        assert rates[-1] == pytest.approx(0.1)


def test_frozen_parts_rest(model: Model) -> None:
    freeze(model.module, ["stages.0", "head.bias"])
    model.module.train()
    rest_frozen(model.module, ["stages.0"], statistics=False)
    assert not model.module.stages[0][1].training
    assert model.module.stages[1][1].training
    trained = {id(p) for group in make_optimiser(model, Optim()).param_groups for p in group["params"]}
    assert id(model.module.stages[0][0].weight) not in trained
    assert id(model.module.head.bias) not in trained
    rest_frozen(model.module, [], statistics=True)
    assert not model.module.stages[1][1].training
    assert model.module.dropout.training
    with pytest.raises(ModelError, match=r"--freeze stage: the network has no such module. Did you mean stages"):
        freeze(model.module, ["stage"])
    freeze(model.module, ["stages", "head"])
    with pytest.raises(ModelError, match="every parameter is frozen"):
        make_optimiser(model, Optim())


def test_parameters_without_part_in_the_logits_are_found(model: Model) -> None:
    assert idle_parameters(model) == set()
    model.module.extra = torch.nn.Linear(2, 2)
    assert idle_parameters(model) == {"extra.weight", "extra.bias"}


def test_half_of_a_network_is_what_comes_before_its_middle(model: Model) -> None:
    resting = frozen_names(model, "half")
    freeze(model.module, resting)
    moving = {name for name, parameter in model.module.named_parameters() if parameter.requires_grad}
    assert moving == {
        name for name, _ in model.module.named_parameters() if name.startswith(("stages.2", "stages.3", "head"))
    }
    model.module.train()
    rest_frozen(model.module, resting, False)
    leaves = {name: child.training for name, child in model.module.named_modules() if not list(child.children())}
    assert [name for name, on in leaves.items() if not on] == [
        name for name in leaves if name.startswith(("stages.0", "stages.1"))
    ]
    assert frozen_names(model, ("head",)) == ("head",)


def test_half_of_a_transformer_holds_its_tokens() -> None:
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=4, embed_dim=24, num_heads=2,
                                num_classes=7)  # fmt: skip
    resting = frozen_names(load_model(network, classes=EXPRESSIONS, input_size=32), "half")
    assert set(resting) == {"cls_token", "pos_embed", "pos_drop", "patch_drop", "norm_pre", "patch_embed", "blocks.0",
                            "blocks.1"}  # fmt: skip


class HeadFirst(nn.Module):
    """Registers its classifier before its stages, and drops out after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 7)
        self.last = nn.Conv2d(8, 8, 3, padding=1)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.stem(x))
        return self.head(self.drop(self.last(x)).mean((2, 3)))


def test_half_goes_by_what_runs_not_by_what_is_registered() -> None:
    model = load_model(HeadFirst(), classes=EXPRESSIONS, input_size=16, layers=["stem", "last"])
    resting = frozen_names(model, "half")
    assert resting == ("stem",)
    freeze(model.module, resting)
    model.module.train()
    rest_frozen(model.module, resting, False)
    assert [name for name, module in model.module.named_modules() if not module.training] == [
        "stem",
        "stem.0",
        "stem.1",
    ]
    assert {name for name, p in model.module.named_parameters() if p.requires_grad} == {
        "head.weight", "head.bias", "last.weight", "last.bias"
    }  # fmt: skip


def test_a_network_without_stages_has_no_half() -> None:
    flat = nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert frozen_names(load_model(flat, classes=EXPRESSIONS, input_size=32), "half") == ()


@pytest.mark.parametrize(
    ("given", "kept"), [("none", ()), ("half", "half"), ("a, b", ("a", "b")), (("a",), ("a",)), ((), ())]
)
def test_what_is_frozen_is_named(given: str | tuple[str, ...], kept: str | tuple[str, ...]) -> None:
    assert Recipe(freeze=given).freeze == kept


def test_the_average_follows_slowly(model: Model) -> None:
    assert make_average(model.module, Optim()) is None
    average = make_average(model.module, Optim(ema=0.9))
    assert average is not None
    start = model.module.head.bias.detach().clone()
    average.update_parameters(model.module)
    with torch.no_grad():
        model.module.head.bias += 1
    average.update_parameters(model.module)
    torch.testing.assert_close(average.module.head.bias.detach(), start + 0.1)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_momentum_swings_around_what_is_said(model: Model, optimiser: str, momentum: float) -> None:
    optim = Optim(optimiser=optimiser, momentum=momentum, lr=1e-3)
    made = make_optimiser(model, optim)
    schedule = make_schedule(made, optim, 2, 10)
    seen = []
    for _ in range(20):
        group = made.param_groups[0]
        seen.append(group["betas"][0] if optimiser == "adamw" else group["momentum"])
        made.step()
        schedule.step()
    assert min(seen) >= 0
    assert max(seen) < 1
    assert (min(seen) + max(seen)) / 2 == pytest.approx(momentum, abs=0.01)
    assert Optim().momentum == 0.9


def test_a_stage_of_fixed_filters_has_no_parameters() -> None:
    network = nn.Sequential()
    network.add_module("pool", nn.AvgPool2d(2))
    network.add_module("conv", nn.Conv2d(3, 8, 3, padding=1))
    network.add_module("head", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7)))
    model = load_model(network, classes=EXPRESSIONS, input_size=16, layers=["pool", "conv"])
    assert frozen_names(model, "half") == ("pool",)
    with pytest.raises(InterpferError, match="nothing that is trained changes the attention of pool"):
        Guidance(Guide(layers=("pool",)), model)
    assert Guidance(Guide(layers="all"), model).layers == ("conv",)


def test_wrong_numbers_are_told() -> None:
    with pytest.raises(InterpferError, match="optimizer 'adam' is none of sgd, adamw"):
        Optim(optimiser="adam")
    with pytest.raises(InterpferError, match="learning rate -1 must be above 0"):
        Optim(lr=-1)
    with pytest.raises(InterpferError, match="epochs 0 must be at least 1"):
        Recipe(epochs=0)
