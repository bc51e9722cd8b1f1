"""Checks of arguments: each raises one line that names the argument, what it must be and what it is."""

import math
import operator
from collections.abc import Sequence

from interpfer.errors import InterpferError, nearest


def require_choice(what: str, value: str, known: Sequence[str]) -> None:
    """Check one of a few words.

    Args:
        what: name of the argument.
        value: what was given.
        known: the words allowed.

    Raises:
        InterpferError: ``value`` is not one of ``known``.
    """
    if value not in known:
        raise InterpferError(f"{what} must be one of {', '.join(known)}, got '{value}'.{nearest(value, known)}")


def require_range(
    what: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Check that a number lies in a range.

    Args:
        what: name of the argument.
        value: what was given.
        low: smallest value allowed; None for no limit.
        high: largest value allowed; None for no limit.
        above: largest value that is too small; None for no limit.
        below: smallest value that is too large; None for no limit.

    Raises:
        InterpferError: ``value`` lies outside, or is not a number (NaN).

    Examples:
        >>> require_range("momentum", 1.0, low=0, below=1)
        Traceback (most recent call last):
        interpfer.errors.InterpferError: momentum must be at least 0 and below 1, got 1.0.
    """
    limits = {
        "at least": (low, operator.ge),
        "above": (above, operator.gt),
        "at most": (high, operator.le),
        "below": (below, operator.lt),
    }
    active = {name: (limit, holds) for name, (limit, holds) in limits.items() if limit is not None}
    if not math.isnan(value) and all(holds(value, limit) for limit, holds in active.values()):
        return
    wanted = " and ".join(f"{name} {limit}" for name, (limit, _) in active.items())
    if low is not None and high is not None:
        wanted = f"between {low} and {high}"
    raise InterpferError(f"{what} must be {wanted or 'a number'}, got {value}.")
