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
    "ang": "anger",
    "an": "anger",
    "disgusted": "disgust",
    "disgusting": "disgust",
    "dis": "disgust",
    "di": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "fe": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "smile": "happiness",
    "hap": "happiness",
    "ha": "happiness",
    "sad": "sadness",
    "sadly": "sadness",
    "sa": "sadness",
    "surprised": "surprise",
    "surprising": "surprise",
    "sur": "surprise",
    "su": "surprise",
    "neutrality": NEUTRAL,
    "normal": NEUTRAL,
    "calm": NEUTRAL,
    "neu": NEUTRAL,
    "ne": NEUTRAL,
    "contemptuous": "contempt",
    "con": "contempt",
    "co": "contempt",
}


def canonical(name: str) -> str:
    """Return the canonical expression that ``name`` stands for, whatever its case or synonym.

    Raises:
        DataError: ``name`` is no known expression.

    >>> canonical("Happy")
    'happiness'
    """
    key = name.strip().lower()
    found = key if key in EXPRESSIONS else SYNONYMS.get(key)
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
