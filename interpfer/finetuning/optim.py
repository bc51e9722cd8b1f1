"""Optimisers, schedules and which part of a network learns at which rate."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, OneCycleLR, SequentialLR, StepLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from interpfer.errors import InterpferError, ModelError
from interpfer.finetuning.freezing import reached, trainable
from interpfer.models.hooks import first_tensor, replace_first
from interpfer.models.model import Model
from interpfer.validation import require_choice, require_range


@dataclass(frozen=True)
class Optim:
    """How the weights move.

    Attributes:
        optimiser: "sgd" (Nesterov momentum) or "adamw".
        lr: the largest learning rate.
        weight_decay: of all weights but biases and normalisations.
        momentum: of sgd (of adamw its first moment), around which one-cycle swings by ``MOMENTUM_RANGE``.
        schedule: "one-cycle", "cosine", "step" or "constant".
        step_epochs: epochs between two steps.
        step_factor: by which a step multiplies the rate.
        warmup: share of the training in which the rate rises linearly first; one-cycle has a rise of its own.
        head: factor on the rate of the head, which is what the logits need beyond the last spatial layer.
        body: factor on the rate of all else.
        clip: largest norm of the gradient; None for no limit.
        ema: decay per update of an exponential average of the weights, which is then what is validated and kept; 0 for
            none.
    """

    optimiser: str = "sgd"
    lr: float = 2e-2
    weight_decay: float = 5e-4
    momentum: float = 0.9
    schedule: str = "one-cycle"
    step_epochs: int = 4
    step_factor: float = 0.9
    warmup: float = 0.0
    head: float = 1.0
    body: float = 1.0
    clip: float | None = None
    ema: float = 0.0

    def __post_init__(self) -> None:
        require_choice("optimizer", self.optimiser, tuple(OPTIMISERS))
        require_choice("schedule", self.schedule, tuple(SCHEDULES))
        if not self.lr > 0:
            raise InterpferError(f"learning rate {self.lr} must be above 0.")
        if not 0 <= self.momentum < 1:
            raise InterpferError(f"momentum {self.momentum} must be in [0, 1), such as 0.9.")
        require_range("weight decay", self.weight_decay, 0)
        require_range("factor on the head's rate", self.head, 0)
        require_range("factor on the body's rate", self.body, 0)
        if self.clip is not None and not self.clip > 0:
            raise InterpferError(f"largest norm of the gradient {self.clip} (--clip) must be above 0.")
        if not 0 <= self.ema < 1:
            raise InterpferError(f"ema {self.ema} must be in [0, 1), such as 0.99.")
        if not 0 <= self.warmup < 1:
            raise InterpferError(f"warm-up {self.warmup} must be a share of the training, such as 0.1.")


MOMENTUM_RANGE = 0.05
"""By so much momentum falls while one-cycle's rate rises, and rises while it falls (Smith 2018, arXiv 1803.09820)."""

OPTIMISERS: Mapping[str, Callable[[Iterable[dict[str, Any]], Optim], Optimizer]] = {
    "sgd": lambda groups, o: SGD(groups, o.lr, momentum=o.momentum, nesterov=o.momentum > 0),
    "adamw": lambda groups, o: AdamW(groups, o.lr, betas=(o.momentum, 0.999)),
}

SCHEDULES: Mapping[str, Callable[[Optimizer, Optim, int, int], LRScheduler]] = {
    "one-cycle": lambda opt, o, steps, _: OneCycleLR(
        opt,
        [g["lr"] for g in opt.param_groups],
        steps,
        base_momentum=o.momentum - _swing(o.momentum),
        max_momentum=o.momentum + _swing(o.momentum),
        cycle_momentum=o.optimiser == "adamw" or o.momentum > 0,
    ),
    "cosine": lambda opt, _, steps, __: CosineAnnealingLR(opt, max(steps, 1)),
    "step": lambda opt, o, _, per_epoch: StepLR(opt, o.step_epochs * per_epoch, o.step_factor),
    "constant": lambda opt, _, __, ___: StepLR(opt, 2**31, 1.0),
}


def _swing(momentum: float) -> float:
    return min(MOMENTUM_RANGE, momentum, (1 - momentum) / 2)


def make_optimiser(model: Model, optim: Optim) -> Optimizer:
    """Return an optimiser of the parameters that are not frozen.

    Raises:
        ModelError: all are frozen.
    """
    head = head_parameters(model) if optim.head != optim.body else set()
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name in head, parameter.dim() > 1), []).append(parameter)
    if not groups:
        raise ModelError(f"model {model.name}: every parameter is frozen, so there is nothing to train.")
    return OPTIMISERS[optim.optimiser](
        [
            {
                "params": parameters,
                "lr": optim.lr * (optim.head if in_head else optim.body),
                "weight_decay": optim.weight_decay if decays else 0.0,
            }
            for (in_head, decays), parameters in groups.items()
        ],
        optim,
    )


def make_schedule(optimiser: Optimizer, optim: Optim, epochs: int, per_epoch: int) -> LRScheduler:
    """Return the schedule, to be stepped after every update.

    Args:
        optimiser: of ``make_optimiser``.
        optim: how the weights move.
        epochs: of the whole training.
        per_epoch: updates in an epoch.
    """
    steps = epochs * per_epoch
    rise = math.ceil(optim.warmup * steps) if optim.schedule != "one-cycle" else 0
    main = SCHEDULES[optim.schedule](optimiser, optim, max(steps - rise, 1), per_epoch)
    if not rise:
        return main
    return SequentialLR(optimiser, [LinearLR(optimiser, 1 / (rise + 1), 1.0, rise), main], [rise])


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

    return reached(model, hooks={model.module.get_submodule(layers[-1].name): cut})


def idle_parameters(model: Model) -> set[str]:
    """Return the names of the trainable parameters that the logits do not depend on."""
    return trainable(model) - reached(model)
