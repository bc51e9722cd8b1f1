"""Running of checks, and what several of them need."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

S = TypeVar("S")

TOLERANCE = 1e-4
"""Largest difference between equal results, relative to the largest value."""


def require(condition: bool | Tensor, message: str) -> None:
    """Fail a check.

    Raises:
        AssertionError: the condition is false; with the message.
    """
    if not condition:
        raise AssertionError(message)


def run_checks(what: str, subject: S, checks: Sequence[Callable[[S], None]]) -> None:
    """Run all checks; the first line of a check's docstring is its name.

    Args:
        what: kind and name of the subject, for the message.
        subject: argument of each check.
        checks: functions that raise an error where the check fails.

    Raises:
        AssertionError: a check fails; the message lists all that do.

    Examples:
        >>> def positive(number):
        ...     '''It is positive.'''
        ...     require(number > 0, f"it is {number}")
        >>> run_checks("number a", 1, [positive])
        >>> run_checks("number b", -1, [positive])
        Traceback (most recent call last):
        AssertionError: number b fails 1 of 1 checks:
          - It is positive: it is -1
    """
    failures: dict[str, list[str]] = {}
    for check in checks:
        name = (check.__doc__ or check.__name__).partition("\n")[0].rstrip(".")
        try:
            check(subject)
        except AssertionError as error:
            failures.setdefault(str(error) or "an assertion fails", []).append(name)
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            failures.setdefault(reason, []).append(name)
    if failures:
        lines = (f"  - {'; '.join(names)}: {reason}" for reason, names in failures.items())
        count = sum(map(len, failures.values()))
        raise AssertionError("\n".join([f"{what} fails {count} of {len(checks)} checks:", *lines]))


def name_of(function: object) -> str:
    """Return the name of a function, for messages."""
    return str(getattr(function, "__name__", "without a name"))


def relative_difference(one: Tensor, other: Tensor) -> float:
    """Return the largest difference relative to the largest magnitude; infinite where only one of both is NaN.

    Examples:
        >>> relative_difference(torch.tensor([2.0, 4.0]), torch.tensor([2.0, 3.0]))
        0.25
    """
    if one.shape != other.shape or not bool((one.isnan() == other.isnan()).all()):
        return float("inf")
    known = ~one.isnan()
    if not bool(known.any()):
        return 0.0
    return float((one - other)[known].abs().max() / one[known].abs().max().clamp(min=1e-12))


def random_images(n: int, size: int) -> Float[Tensor, "n 3 s s"]:
    """Return images in [0, 1], the same every time."""
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def smooth_maps(n: int, size: int, seed: int, grid: int = 5) -> Float[Tensor, "n s s"]:
    """Return maps as a layer gives them: random values on a coarse grid, enlarged, each stretched to [0, 1]."""
    raw = torch.rand(n, 1, grid, grid, generator=torch.Generator().manual_seed(seed))
    maps = F.interpolate(raw, size=(size, size), mode="bilinear")[:, 0]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


def _state(network: nn.Module) -> dict[str, Any]:
    return {
        "train or eval of a module": [module.training for module in network.modules()],
        "requires_grad of a parameter": [parameter.requires_grad for parameter in network.parameters()],
        "the hooks of a module": [len(module._forward_hooks) for module in network.modules()],
        ".grad of a parameter": [parameter.grad is not None for parameter in network.parameters()],
    }


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Check that a network is the same after a ``with`` block as before.

    Raises:
        AssertionError: it is not; the message names what changed.
    """
    before, weights = _state(network), {name: value.clone() for name, value in network.state_dict().items()}
    yield
    after = _state(network)
    changed = [what for what, value in before.items() if after[what] != value]
    changed += [name for name, value in network.state_dict().items() if not torch.equal(value, weights[name])]
    require(not changed, f"{', '.join(changed[:4])} changed; restore it in a finally block")
