"""How texts name action units: the names of FACS, what moves and how, and words of everyday English.

The expressions are data for ``interpfer.rationales.mentions``. A movement is a part of the face with what it does, in
either order ("lip corners are pulled up", "raised inner brows"). They follow the descriptions of the FACS manual
(Ekman, Friesen, Hager 2002); which everyday words count ("smile" for AU 12, "raised eyebrows" for AUs 1 and 2) is
decided here.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Movement(NamedTuple):
    """A part of the face, and what it does.

    Attributes:
        part: regular expression of the part.
        change: regular expression of what it does.
    """

    part: str
    change: str


_BROWS = r"(?:eye[ -]?)?brows?"
_LIDS = r"(?:eye[ -]?)?lids?"
_ENDS = r"(?:corners?|parts?|portions?|ends?)"
_CORNERS = r"(?:lips?|mouth)[ -]corners?|corners? of (?:the |her |his |their )?(?:lips?|mouth)"
_RAISED = r"(?:up)?rais(?:ed?|es|ing)|lift(?:ed|s|ing)?|(?:pulled|drawn|pushed|turned) up(?:wards?)?|elevated"
_LOWERED = r"lower(?:ed|s|ing)?|(?:pulled|drawn|turned) down(?:wards?)?|depress(?:ed|es|ing)"
_TIGHT = r"tight(?:en(?:ed|s|ing)?)?|tens(?:ed?|ing)"

MOVEMENTS: Mapping[tuple[int, ...], tuple[Movement, ...]] = {
    (1,): (Movement(rf"inner {_BROWS}|inner {_ENDS} of (?:the )?{_BROWS}", _RAISED),),
    (2,): (Movement(rf"outer {_BROWS}|outer {_ENDS} of (?:the )?{_BROWS}", _RAISED),),
    (1, 2): (Movement(rf"(?:inner and outer |outer and inner )?{_BROWS}", rf"{_RAISED}|arch(?:ed|ing)"),),
    (4,): (
        Movement(
            _BROWS,
            rf"{_LOWERED}|furrow(?:ed|s|ing)?|knit(?:ted)?|(?:pulled|drawn|pinched|squeezed) (?:in and )?together",
        ),
    ),
    (5,): (
        Movement(rf"upper {_LIDS}", _RAISED),
        Movement(r"eyes?", r"wide(?:ly|ned|ning)?(?: open(?:ed)?)?"),
    ),
    (6,): (Movement(r"cheeks?", rf"{_RAISED}|bunch(?:ed|ing)"),),
    (7,): (Movement(rf"(?:lower |upper )?{_LIDS}", _TIGHT), Movement(r"eyes?", r"narrow(?:ed|ing)?|squint(?:ed|ing)?")),
    (9,): (Movement(r"nose|nasal bridge", r"wrinkl(?:ed?|es|ing)|scrunch(?:ed|es|ing)?|crinkl(?:ed?|ing)"),),
    (10,): (Movement(r"upper lips?", rf"{_RAISED}|curl(?:ed|s|ing)?"),),
    (11,): (Movement(r"nasolabial (?:folds?|furrows?)", r"deep(?:en(?:ed|s|ing)?)?"),),
    (12,): (
        Movement(_CORNERS, rf"{_RAISED}|upturned|(?:pulled|drawn) (?:back|obliquely|outwards? and up(?:wards?)?)"),
    ),
    (14,): (Movement(_CORNERS, _TIGHT),),
    (15,): (Movement(_CORNERS, rf"{_LOWERED}|downturned|droop(?:ed|s|ing)?"),),
    (16,): (Movement(r"lower lips?", _LOWERED),),
    (17,): (Movement(r"chin(?: boss)?", rf"{_RAISED}|wrinkl(?:ed?|ing)"),),
    (18,): (Movement(r"lips?", r"pucker(?:ed|s|ing)?|purs(?:ed?|ing)"),),
    (20,): (Movement(r"lips?", r"stretch(?:ed|es|ing)?"),),
    (22,): (Movement(r"lips?", r"funnel+(?:ed|ing)?"),),
    (23,): (Movement(r"lips?", _TIGHT),),
    (24,): (Movement(r"lips?", r"press(?:ed|es|ing)?|compress(?:ed|es|ing)?"),),
    (25,): (Movement(r"lips?", r"part(?:ed|s|ing)?|apart|separated?"),),
    (26,): (Movement(r"jaws?", r"drop(?:ped|s|ping)?|lower(?:ed|s|ing)?|open(?:ed|s|ing)?"),),
    (27,): (Movement(r"mouth", r"stretch(?:ed|es|ing)?(?: wide)?(?: open)?|wide open|open(?:ed)? wide"),),
    (28,): (Movement(r"lips?", r"suck(?:ed|s|ing)?"),),
    (43,): (Movement(r"eyes?", r"closed|clos(?:es|ing)|shut"),),
}
"""FACS numbers -> movements that mean them; more special ones come before more general ones."""

WORDS: Mapping[int, str] = {
    4: r"frown(?:s|ed|ing)?",
    6: r"crow'?s[ -]feet",
    12: r"smil(?:es?|ed|ing)|grin(?:s|ned|ning)?",
    14: r"dimpl(?:es?|ed|ing)",
    43: r"eye closure",
    45: r"blink(?:s|ed|ing)?",
    46: r"wink(?:s|ed|ing)?",
}
"""FACS number -> words that mean it by themselves."""

STEMS = (
    *("brow", "lid", "eye", "cheek", "crow", "nose", "nasal", "naso", "nostril", "lip", "mouth", "chin", "jaw", "head"),
    *("neck", "tongue", "dimpl", "frown", "smil", "grin", "blink", "wink", "squint", "slit"),
)
"""Every name of an action unit has one of them."""
