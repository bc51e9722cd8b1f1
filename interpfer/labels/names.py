"""Names of classes: the eight expressions with their synonyms, and any other name."""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from interpfer.errors import MAX_LISTED, DataError, nearest

NEUTRAL = "neutral"

EXPRESSIONS: tuple[str, ...] = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    NEUTRAL,
    "contempt",
)

SYNONYMS: dict[str, str] = {
    "angry": "anger",
    "angrily": "anger",
    "disgusted": "disgust",
    "disgusting": "disgust",
    "fearful": "fear",
    "feared": "fear",
    "frightened": "fear",
    "afraid": "fear",
    "scared": "fear",
    "happy": "happiness",
    "happily": "happiness",
    "joy": "happiness",
    "joyful": "happiness",
    "smile": "happiness",
    "smiling": "happiness",
    "sad": "sadness",
    "sadly": "sadness",
    "unhappy": "sadness",
    "surprised": "surprise",
    "surprising": "surprise",
    "astonished": "surprise",
    "neutrality": NEUTRAL,
    "normal": NEUTRAL,
    "natural": NEUTRAL,
    "contemptuous": "contempt",
    "contempted": "contempt",
}

ABBREVIATIONS: dict[str, str] = {
    "ang": "anger",
    "an": "anger",
    "dis": "disgust",
    "di": "disgust",
    "fe": "fear",
    "hap": "happiness",
    "ha": "happiness",
    "sa": "sadness",
    "sur": "surprise",
    "su": "surprise",
    "neu": NEUTRAL,
    "ne": NEUTRAL,
    "con": "contempt",
    "co": "contempt",
}
"""Abbreviation -> expression; accepted, but never suggested."""

RESERVED = ("macro", "micro", "correct", "wrong")
"""Groups of images in the tables of a run, which no class can be called."""

UNNAMED = re.compile(r"[\d.+-]+|label[ _-]?\d+")
"""What stands for a class whose name is not known."""

SHORT = 4
"""Longest spelling whose misspellings are only those of the same letters."""


@lru_cache(maxsize=4096)  # a table names each class many times
def canonical(name: str) -> str:
    """Return the canonical name of a class; case and surrounding spaces are ignored.

    Args:
        name: expression in any known spelling, or any other name, which is a class of its own.

    Raises:
        DataError: the name is a misspelt expression, a number, a group in the tables of a run, or no name.

    Examples:
        >>> canonical("Happy"), canonical(" Anxiety "), canonical("Happily Surprised")
        ('happiness', 'anxiety', 'happily surprised')
    """
    expression = known_expression(name)
    if expression is not None:
        return expression
    key = _simplify(name)
    if not key:
        raise DataError("the name of a class is empty.")
    if UNNAMED.fullmatch(key):
        raise DataError(f"'{name}' is a number, not the name of a class; write names, or pass --classes.")
    if not key[0].isalnum() or not key.isprintable():
        raise DataError(f"a class cannot be called '{name}': a name begins with a letter or digit and fits on a line.")
    if key in RESERVED or "=" in key:
        raise DataError(f"a class cannot be called '{name}': it is a group of images in scores.csv; rename it.")
    if re.fullmatch(r"au ?\d+", key):
        raise DataError(f"'{name}' is an action unit, not a class; a card lists those under aus.")
    if meant := _misspelt(key):
        raise DataError(
            f"unknown expression '{name}'. Did you mean {meant}? A class of its own needs a name that differs in more "
            "than a letter."
        )
    return key


def known_expression(name: str) -> str | None:
    """Return the expression that a name means; None for any other name.

    Examples:
        >>> known_expression("SAD"), known_expression("calm")
        ('sadness', None)
    """
    key = _simplify(name)
    return key if key in EXPRESSIONS else SYNONYMS.get(key, ABBREVIATIONS.get(key))


def require_expression(name: str) -> str:
    """Return the expression that a name means, where no other class is possible.

    Raises:
        DataError: the name is none.
    """
    expression = known_expression(name)
    if expression is None:
        raise DataError(
            f"unknown expression '{name}'.{nearest(_simplify(name), [*EXPRESSIONS, *SYNONYMS])} "
            f"Known: {', '.join(EXPRESSIONS)} (and synonyms such as happy, angry)."
        )
    return expression


def canonical_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return the canonical names of classes, in the same order.

    Raises:
        DataError: a name is not that of a class, or two names mean the same class.

    Examples:
        >>> canonical_classes(["Angry", "joy"])
        ('anger', 'happiness')
    """
    classes = tuple(canonical(name) for name in names)
    counts = Counter(classes)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise DataError(f"classes must name each expression once, got {list_names(repeated)} more than once.")
    return classes


def sort_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return distinct canonical names: the expressions in canonical order, then the others by the alphabet.

    Examples:
        >>> sort_classes(["pain", "fear", "anxiety", "anger", "fear"])
        ('anger', 'fear', 'anxiety', 'pain')
    """
    given = set(names)
    return (*(name for name in EXPRESSIONS if name in given), *sorted(given - {*EXPRESSIONS, ""}))


def similar_expression(name: str) -> str:
    """Return the expression that the name of another class resembles; "" for none.

    Examples:
        >>> similar_expression("supprize"), similar_expression("danger")
        ('surprise', '')
    """
    known = [spelling for spelling in (*EXPRESSIONS, *SYNONYMS) if spelling[0] == name[:1]]
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.7)), "")


def ask_about(name: str) -> str:
    """Return the name of a class that is no expression, with a question where it resembles one.

    Examples:
        >>> ask_about("supprize"), ask_about("calm")
        ('supprize (is surprise meant?)', 'calm')
    """
    meant = similar_expression(name)
    return f"{name} (is {meant} meant?)" if meant else name


def list_names(names: Sequence[str]) -> str:
    """Return names in a sentence; of many, the first ones and how many more there are.

    Examples:
        >>> list_names([f"c{i}" for i in range(40)])
        'c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 and 29 more'
    """
    if len(names) <= MAX_LISTED:
        return ", ".join(names)
    return f"{', '.join(names[: MAX_LISTED - 1])} and {len(names) - MAX_LISTED + 1} more"


def _simplify(name: str) -> str:
    """Return a name in lower case, with single spaces, its accents composed as on all systems."""
    lower = unicodedata.normalize("NFC", name).lower()
    return " ".join(unicodedata.normalize("NFC", lower).split())


def _misspelt(key: str) -> str:
    """Return the known spelling that a name clearly stands for; "" for none.

    It begins with the same letter, and one letter is added, left out or changed, or two neighbours are swapped; a short
    spelling has the same letters, because many other words are one letter from it.
    """
    for known in (*EXPRESSIONS, *SYNONYMS):
        if key[0] == known[0] and _is_one_edit(key, known) and (len(known) > SHORT or set(key) == set(known)):
            return known
    return ""


def _is_one_edit(a: str, b: str) -> bool:
    if abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    swapped = len(a) > 1 and len(b) > 1 and (a[1], a[0]) == (b[0], b[1]) and a[2:] == b[2:]
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]


def class_indices(labels: Iterable[str], classes: Sequence[str]) -> list[int]:
    """Return the index of each label in ``classes``; -1 for a label that is not one of them.

    Examples:
        >>> class_indices(["fear", "", "anger"], ["anger", "fear"])
        [1, -1, 0]
    """
    index_of = {name: index for index, name in enumerate(classes)}
    return [index_of.get(label, -1) for label in labels]
