"""The names of the expressions: one canonical spelling each, the synonyms that map onto it, and well-known orders.

A model's classes and a data set's classes meet by these names, never by index.
"""

from collections.abc import Iterable, Sequence

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
    "calm": NEUTRAL,
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
"""Understood, but never suggested."""


def _order(text: str) -> tuple[str, ...]:
    return tuple(ABBREVIATIONS[name] for name in text.split())


CLASS_ORDERS: dict[str, tuple[str, ...]] = {
    "rafdb": _order("su fe di ha sa an ne"),
    "affectnet7": _order("ne ha sa su fe di an"),
    "affectnet8": _order("ne ha sa su fe di an co"),
    "fer2013": _order("an di fe ha sa su ne"),
    "ferplus": _order("ne ha su sa an di fe co"),
    "ckplus": _order("ne an co di fe ha sa su"),
    "alphabetical7": _order("an di fe ha ne sa su"),
    "alphabetical8": _order("an co di fe ha ne sa su"),
    "alphabetical6": _order("an di fe ha sa su"),
    "ckplus7": _order("an co di fe ha sa su"),
    "apvit": _order("an di fe sa ha su ne"),
    "apvit8": _order("an di fe sa ha su ne co"),
    "resemotenet": _order("ha su sa an di fe ne"),
    "face-api": _order("ne ha sa an fe di su"),
    "dima806": _order("sa di an ne fe su ha"),
}
"""Output orders seen in data sets and published classifiers; ``classes: rafdb`` in a card names one."""

ORDER_ALIASES: dict[str, str] = {
    "affectnet": "affectnet8",
    "hsemotion": "alphabetical8",
    "alphabetical": "alphabetical7",
    "raf-db": "rafdb",
    "ck+": "ckplus",
    "fer+": "ferplus",
    "fer": "fer2013",
}


def class_order(name: str) -> tuple[str, ...] | None:
    """Return the well-known order called ``name``, or None.

    >>> class_order("FER2013")[:2]
    ('anger', 'disgust')
    """
    key = name.strip().lower()
    return CLASS_ORDERS.get(ORDER_ALIASES.get(key, key))


def resolve_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return canonical classes in output order, from names of expressions or from the one name of a known order.

    Raises:
        DataError: a name is unknown, or two names mean the same expression.
    """
    if len(names) == 1 and names[0].strip():
        order = class_order(names[0])
        if order is not None:
            return order
        if names[0].strip().lower() not in {*EXPRESSIONS, *SYNONYMS, *ABBREVIATIONS}:
            raise DataError(
                f"'{names[0]}' is neither an expression nor a known order of classes."
                f"{nearest(names[0].strip().lower(), [*CLASS_ORDERS, *ORDER_ALIASES, *EXPRESSIONS])} "
                f"Orders: {', '.join([*CLASS_ORDERS, *ORDER_ALIASES])}."
            )
    return canonical_classes(names)


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


def list_orders() -> dict[str, dict[str, str]]:
    """Return name -> what to know of each known order of classes."""
    return {
        name: {
            "also": ", ".join(alias for alias, known in ORDER_ALIASES.items() if known == name),
            "classes in output order": ", ".join(order),
        }
        for name, order in CLASS_ORDERS.items()
    }


def class_indices(labels: Iterable[str], classes: Sequence[str]) -> list[int]:
    """Return the index of each label in ``classes``, -1 where it is none of them.

    >>> class_indices(["fear", "", "anger"], ["anger", "fear"])
    [1, -1, 0]
    """
    places = {name: index for index, name in enumerate(classes)}
    return [places.get(label, -1) for label in labels]
