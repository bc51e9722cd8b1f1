import pytest
import torch

from interpfer.errors import InterpferError
from interpfer.finetuning.optim import (
    Optim,
    head_parameters,
    idle_parameters,
    make_average,
    make_optimizer,
    make_schedule,
)
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
    optimizer = make_optimizer(model, Optim(lr=0.1, head_lr=10, body_lr=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.module.named_parameters():
        assert rates[id(parameter)] == pytest.approx(1.0 if name.startswith("head") else 0.05)
        assert bool(decays[id(parameter)]) == (parameter.dim() > 1)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "step", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_every_schedule_lasts_the_whole_training(model: Model, optimizer: str, schedule: str, warmup: float) -> None:
    optim = Optim(optimizer=optimizer, schedule=schedule, warmup=warmup, lr=0.1, step_epochs=1, step_factor=0.5)
    opt = make_optimizer(model, optim)
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


def test_parameters_without_part_in_the_logits_are_found(model: Model) -> None:
    assert idle_parameters(model) == set()
    model.module.extra = torch.nn.Linear(2, 2)
    assert idle_parameters(model) == {"extra.weight", "extra.bias"}


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
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_one_cycle_moves_the_momentum_around_its_value(model: Model, optimizer: str, momentum: float) -> None:
    optim = Optim(optimizer=optimizer, momentum=momentum, lr=1e-3)
    made = make_optimizer(model, optim)
    schedule = make_schedule(made, optim, 2, 10)
    seen = []
    for _ in range(20):
        group = made.param_groups[0]
        seen.append(group["betas"][0] if optimizer == "adamw" else group["momentum"])
        made.step()
        schedule.step()
    assert min(seen) >= 0
    assert max(seen) < 1
    assert (min(seen) + max(seen)) / 2 == pytest.approx(momentum, abs=0.01)
    assert Optim().momentum == 0.9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "adam"}, "optimizer must be one of sgd, adamw, got 'adam'. Did you mean adamw?"),
        ({"schedule": "linear"}, "schedule must be one of one-cycle, cosine, step, constant, got 'linear'."),
        ({"lr": -1}, "lr must be above 0, got -1."),
        ({"momentum": 1}, "momentum must be at least 0 and below 1, got 1."),
        ({"clip": 0}, "clip must be above 0, got 0."),
        ({"ema": 1}, "ema must be at least 0 and below 1, got 1."),
        ({"warmup": 1}, "warmup must be at least 0 and below 1, got 1."),
        ({"head_lr": -1}, "head lr must be at least 0, got -1."),
        ({"weight_decay": -1}, "weight decay must be at least 0, got -1."),
    ],
)
def test_wrong_values_are_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(InterpferError) as raised:
        Optim(**values)
    assert str(raised.value) == message
