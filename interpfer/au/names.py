"""Names of the action units in the Facial Action Coding System (Ekman, Friesen, Hager 2002)."""

from collections.abc import Iterable

AU_NAMES = {
    1: "Inner Brow Raiser",
    2: "Outer Brow Raiser",
    4: "Brow Lowerer",
    5: "Upper Lid Raiser",
    6: "Cheek Raiser",
    7: "Lid Tightener",
    8: "Lips Toward Each Other",
    9: "Nose Wrinkler",
    10: "Upper Lip Raiser",
    11: "Nasolabial Deepener",
    12: "Lip Corner Puller",
    13: "Sharp Lip Puller",
    14: "Dimpler",
    15: "Lip Corner Depressor",
    16: "Lower Lip Depressor",
    17: "Chin Raiser",
    18: "Lip Pucker",
    19: "Tongue Show",
    20: "Lip Stretcher",
    21: "Neck Tightener",
    22: "Lip Funneler",
    23: "Lip Tightener",
    24: "Lip Pressor",
    25: "Lips Part",
    26: "Jaw Drop",
    27: "Mouth Stretch",
    28: "Lip Suck",
    29: "Jaw Thrust",
    30: "Jaw Sideways",
    31: "Jaw Clencher",
    32: "Lip Bite",
    33: "Cheek Blow",
    34: "Cheek Puff",
    35: "Cheek Suck",
    36: "Tongue Bulge",
    37: "Lip Wipe",
    38: "Nostril Dilator",
    39: "Nostril Compressor",
    41: "Lid Droop",
    42: "Slit",
    43: "Eyes Closed",
    44: "Squint",
    45: "Blink",
    46: "Wink",
    51: "Head Turn Left",
    52: "Head Turn Right",
    53: "Head Up",
    54: "Head Down",
    55: "Head Tilt Left",
    56: "Head Tilt Right",
    57: "Head Forward",
    58: "Head Back",
    61: "Eyes Turn Left",
    62: "Eyes Turn Right",
    63: "Eyes Up",
    64: "Eyes Down",
    65: "Walleye",
    66: "Cross-eye",
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
