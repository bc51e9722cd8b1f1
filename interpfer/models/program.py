"""Programs: networks that can be called, but whose layers are not accessible; some take only one batch size."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.models.hooks import first_tensor

SAME_OUTPUT = 1e-4
"""Largest difference of two outputs that count as the same, relative to the largest output (at least 1)."""


class Program(nn.Module):
    """A callable as a module.

    Its own modules and parameters are hidden from ``modules()`` and ``parameters()``: freezing, hooks and moves would
    have no effect on them.

    Args:
        run: function from an input (n, c, s, s), or of clips, to an output; the first axis of every tensor in it is the
            batch.
        kind: name in messages, such as "TorchScript program".
        differentiable: whether the output has gradients with respect to the input.
        batch: the only batch size that it takes; None for any. A program that says nothing is tried: one that fails on
            a batch, or returns something else for it than for its images, gets them one by one.
        move: function that moves it to a device; None if it stays on the CPU.
        reason: why its layers are not accessible; "" if that is so for all of its kind.
    """

    def __init__(
        self,
        run: Callable[[Tensor], Any],
        kind: str,
        differentiable: bool,
        batch: int | None = None,
        move: Callable[[torch.device], Any] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__()
        self.reason = reason
        self.kind = kind
        self.differentiable = differentiable
        self.batch = batch
        self._run = run
        self._move = move
        self._device = torch.device("cpu")
        self._takes_batches = False
        self.register_buffer("place", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Any:
        """Run the program on a batch of any size."""
        if self._move is not None and x.device != self._device:
            self._move(x.device)
            self._device = x.device
        inputs = x if self._move is not None else x.cpu()
        if self.batch is None and len(x) > 1 and not self._takes_batches:
            self._takes_batches = self._agrees_on_batches(inputs)
            self.batch = None if self._takes_batches else 1
        if self.batch is None or len(x) == self.batch:
            return _move(self._run(inputs), x.device)
        outputs = []
        for start in range(0, len(x), self.batch):
            chunk = inputs[start : start + self.batch]
            padding = chunk[-1:].expand(self.batch - len(chunk), *chunk.shape[1:])
            outputs.append(_take_rows(self._run(torch.cat([chunk, padding])), len(chunk)))
        return _move(_concatenate(outputs), x.device)

    def _agrees_on_batches(self, inputs: Tensor) -> bool:
        """Return whether two images together get what they get one by one; the first image must run alone."""
        with torch.no_grad():
            alone = _concatenate([self._run(inputs[:1]), self._run(inputs[1:2])])
            try:
                together = self._run(inputs[:2])
            except Exception:  # a program traced with one image may raise anything
                return False
        return largest_difference(together, alone) <= SAME_OUTPUT


def largest_difference(actual: Any, expected: Any) -> float:
    """Return the largest difference of two outputs, relative to the largest expected value (at least 1).

    Args:
        actual: a tensor, or tensors in tuples, lists and mappings.
        expected: the same of the other network.

    Returns:
        The difference; infinite if the shapes differ.

    Examples:
        >>> largest_difference(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        0.5
        >>> largest_difference(torch.zeros(2), torch.zeros(3))
        inf
    """
    one, other = _flatten(actual), _flatten(expected)
    if [value.shape for value in one] != [value.shape for value in other] or not one:
        return math.inf
    pairs = zip(one, other, strict=True)
    differences = [(a - b).abs().max() / b.abs().max().clamp(min=1) for a, b in pairs]
    return float(torch.stack(differences).nan_to_num(math.inf).max())


def _flatten(output: Any) -> list[Tensor]:
    """Return the tensors in an output, in order."""
    if isinstance(output, Tensor):
        return [output.detach().float()]
    if isinstance(output, Mapping):
        return [tensor for value in output.values() for tensor in _flatten(value)]
    if isinstance(output, tuple | list):
        return [tensor for value in output for tensor in _flatten(value)]
    return []


def _move(output: Any, device: torch.device) -> Any:
    return _map_tensors([output], lambda tensors: tensors[0].to(device))


def _take_rows(output: Any, count: int) -> Any:
    return _map_tensors([output], lambda tensors: tensors[0][:count])


def _concatenate(outputs: list[Any]) -> Any:
    return _map_tensors(outputs, torch.cat)


def _map_tensors(outputs: list[Any], function: Callable[[list[Tensor]], Tensor]) -> Any:
    """Apply a function to the list of tensors at each position of several outputs."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return function(outputs)
    if isinstance(first, dict):
        return {key: _map_tensors([output[key] for output in outputs], function) for key in first}
    if isinstance(first, tuple | list):
        return tuple(_map_tensors([output[index] for output in outputs], function) for index in range(len(first)))
    tensor = first_tensor(first)
    return first if tensor is None else function([first_tensor(output) for output in outputs])  # type: ignore[misc]
