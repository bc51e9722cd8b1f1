"""Optimizers, schedules, and the learning rate of each part of a network."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, OneCycleLR, SequentialLR, StepLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from interpfer.errors import ModelError
from interpfer.finetuning.freezing import affecting_parameters, trainable_parameters
from interpfer.finetuning.options import FinetuneOptions, check_fields
from interpfer.models.hooks import first_tensor, replace_first
from interpfer.models.model import Model
from interpfer.validation import require_range


@dataclass(frozen=True)
class Optim:
    """How the weights are updated; what is an option too has its default and meaning in ``FinetuneOptions``.

    Attributes:
        optimizer: name of the optimizer.
        lr: largest learning rate.
        weight_decay: of all weights except biases and normalisations.
        momentum: momentum of sgd, first moment of adamw; one-cycle moves it by ``MOMENTUM_RANGE`` around this value.
        schedule: name of the schedule.
        step_epochs: epochs between two steps of schedule step.
        step_factor: factor on the learning rate at such a step.
        warmup: share of the training with a rising learning rate.
        head_lr: factor on the learning rate of the head.
        body_lr: factor on the learning rate of the other parameters.
        clip: largest norm of the gradient; None for no limit.
        ema: decay of the averaged weights; 0 for none.
    """

    optimizer: str = FinetuneOptions.optimizer
    lr: float = FinetuneOptions.lr
    weight_decay: float = FinetuneOptions.weight_decay
    momentum: float = 0.9
    schedule: str = FinetuneOptions.schedule
    step_epochs: int = 4
    step_factor: float = 0.9
    warmup: float = FinetuneOptions.warmup
    head_lr: float = FinetuneOptions.head_lr
    body_lr: float = FinetuneOptions.body_lr
    clip: float | None = FinetuneOptions.clip
    ema: float = FinetuneOptions.ema

    def __post_init__(self) -> None:
        check_fields(self)
        require_range("momentum", self.momentum, low=0, below=1)


MOMENTUM_RANGE = 0.05
"""Largest change of the momentum under one-cycle, against that of the learning rate (Smith 2018, arXiv 1803.09820)."""

OPTIMIZERS: Mapping[str, Callable[[Iterable[dict[str, Any]], Optim], Optimizer]] = {
    "sgd": lambda groups, o: SGD(groups, o.lr, momentum=o.momentum, nesterov=o.momentum > 0),
    "adamw": lambda groups, o: AdamW(groups, o.lr, betas=(o.momentum, 0.999)),
}

SCHEDULES: Mapping[str, Callable[[Optimizer, Optim, int, int], LRScheduler]] = {
    "one-cycle": lambda opt, o, steps, _: OneCycleLR(
        opt,
        [g["lr"] for g in opt.param_groups],
        steps,
        base_momentum=o.momentum - _momentum_change(o.momentum),
        max_momentum=o.momentum + _momentum_change(o.momentum),
        cycle_momentum=o.optimizer == "adamw" or o.momentum > 0,
    ),
    "cosine": lambda opt, _, steps, __: CosineAnnealingLR(opt, max(steps, 1)),
    "step": lambda opt, o, _, per_epoch: StepLR(opt, o.step_epochs * per_epoch, o.step_factor),
    "constant": lambda opt, _, __, ___: StepLR(opt, 2**31, 1.0),
}


def _momentum_change(momentum: float) -> float:
    return min(MOMENTUM_RANGE, momentum, (1 - momentum) / 2)


def make_optimizer(model: Model, optim: Optim) -> Optimizer:
    """Return an optimizer of the parameters that are not frozen.

    Raises:
        ModelError: all are frozen.
    """
    head = head_parameters(model) if optim.head_lr != optim.body_lr else set()
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name in head, parameter.dim() > 1), []).append(parameter)
    if not groups:
        raise ModelError(f"model {model.name}: every parameter is frozen, so there is nothing to train.")
    return OPTIMIZERS[optim.optimizer](
        [
            {
                "params": parameters,
                "lr": optim.lr * (optim.head_lr if in_head else optim.body_lr),
                "weight_decay": optim.weight_decay if decays else 0.0,
            }
            for (in_head, decays), parameters in groups.items()
        ],
        optim,
    )


def make_schedule(optimizer: Optimizer, optim: Optim, epochs: int, per_epoch: int) -> LRScheduler:
    """Return the schedule, to be stepped after every update.

    Args:
        optimizer: of ``make_optimizer``.
        optim: how the weights are updated.
        epochs: epochs of the whole training.
        per_epoch: updates in an epoch.
    """
    steps = epochs * per_epoch
    rise = math.ceil(optim.warmup * steps) if optim.schedule != "one-cycle" else 0
    main = SCHEDULES[optim.schedule](optimizer, optim, max(steps - rise, 1), per_epoch)
    if not rise:
        return main
    return SequentialLR(optimizer, [LinearLR(optimizer, 1 / (rise + 1), 1.0, rise), main], [rise])


def make_average(module: nn.Module, optim: Optim) -> AveragedModel | None:
    """Return the exponential average of the weights and statistics, or None."""
    if not optim.ema:
        return None
    average = get_ema_multi_avg_fn(optim.ema)  # type: ignore[no-untyped-call]
    return AveragedModel(module, multi_avg_fn=average, use_buffers=True)


def head_parameters(model: Model) -> set[str]:
    """Return the names of the parameters that the logits need beyond the last layer that keeps a grid."""
    layers = model.spatial_layers
    if not layers:
        return set()

    def cut(_: nn.Module, __: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        return None if tensor is None else replace_first(output, tensor.detach())

    return affecting_parameters(model, hooks={model.module.get_submodule(layers[-1].name): cut})


def idle_parameters(model: Model) -> set[str]:
    """Return the names of the trainable parameters that the logits do not depend on."""
    return trainable_parameters(model) - affecting_parameters(model)
