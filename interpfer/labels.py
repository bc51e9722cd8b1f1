"""Names of expressions: canonical spellings, their synonyms, and known orders of classes.

The classes of a model and of a data set are matched by name, never by index.
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
"""Abbreviation -> expression; accepted, but never suggested."""


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
"""Name -> classes in output order, as in data sets and published classifiers; a model card can say ``classes: rafdb``.
"""

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
    """Return the known order called ``name``; None if there is none.

    Examples:
        >>> class_order("FER2013")[:2]
        ('anger', 'disgust')
    """
    key = name.strip().lower()
    return CLASS_ORDERS.get(ORDER_ALIASES.get(key, key))


def resolve_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return canonical classes in output order.

    Args:
        names: expressions in any known spelling, or the name of one known order.

    Raises:
        DataError: a name is unknown, or two names mean the same expression.

    Examples:
        >>> resolve_classes(["happy", "sad"])
        ('happiness', 'sadness')
        >>> resolve_classes(["rafdb"])[:3]
        ('surprise', 'fear', 'disgust')
    """
    if len(names) == 1 and names[0].strip():
        order = class_order(names[0])
        if order is not None:
            return order
        if names[0].strip().lower() not in {*EXPRESSIONS, *SYNONYMS, *ABBREVIATIONS}:
            raise DataError(
                f"unknown expression or order of classes '{names[0]}'."
                f"{nearest(names[0].strip().lower(), [*CLASS_ORDERS, *ORDER_ALIASES, *EXPRESSIONS])} "
                f"Orders: {', '.join([*CLASS_ORDERS, *ORDER_ALIASES])}."
            )
    return canonical_classes(names)


def canonical(name: str) -> str:
    """Return the canonical name of an expression; case and surrounding spaces are ignored.

    Args:
        name: canonical name, synonym or abbreviation.

    Raises:
        DataError: the name is unknown.

    Examples:
        >>> canonical("Happy")
        'happiness'
    """
    key = name.strip().lower()
    expression = key if key in EXPRESSIONS else SYNONYMS.get(key, ABBREVIATIONS.get(key))
    if expression is None:
        raise DataError(
            f"unknown expression '{name}'.{nearest(key, [*EXPRESSIONS, *SYNONYMS])} "
            f"Known: {', '.join(EXPRESSIONS)} (and synonyms such as happy, angry)."
        )
    return expression


def canonical_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return the canonical names of classes, in the same order.

    Raises:
        DataError: a name is unknown, or two names mean the same expression.

    Examples:
        >>> canonical_classes(["Angry", "joy"])
        ('anger', 'happiness')
    """
    classes = tuple(canonical(name) for name in names)
    repeated = sorted({name for name in classes if classes.count(name) > 1})
    if repeated:
        raise DataError(f"classes must name each expression once, got {', '.join(repeated)} more than once.")
    return classes


def list_orders() -> dict[str, dict[str, str]]:
    """Return name -> facts of each known order of classes, for ``interpfer ls classes``."""
    return {
        name: {
            "also": ", ".join(alias for alias, known in ORDER_ALIASES.items() if known == name),
            "classes in output order": ", ".join(order),
        }
        for name, order in CLASS_ORDERS.items()
    }


def class_indices(labels: Iterable[str], classes: Sequence[str]) -> list[int]:
    """Return the index of each label in ``classes``; -1 for a label that is not one of them.

    Examples:
        >>> class_indices(["fear", "", "anger"], ["anger", "fear"])
        [1, -1, 0]
    """
    index_of = {name: index for index, name in enumerate(classes)}
    return [index_of.get(label, -1) for label in labels]
