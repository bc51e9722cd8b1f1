"""Orders in which classifiers of action units list their outputs, and the check of one."""

from collections.abc import Sequence

from interpfer.errors import DataError, nearest
from interpfer.files import bounded_integer

LARGEST_AU = 79
"""Largest number in the Facial Action Coding System that is an action unit or an action descriptor of the face."""

AU_ORDERS: dict[str, tuple[int, ...]] = {
    "bp4d12": (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24),
    "disfa8": (1, 2, 4, 6, 9, 12, 25, 26),
    "disfa12": (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26),
    "affwild2": (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26),
    "openface3": (1, 2, 4, 6, 9, 12, 25, 26),
    "opengraphau27": (
        *(1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27, 32, 38, 39),
    ),
}
"""Name -> FACS numbers in output order. ``bp4d12`` and ``disfa8`` are those of JAA-Net, ME-GraphAU and FMAE,
``affwild2`` that of ABAW's files; ``opengraphau27`` is the first part of OpenGraphAU's 41 outputs, before those of one
side."""


def resolve_au_order(aus: str | float | Sequence[float | str]) -> tuple[int, ...]:
    """Return the FACS numbers of a known order, or of a list.

    Args:
        aus: name of a known order, numbers separated by commas, or a list of numbers.

    Raises:
        DataError: it is none of these, a number is not between 1 and 79, or one is listed twice.

    Examples:
        >>> resolve_au_order("disfa8"), resolve_au_order("1,2,12"), resolve_au_order([12, "AU25"])
        ((1, 2, 4, 6, 9, 12, 25, 26), (1, 2, 12), (12, 25))
    """
    if isinstance(aus, str) and aus.strip().lower() in AU_ORDERS:
        return AU_ORDERS[aus.strip().lower()]
    items = [aus] if isinstance(aus, int | float) else aus.split(",") if isinstance(aus, str) else list(aus)
    numbers = []
    for item in items:
        text = f"{item:g}" if isinstance(item, float) else str(item).strip()
        digits = text.upper().removeprefix("AU").strip()
        if isinstance(item, bool) or not digits.isdecimal():
            raise DataError(
                f"AUs must be FACS numbers such as 1,2,4 or one of {', '.join(AU_ORDERS)}, got '{text}'."
                f"{nearest(text, AU_ORDERS)}"
            )
        if not 1 <= bounded_integer(digits) <= LARGEST_AU:
            raise DataError(f"an AU must be between 1 and {LARGEST_AU}, got {digits}.")
        if bounded_integer(digits) in numbers:
            raise DataError(f"AU {digits} is listed twice.")
        numbers.append(bounded_integer(digits))
    if not numbers:
        raise DataError("the list of AUs is empty.")
    return tuple(numbers)
