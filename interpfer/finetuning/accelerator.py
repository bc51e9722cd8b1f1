"""The accelerator of a training: device, mixed precision and processes, by accelerate."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import ProjectConfiguration
from torch import Tensor, nn

from interpfer.errors import InterpferError
from interpfer.finetuning.plugins import Plugin
from interpfer.models.heads.base import Head


class TrainingForward(nn.Module):
    """A network with the arguments that its card gives to its forward, plug-ins, and the losses of its heads.

    Mixed precision patches the module that it gets for good; this wrapper is that module, and the network stays clean.
    """

    def __init__(self, module: nn.Module, arguments: Mapping[str, Any], plugins: Sequence[Plugin] = ()) -> None:
        super().__init__()
        self.module = module
        self.plugins = tuple(plugins)
        self.arguments = dict(arguments)

    def forward(self, x: Tensor, targets: Sequence[tuple[float, Tensor]]) -> tuple[Any, Tensor | None]:
        """Return whatever the network returns, and the loss that its heads and the plug-ins add; None for none.

        Args:
            x: preprocessed images.
            targets: share and class of each face, more than one pair for a mixture of faces.
        """
        given: dict[Head, Tensor] = {}
        heads = [module for module in self.module.modules() if isinstance(module, Head)]
        handles = [head.register_forward_pre_hook(lambda own, inputs: given.update({own: inputs[0]})) for head in heads]
        try:
            with ExitStack() as stack:
                for plugin in self.plugins:
                    stack.enter_context(plugin.attached())
                output = self.module(x, **self.arguments)
        finally:
            for handle in handles:
                handle.remove()
        losses = [
            share * loss
            for head, features in given.items()
            for share, classes in targets
            if share and (loss := head.training_loss(features, classes)) is not None
        ]
        added = [plugin.loss(self.module, x, targets) for plugin in self.plugins]
        losses += [loss for loss in added if loss is not None]
        return output, torch.stack(losses).sum() if losses else None


def make_accelerator(
    device: str, precision: str, trackers: Sequence[str] = (), logs: Path | None = None
) -> Accelerator:
    """Return the accelerator that runs a training: as configured by the launcher, else on one device.

    A process that trains alone may choose another device and precision for each training.

    Args:
        device: "auto", "cpu", "cuda", or "cuda:1", which becomes the current one of the process.
        precision: "no", "bf16" or "fp16".
        trackers: programs that follow the training; see ``interpfer.finetuning.tracking``.
        logs: folder for those that write files.

    Raises:
        InterpferError: the device has no such mixed precision; accelerate would train in float32 without a word.
    """
    if _trains_alone():
        _renew_state()
        if device.startswith("cuda:"):
            torch.cuda.set_device(device)
    try:
        places = ProjectConfiguration(logging_dir=None if logs is None else str(logs))
        accelerator = Accelerator(
            cpu=device == "cpu",
            mixed_precision=precision,
            log_with=list(trackers) or None,
            project_config=places if trackers else None,
        )
    except ValueError as error:
        raise InterpferError(
            f"mixed precision {precision} is not available on the device {device} ({error}); pass --mixed-precision no."
        ) from error
    if precision != "no" and not accelerator.native_amp:
        raise InterpferError(
            f"mixed precision {precision} is not available on the device {accelerator.device.type}; pass "
            "--mixed-precision bf16 or no, or --device cuda."
        )
    return accelerator


def _trains_alone() -> bool:
    return not AcceleratorState._shared_state or AcceleratorState().num_processes == 1


def _renew_state() -> None:
    """Let the next accelerator choose its device and precision.

    accelerate keeps the first choice of a process for good, and has no public way to undo it. Its own ``_reset_state``
    empties the dictionary that accelerators in use share; a new dictionary leaves those as they are.
    """
    AcceleratorState._shared_state, PartialState._shared_state = {}, {}
