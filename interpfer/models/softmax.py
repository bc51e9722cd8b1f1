"""Networks that end in a softmax: tells logits from probabilities, and finds the logits before a softmax."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

LOGITS, PROBABILITIES, LOG_PROBABILITIES = "logits", "probabilities", "log-probabilities"

FINE, COARSE = 1e-4, 2e-2
"""Largest difference from 1 of the sum of a row of probabilities, in full and in half precision."""
MAX_CALLS = 4
"""Calls of a softmax that are kept; the last of a network comes at its end."""

SOFTMAXES = (
    F.softmax,
    F.log_softmax,
    torch.softmax,
    torch.log_softmax,
    torch.special.softmax,
    torch.special.log_softmax,
    Tensor.softmax,
    Tensor.log_softmax,
)


def name_output(scores: Float[Tensor, "n k"], precision: torch.dtype = torch.float32) -> str:
    """Return what the rows of an output are: "logits", "probabilities" or "log-probabilities".

    Args:
        scores: output of a network, of at least one image.
        precision: type in which it was computed.

    Examples:
        >>> scores = torch.tensor([[1.0, 2.0, -1.0]])
        >>> name_output(scores), name_output(scores.softmax(1)), name_output(scores.log_softmax(1))
        ('logits', 'probabilities', 'log-probabilities')
    """
    if bool(is_distribution(scores, precision).all()):
        return PROBABILITIES
    sums = scores.detach().double().logsumexp(1)
    return LOG_PROBABILITIES if bool((sums.abs() < _tolerance(precision)).all()) else LOGITS


def is_distribution(scores: Float[Tensor, "n k"], precision: torch.dtype = torch.float32) -> Bool[Tensor, " n"]:
    """Return for each row whether it is without negative values and sums to 1.

    Args:
        scores: output of a network.
        precision: type in which it was computed.
    """
    rows = scores.detach().double()
    return (rows >= 0).all(1) & ((rows.sum(1) - 1).abs() < _tolerance(precision))


def _tolerance(precision: torch.dtype) -> float:
    return FINE if precision.itemsize >= 4 else COARSE


SIGMOIDS = (torch.sigmoid, torch.special.expit, F.sigmoid, Tensor.sigmoid)


class SoftmaxCalls(TorchFunctionMode):
    """Records what the softmax and log-softmax functions are given, within a ``with`` block.

    Args:
        functions: those that are recorded.
    """

    def __init__(self, functions: Sequence[Callable[..., Any]] = SOFTMAXES) -> None:
        super().__init__()
        self._functions = functions
        self._calls: list[tuple[Tensor, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of torch, and record one of those looked for."""
        output = func(*args, **(kwargs or {}))
        if func in self._functions and isinstance(output, Tensor):
            given = args[0] if args else (kwargs or {})["input"]
            self._calls = [*self._calls[1 - MAX_CALLS :], (given, output)]
        return output

    def logits_of(self, scores: Float[Tensor, "n k"]) -> Float[Tensor, "n k"] | None:
        """Return the input of the softmax whose output these scores are; None if they are of no softmax."""
        for given, output in reversed(self._calls):
            if output.numel() == scores.numel() and torch.equal(output.reshape(scores.shape).float(), scores):
                return given.reshape(scores.shape).float()
        return None


def describe_softmax(kind: str, has_logits: bool) -> str:
    """Return the note on a network that returns probabilities or log-probabilities.

    Args:
        kind: "probabilities" or "log-probabilities".
        has_logits: whether the logits before them are found.
    """
    if has_logits:
        return f"the network returns {kind}: maps and metrics take the logits before its softmax"
    return f"the network returns {kind}, and no softmax that gives them is found: maps explain the {kind}, not logits"


MIN_VALUES = 8
"""Outputs for action units that all lie in [0, 1] before they are taken as probabilities for good."""


def name_au_output(scores: Float[Tensor, "n k"]) -> tuple[str, bool]:
    """Return what outputs for action units are, "logits" or "probabilities", and whether so many values decide it.

    Examples:
        >>> name_au_output(torch.tensor([[0.2, 3.0]])), name_au_output(torch.full((4, 2), 0.5))
        (('logits', True), ('probabilities', True))
        >>> name_au_output(torch.tensor([[0.2, 0.7]]))
        ('probabilities', False)
    """
    in_range = bool(((scores >= 0) & (scores <= 1)).all())
    return (PROBABILITIES, scores.numel() >= MIN_VALUES) if in_range else (LOGITS, True)


def odds(scores: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Return the logarithm of the odds of probabilities, which is finite also for 0 and 1."""
    logits: Tensor = torch.logit(scores, torch.finfo(scores.dtype).eps)
    return logits


def describe_sigmoid(has_logits: bool) -> str:
    """Return the note on a network that returns probabilities of action units.

    Args:
        has_logits: whether the logits before them are found.
    """
    if has_logits:
        return "the AU outputs are probabilities: maps and metrics take the logits before their sigmoid"
    return (
        "the AU outputs lie in [0, 1] and are taken as probabilities, though no sigmoid that gives them is found: maps "
        "explain the logarithm of their odds"
    )
