"""Known orders of classes, of data sets and published classifiers."""

from collections.abc import Sequence

from interpfer.errors import DataError, nearest
from interpfer.labels.names import ABBREVIATIONS, EXPRESSIONS, canonical_classes, known_expression


def _order(text: str) -> tuple[str, ...]:
    return tuple(ABBREVIATIONS.get(name, name) for name in text.split())


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
    "ravdess": _order("ne calm ha sa an fe di su"),
    "affwild2": _order("ne an di fe ha sa su other"),
    "rafce": _order(
        "happiness+surprise happiness+disgust sadness+fear sadness+anger sadness+surprise sadness+disgust fear+anger "
        "fear+surprise fear+disgust anger+surprise anger+disgust disgust+surprise happiness+fear happiness+sadness"
    ),
    "dfew": _order("ha sa ne an su di fe"),
    "crema-d": _order("an di fe ha ne sa"),
    "mafw-mae-dfer": _order("an di fe ha ne sa su co anxiety helplessness disappointment"),
    "mafw": _order("ha sa ne an su di fe co anxiety helplessness disappointment"),
    "mafw-alphabetical": _order("an anxiety co disappointment di fe ha helplessness ne sa su"),
}
"""Name -> classes in output order, as in data sets and published classifiers; a model card can say ``classes: rafdb``.

The same data set may be numbered in several ways: ``mafw`` is DFER-CLIP's order, ``mafw-alphabetical`` that of S2D;
``dfew`` is also FERV39k's in Former-DFER, DFER-CLIP and MAE-DFER, and S2D numbers FERV39k by the alphabet.
"""

ORDER_ALIASES: dict[str, str] = {
    "affectnet": "affectnet8",
    "hsemotion": "alphabetical8",
    "alphabetical": "alphabetical7",
    "raf-db": "rafdb",
    "ck+": "ckplus",
    "fer+": "ferplus",
    "fer": "fer2013",
    "ferv39k": "dfew",
    "ferv39k-s2d": "alphabetical7",
    "mafw-dfer-clip": "mafw",
    "mafw-s2d": "mafw-alphabetical",
    "caer": "alphabetical7",
    "mead": "alphabetical8",
    "afew": "alphabetical7",
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
        names: names of classes, or the name of one known order.

    Raises:
        DataError: one name is neither an expression nor an order, a name is a misspelt expression or none at all, or
            two names mean the same class.

    Examples:
        >>> resolve_classes(["happy", "Anxiety"])
        ('happiness', 'anxiety')
        >>> resolve_classes(["rafdb"])[:3]
        ('surprise', 'fear', 'disgust')
    """
    if len(names) == 1 and names[0].strip():
        order = class_order(names[0])
        if order is not None:
            return order
        if known_expression(names[0]) is None:
            raise DataError(
                f"unknown expression or order of classes '{names[0]}'."
                f"{nearest(names[0].strip().lower(), [*CLASS_ORDERS, *ORDER_ALIASES, *EXPRESSIONS])} "
                f"Orders: {', '.join([*CLASS_ORDERS, *ORDER_ALIASES])}."
            )
    return canonical_classes(names)


def list_orders() -> dict[str, dict[str, str]]:
    """Return name -> facts of each known order of classes, for ``interpfer ls classes``."""
    return {
        name: {
            "also": ", ".join(alias for alias, known in ORDER_ALIASES.items() if known == name),
            "classes in output order": ", ".join(order),
        }
        for name, order in CLASS_ORDERS.items()
    }
