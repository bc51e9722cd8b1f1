"""Names of the action units in the Facial Action Coding System (Ekman, Friesen, Hager 2002)."""

from collections.abc import Iterable

AU_NAMES = {
    1: "Inner Brow Raiser",
    2: "Outer Brow Raiser",
    4: "Brow Lowerer",
    5: "Upper Lid Raiser",
    6: "Cheek Raiser",
    7: "Lid Tightener",
    9: "Nose Wrinkler",
    10: "Upper Lip Raiser",
    12: "Lip Corner Puller",
    14: "Dimpler",
    15: "Lip Corner Depressor",
    16: "Lower Lip Depressor",
    17: "Chin Raiser",
    20: "Lip Stretcher",
    23: "Lip Tightener",
    24: "Lip Pressor",
    25: "Lips Part",
    26: "Jaw Drop",
    27: "Mouth Stretch",
    43: "Eyes Closed",
}
"""FACS number -> name."""


def format_aus(aus: Iterable[int]) -> str:
    """Return the number and name of an action unit, or only the numbers of several that share a region.

    Examples:
        >>> format_aus([12]), format_aus([12, 15])
        ('AU 12 Lip Corner Puller', 'AU 12/15')
    """
    numbers = list(aus)
    name = AU_NAMES.get(numbers[0], "") if len(numbers) == 1 else ""
    return f"AU {'/'.join(str(au) for au in numbers)} {name}".strip()
