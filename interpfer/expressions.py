"""The names of the expressions: one canonical spelling each, and the synonyms that map onto it.

A model's classes and a data set's classes meet by these names, never by index.
"""

from collections.abc import Iterable

from interpfer.errors import DataError, nearest

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
    "disgusted": "disgust",
    "disgusting": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "smile": "happiness",
    "sad": "sadness",
    "sadly": "sadness",
    "surprised": "surprise",
    "surprising": "surprise",
    "neutrality": NEUTRAL,
    "normal": NEUTRAL,
    "calm": NEUTRAL,
    "contemptuous": "contempt",
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
"""Understood, but never suggested."""


def canonical(name: str) -> str:
    """Return the canonical expression that ``name`` stands for, whatever its case or synonym.

    Raises:
        DataError: ``name`` is no known expression.

    >>> canonical("Happy")
    'happiness'
    """
    key = name.strip().lower()
    found = key if key in EXPRESSIONS else SYNONYMS.get(key, ABBREVIATIONS.get(key))
    if found is None:
        raise DataError(
            f"'{name}' is no known expression.{nearest(key, [*EXPRESSIONS, *SYNONYMS])} "
            f"Known: {', '.join(EXPRESSIONS)} (and synonyms such as happy, angry)."
        )
    return found


def canonical_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Canonicalise a list of classes in order.

    Raises:
        DataError: a name is unknown, or two names mean the same expression.
    """
    classes = tuple(canonical(name) for name in names)
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise DataError(f"classes name {', '.join(twice)} more than once: each expression has one output.")
    return classes
