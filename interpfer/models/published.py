"""Accuracies of a classifier as its paper or page states them, so that a score can say whether it reproduces them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from interpfer.errors import ModelError


class Published(NamedTuple):
    """An accuracy as published.

    Attributes:
        accuracy: share of correct images, in [0, 1].
        source: paper or page that states it.
    """

    accuracy: float
    source: str = ""


def parse_published(raw: Any, where: str) -> dict[str, Published]:
    """Check the field ``published`` of a card: DATASET/SPLIT -> accuracy, or a mapping of accuracy and source.

    Args:
        raw: value of the field.
        where: name of the card, for messages.

    Raises:
        ModelError: an entry has another form.

    Examples:
        >>> parse_published({"rafdb/test": 0.9221}, "model.yaml")
        {'rafdb/test': Published(accuracy=0.9221, source='')}
    """
    if not isinstance(raw, Mapping):
        raise ModelError(f"model card {where}: published must map DATASET/SPLIT to an accuracy, got {raw!r}.")
    entries = {}
    for key, value in raw.items():
        fields = value if isinstance(value, Mapping) else {"accuracy": value}
        dataset, slash, split = str(key).partition("/")
        if not (dataset and slash and split) or set(fields) - {"accuracy", "source"}:
            raise ModelError(
                f"model card {where}: published: '{key}: {value}' must be 'DATASET/SPLIT: accuracy', "
                "or name accuracy and source, such as 'rafdb/test: 0.9221'."
            )
        accuracy = fields.get("accuracy")
        if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not 0 < accuracy <= 1:
            raise ModelError(
                f"model card {where}: published: the accuracy on {key} must be a share between 0 and 1, "
                f"got {accuracy!r}."
            )
        entries[str(key)] = Published(float(accuracy), str(fields.get("source", "")))
    return entries
