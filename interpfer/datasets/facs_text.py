"""Action units written as FACS text, such as ``1+2+L12b+25``."""

import math
import re
from collections.abc import Mapping

from interpfer.errors import DataError
from interpfer.files import bounded_integer
from interpfer.types import OTHER_SIDE, CodedAU, CodedAUs

LEVELS: Mapping[str, float] = {letter: (place + 1) / 5 for place, letter in enumerate("abcde")}
"""Letter of FACS -> intensity in [0, 1]."""

LARGEST = 79
"""Largest FACS number of an action unit."""

NOT_CODED = "?"
"""Text of a face that nobody coded."""

NOTHING = ("", "0", "null", "none")
"""Texts of a face that was coded and shows no action unit."""

SIDES: Mapping[str, str | None] = {"l": "left", "r": "right"}
"""Prefix -> side of the person; T and B (top, bottom) and U (one side, unknown which) are drawn on both."""

SEPARATOR = re.compile(r"\s*[+,;]\s*|\s+")
TOKEN = re.compile(r"(?P<side>[lrtbu]?)(?:au)?0*(?P<au>\d+)(?P<level>[a-e]?)", re.IGNORECASE)


def parse_facs(text: str, where: str) -> CodedAUs | None:
    """Read the action units of a face.

    The text lists what is present; every action unit that it does not list is absent, unless the numbers that were
    looked for follow behind ``|``: of any others nothing is known. Left and right are those of the person, as in FACS,
    and are returned as sides of the picture.

    Args:
        text: units joined by ``+`` (or blanks, commas): a FACS number, before it L or R for one side, behind it a
            letter a to e for the intensity. Empty, ``0``, ``null`` or ``none``: coded, none present; ``?``: not coded.
            Behind ``|``, numbers in the same way.
        where: file and row, for messages.

    Returns:
        The coded action units; None where the face was not coded.

    Raises:
        DataError: the text is not FACS, or a unit is present that was not looked for; the message names the unit.

    Examples:
        >>> parse_facs("1+L12b", "row 2").active
        (CodedAU(au=1, intensity=nan, side=None), CodedAU(au=12, intensity=0.4, side='right'))
        >>> parse_facs("", "row 3").active, parse_facs("?", "row 4")
        ((), None)
        >>> seen = parse_facs("12 | 4 12", "row 5")
        >>> seen.is_present(4), seen.is_present(6)
        (False, None)
    """
    plain, bar, numbers = (part.strip() for part in text.partition("|"))
    coded = frozenset(_parse_token(each, text, where).au for each in SEPARATOR.split(numbers)) if bar else None
    if plain == NOT_CODED:
        return None
    if plain.lower() in NOTHING:
        return CodedAUs((), coded)
    units: dict[tuple[int, str | None], CodedAU] = {}
    for token in SEPARATOR.split(plain):
        unit = _parse_token(token, text, where)
        earlier = units.setdefault((unit.au, unit.side), unit)
        if earlier.intensity != earlier.intensity or unit.intensity > earlier.intensity:
            units[unit.au, unit.side] = unit
    unsought = [unit.au for unit in units.values() if coded is not None and unit.au not in coded]
    if unsought:
        raise DataError(f"{where}: AU {unsought[0]} is present, but not among those behind | in '{text.strip()}'.")
    return CodedAUs(tuple(units.values()), coded)


def format_facs(codes: CodedAUs | None) -> str:
    """Write the action units of a face as ``parse_facs`` reads them.

    Args:
        codes: as sides of the picture; None where the face was not coded.

    Returns:
        Left and right as those of the person; an intensity as the nearest of the letters a to e; behind ``|`` the
        action units that were looked for, where those are not all.

    Examples:
        >>> format_facs(CodedAUs((CodedAU(1), CodedAU(12, 0.45, "right"))))
        '1+L12b'
        >>> format_facs(CodedAUs(())), format_facs(None)
        ('', '?')
        >>> format_facs(CodedAUs((CodedAU(4),), frozenset({12, 4})))
        '4|4 12'
    """
    if codes is None:
        return NOT_CODED
    prefixes = {OTHER_SIDE[side]: prefix.upper() for prefix, side in SIDES.items()} | {None: ""}
    letters = tuple(LEVELS)
    looked_for = "" if codes.coded is None else f"|{' '.join(map(str, sorted(codes.coded)))}"
    units = (
        f"{prefixes[unit.side]}{unit.au}"
        + ("" if math.isnan(unit.intensity) else letters[max(round(unit.intensity * len(letters)), 1) - 1])
        for unit in codes.active
    )
    return "+".join(units) + looked_for


def _parse_token(token: str, text: str, where: str) -> CodedAU:
    match = TOKEN.fullmatch(token)
    if match is None:
        raise DataError(
            f"{where}: '{token}' in '{text.strip()}' is not an action unit; write FACS numbers such as 1+2+L12b+25, "
            "nothing for none, ? for not coded."
        )
    number = bounded_integer(match["au"])
    if not 1 <= number <= LARGEST:
        raise DataError(f"{where}: AU {match['au']} must be between 1 and {LARGEST}, in '{text.strip()}'.")
    of_picture = OTHER_SIDE[SIDES.get(match["side"].lower())]
    return CodedAU(number, LEVELS.get(match["level"].lower(), math.nan), of_picture)
