"""Finds the action units that a text names: by number, by name, as FACS text, or by what moves.

Negation is decided by rules on one clause at a time: a word such as *no* or *without* before the name, or *is absent*
behind it, also over lists ("no brow lowerer or nose wrinkler", "AU4 and AU7 are not active"). Where a text names a unit
several times, the last mention decides.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from interpfer.au.names import AU_NAMES
from interpfer.au.phrases import MOVEMENTS, STEMS, WORDS, Movement
from interpfer.files import bounded_integer

LONGEST_TEXT = 100_000
"""Characters of a text that are read."""

_NUMBER = r"[LRTBU]?0*\d{1,2}[a-e]?(?:_[rc])?(?![\w%]|\.\d)"
_LIST = rf"{_NUMBER}(?:\s*(?:,?\s*and|,?\s*or|nor|[,;+/&])\s*(?:AUs?[ _-]*)?{_NUMBER})*"
_NUMBERS = rf"(?:AUs?|action units?)[\s_#:.-]*(?P<numbers>{_LIST})"
_FACS = r"(?<![\w+.])(?P<facs>[LRTBU]?\d{1,2}[a-e]?(?:\+[LRTBU]?\d{1,2}[a-e]?)+)(?![\w+]|\.\d)"
_GAP = r"(?:(?!(?:inner|outer|upper|lower|and|but)\b)[\w'-]+ ){0,4}"

_CLAUSE_END = re.compile(
    r"(?:[.;!?](?=\s|$)|\n|\b(?:but|however|although|though|whereas|while|yet|except)\b)+", re.IGNORECASE
)
_NEGATION = re.compile(
    r"\b(?:no(?! doubt)|not(?! (?:only|just|merely|necessarily))|without(?! (?:a |any )?(?:doubt|question))|never|"
    r"neither|nor|none|lack(?:s|ing)?|absence|absent|missing|cannot|can't|rather than|instead of|as opposed to|free of|"
    r"devoid of|\w+n't)\b",
    re.IGNORECASE,
)
_CONNECTORS = re.compile(r"[\s,()/&+*-]*(?:\b(?:and|or|nor|any|a|an|the)\b[\s,()/&+*-]*)*", re.IGNORECASE)
_OR = re.compile(r"\bn?or\b", re.IGNORECASE)
_PLURAL = re.compile(r"\b(?:are|were|do|both|all|aren't|weren't|don't|remain|appear|seem)\b", re.IGNORECASE)
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|being)\b", re.IGNORECASE)
_DEGREES = r"(?:(?:both|all|also|clearly|completely|entirely|noticeably|slightly|strongly|currently)\s+)*"
_ABSENT = re.compile(
    r"\s*(?:\([^)]*\)\s*)?(?:"
    r"[:=]\s*(?:0(?:\.0+)?(?![\d.])|no\b|not\b|none\b|absent\b|false\b|inactive\b|off\b)|"
    r"\s*(?:,?\s*(?:which|that)\s+)?(?:(?:is|are|was|were|appears?|seems?|remains?|being|does|do|did|can|could)\s+)?"
    rf"{_DEGREES}(?:not(?! (?:only|just|merely|as|very|too|so|particularly|fully)\b)\b|absent\b|missing\b|inactive\b|"
    r"lacking\b|never\b|cannot\b|(?:is|are|was|were|does|do|did|ca|could)n't\b))",
    re.IGNORECASE,
)
_PRESENT = re.compile(
    r"\s*(?:\([^)]*\)\s*)?(?:[:=]|(?:(?:is|are|was|were|appears?|seems?)\s+)?"
    rf"{_DEGREES}(?:present|active|activated|visible|seen|observed|evident)\b)",
    re.IGNORECASE,
)


class Mention(NamedTuple):
    """A place of a text that names action units.

    Attributes:
        start: first character.
        end: behind the last character.
        aus: FACS numbers.
        is_negated: whether the text says that they are absent.
    """

    start: int
    end: int
    aus: tuple[int, ...]
    is_negated: bool


def named_aus(text: str) -> frozenset[int]:
    """Return the action units that a text says to be present.

    Args:
        text: at most ``LONGEST_TEXT`` characters are read.

    Examples:
        >>> sorted(named_aus("AU6 and AU12 are active; the lips are parted, but there is no lip corner depressor."))
        [6, 12, 25]
        >>> sorted(named_aus("1+2+L12b; raised eyebrows, AU 4: absent"))
        [1, 2, 12]
    """
    last: dict[int, bool] = {}
    for mention in find_mentions(text):
        last |= dict.fromkeys(mention.aus, not mention.is_negated)
    return frozenset(au for au, is_present in last.items() if is_present)


def find_mentions(text: str) -> list[Mention]:
    """Return all places of a text that name action units, in order."""
    found: list[Mention] = []
    text = text[:LONGEST_TEXT].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    for start, end in _clauses(text):
        found += _in_clause(text[start:end], start)
    return found


def _clauses(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _CLAUSE_END.finditer(text):
        yield start, match.start()
        start = match.end()
    yield start, len(text)


def _in_clause(clause: str, offset: int) -> list[Mention]:
    lower = clause.lower()
    pattern = _pattern(tuple(stem for stem in STEMS if stem in lower))
    spans = [span for match in pattern.finditer(clause) for span in _spans(match)]
    negated: list[bool] = []
    for place, (start, end, _) in enumerate(spans):
        before = clause[spans[place - 1][1] if place else 0 : start]
        after = clause[end : spans[place + 1][0] if place + 1 < len(spans) else len(clause)]
        own = clause[start:end]
        continues = place > 0 and _CONNECTORS.fullmatch(before) is not None
        inherits = continues and negated[-1] and not _VERB.search(own)
        inherits = inherits and (_OR.search(before) is not None or not _PRESENT.match(after))
        negated.append(_is_denied_before(before) or bool(_NEGATION.search(own)) or inherits)
        if (absent := _ABSENT.match(after)) is not None:
            negated[-1] = True
            if _PLURAL.search(absent[0]):
                _deny_list(clause, spans, negated)
    return [
        Mention(offset + start, offset + end, aus, is_negated)
        for (start, end, aus), is_negated in zip(spans, negated, strict=True)
    ]


def _deny_list(clause: str, spans: list[tuple[int, int, tuple[int, ...]]], negated: list[bool]) -> None:
    """Negate what is listed before the last mention: "AU4, AU7 and AU9 are absent"."""
    for place in range(len(negated) - 1, 0, -1):
        between = clause[spans[place - 1][1] : spans[place][0]]
        if not _CONNECTORS.fullmatch(between) or _VERB.search(clause[slice(*spans[place - 1][:2])]):
            return
        negated[place - 1] = True


def _is_denied_before(before: str) -> bool:
    denials = list(_NEGATION.finditer(before))
    return bool(denials) and not re.search(r",|\band\b", before[denials[-1].end() :], re.IGNORECASE)


def _spans(match: re.Match[str]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Yield (start, end, action units) of a match; a list of numbers gives one for each."""
    if match["numbers"]:
        for each in _ONE_NUMBER.finditer(match[0]):
            if (au := bounded_integer(each["au"])) in AU_NAMES:
                yield match.start() + each.start(), match.start() + each.end(), (au,)
    elif match["facs"]:
        listed = tuple(dict.fromkeys(bounded_integer(number) for number in re.findall(r"\d+", match["facs"])))
        if set(listed) <= set(AU_NAMES):
            yield match.start(), match.end(), listed
    else:
        assert match.lastgroup is not None
        yield match.start(), match.end(), _GROUPS[match.lastgroup]


def _of_name(name: str) -> str:
    """Return the pattern of a name of FACS, also in the plural, and as a verb ("lip corner pull")."""
    *words, last = (re.escape(word) for word in name.lower().replace("-", " ").split())
    stem = re.sub(r"(?<=\w{4})(?:er|or)$", "", last)
    return rf"{''.join(rf'{word}s?[ -]+' for word in words)}{stem}(?:er|or|e|ion|ed|ing)?s?"


def _of_movements(movements: Iterable[Movement]) -> str:
    return "|".join(rf"(?:{part}) {_GAP}(?:{change})\b|(?:{change}) {_GAP}(?:{part})\b" for part, change in movements)


_ONE_NUMBER = re.compile(
    r"(?:(?:AUs?|action units?)[\s_#:.-]*)?[LRTBU]?0*(?P<au>\d{1,2})[a-e]?(?:_[rc])?", re.IGNORECASE
)

_GROUPS: Mapping[str, tuple[int, ...]] = (
    {f"name{au}": (au,) for au in AU_NAMES}
    | {f"move{'_'.join(map(str, aus))}": aus for aus in MOVEMENTS}
    | {f"word{au}": (au,) for au in WORDS}
)
"""Group in a pattern -> the action units that it means."""

_PATTERNS: Mapping[str, str] = dict(
    zip(
        _GROUPS,
        [*map(_of_name, AU_NAMES.values()), *map(_of_movements, MOVEMENTS.values()), *WORDS.values()],
        strict=True,
    )
)
"""Group -> its pattern."""


@lru_cache(maxsize=4096)
def _pattern(stems: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern of the names with one of some stems; it finds the earliest, then the most special one."""
    chosen = {group: pattern for group, pattern in _PATTERNS.items() if any(stem in pattern for stem in stems)}
    alternatives = [_NUMBERS, _FACS, *(rf"(?P<{group}>(?:{pattern})\b)" for group, pattern in chosen.items())]
    return re.compile(rf"\b(?:{'|'.join(alternatives)})", re.IGNORECASE)
