"""Checks of arguments: each raises one line that names the argument, what it must be and what it is."""

import math
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


def require_range(what: str, value: float, low: float, high: float = math.inf) -> None:
    """Check that a number lies in a range, ends included.

    Raises:
        InterpferError: it does not, or is no number.
    """
    if not low <= value <= high:
        wanted = f"at least {low}" if high == math.inf else f"between {low} and {high}"
        raise InterpferError(f"{what} must be {wanted}, got {value}.")
