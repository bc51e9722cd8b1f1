"""Names of classes: the eight expressions and their synonyms, any other name, and known orders of classes.

The classes of a model and of a data set are matched by name, never by index. A name outside the eight expressions is a
class of its own, in lower case.
"""

from interpfer.labels.names import (
    ABBREVIATIONS,
    EXPRESSIONS,
    NEUTRAL,
    SYNONYMS,
    ask_about,
    canonical,
    canonical_classes,
    class_indices,
    known_expression,
    list_names,
    require_expression,
    similar_expression,
    sort_classes,
)
from interpfer.labels.orders import CLASS_ORDERS, ORDER_ALIASES, class_order, list_orders, resolve_classes

__all__ = [
    "ABBREVIATIONS",
    "EXPRESSIONS",
    "NEUTRAL",
    "SYNONYMS",
    "ask_about",
    "canonical",
    "canonical_classes",
    "class_indices",
    "known_expression",
    "list_names",
    "require_expression",
    "similar_expression",
    "sort_classes",
    "CLASS_ORDERS",
    "ORDER_ALIASES",
    "class_order",
    "list_orders",
    "resolve_classes",
]
