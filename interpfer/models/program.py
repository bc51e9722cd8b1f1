"""A network that can only be called: none of its layers can be seen, and it may have been made for one batch size."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.models.hooks import first_tensor

AGREE = 1e-4
"""Largest difference, relative to the largest output (at least 1), up to which two outputs are the same."""


class Program(nn.Module):
    """A callable as a module.

    What is inside is kept from ``modules()`` and ``parameters()``, as freezing, hooks and moves would not reach it.

    Args:
        run: from an input (n, c, s, s) to an output; the batch is the first axis of every tensor in it.
        kind: as messages call it, such as "TorchScript program".
        differentiable: whether gradients of the output towards the input exist.
        batch: the only batch size that it takes; None for any.
        move: puts it onto a device; None if it stays on the CPU.
    """

    def __init__(
        self,
        run: Callable[[Tensor], Any],
        kind: str,
        differentiable: bool,
        batch: int | None = None,
        move: Callable[[torch.device], Any] | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.differentiable = differentiable
        self.batch = batch
        self._run = run
        self._move = move
        self._device = torch.device("cpu")
        self.register_buffer("place", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Any:
        """Return what the program returns, whatever the batch size."""
        if self._move is not None and x.device != self._device:
            self._move(x.device)
            self._device = x.device
        inputs = x if self._move is not None else x.cpu()
        if self.batch is None or len(x) == self.batch:
            return _to(self._run(inputs), x.device)
        outputs = []
        for start in range(0, len(x), self.batch):
            part = inputs[start : start + self.batch]
            padding = part[-1:].expand(self.batch - len(part), -1, -1, -1)
            outputs.append(_first(self._run(torch.cat([part, padding])), len(part)))
        return _to(_joined(outputs), x.device)


def largest_gap(found: Any, expected: Any) -> float:
    """Return the largest difference between two outputs, relative to the largest output; infinite for other shapes."""
    one, other = _flat(found), _flat(expected)
    if [value.shape for value in one] != [value.shape for value in other] or not one:
        return math.inf
    pairs = zip(one, other, strict=True)
    gaps = [(a - b).abs().max() / b.abs().max().clamp(min=1) for a, b in pairs]
    return float(torch.stack(gaps).nan_to_num(math.inf).max())


def _flat(output: Any) -> list[Tensor]:
    """Return the tensors of an output in order."""
    if isinstance(output, Tensor):
        return [output.detach().float()]
    if isinstance(output, Mapping):
        return [tensor for value in output.values() for tensor in _flat(value)]
    if isinstance(output, tuple | list):
        return [tensor for value in output for tensor in _flat(value)]
    return []


def _to(output: Any, device: torch.device) -> Any:
    return _mapped([output], lambda tensors: tensors[0].to(device))


def _first(output: Any, count: int) -> Any:
    return _mapped([output], lambda tensors: tensors[0][:count])


def _joined(outputs: list[Any]) -> Any:
    return _mapped(outputs, torch.cat)


def _mapped(outputs: list[Any], function: Callable[[list[Tensor]], Tensor]) -> Any:
    """Apply a function to the tensors at the same place of several outputs."""
    one = outputs[0]
    if isinstance(one, Tensor):
        return function(outputs)
    if isinstance(one, dict):
        return {key: _mapped([output[key] for output in outputs], function) for key in one}
    if isinstance(one, tuple | list):
        return tuple(_mapped([output[index] for output in outputs], function) for index in range(len(one)))
    tensor = first_tensor(one)
    return one if tensor is None else function([first_tensor(output) for output in outputs])  # type: ignore[misc]
