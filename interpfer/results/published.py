"""Whether the accuracy of a run reproduces the one that was published for its model."""

from collections.abc import Mapping
from typing import Any

from interpfer.models.published import Published

PUBLISHED = "published"
"""Key of run.json under which the comparison stands."""


def compare_published(
    published: Mapping[str, Published], dataset: str, split: str, accuracy: float, interval: tuple[float, float]
) -> dict[str, Any]:
    """Compare a measured accuracy with that published for the same data set and split.

    It is reproduced where the 95 % confidence interval of the measured one contains it.

    Args:
        published: DATASET/SPLIT -> accuracy as published.
        dataset: name of the data set.
        split: name of its split.
        accuracy: measured accuracy.
        interval: its 95 % confidence interval.

    Returns:
        The comparison as run.json holds it; empty where nothing is published for this data set and split.

    Examples:
        >>> both = compare_published({"rafdb/test": Published(0.9221)}, "rafdb", "test", 0.3604, (0.35, 0.37))
        >>> describe_published(both)
        'published accuracy on rafdb/test .9221, measured .3604 [.3500, .3700]: does not reproduce'
    """
    key = f"{dataset}/{split}"
    if key not in published or accuracy != accuracy:
        return {}
    low, high = interval
    return {
        "on": key,
        "accuracy": published[key].accuracy,
        "source": published[key].source,
        "measured": accuracy,
        "interval": [low, high],
        "reproduces": low <= published[key].accuracy <= high,
    }


def describe_published(comparison: Mapping[str, Any]) -> str:
    """Return a comparison as a clause."""
    source = f" ({comparison['source']})" if comparison["source"] else ""
    low, high = (_share(end) for end in comparison["interval"])
    return (
        f"published accuracy on {comparison['on']} {_share(comparison['accuracy'])}{source}, "
        f"measured {_share(comparison['measured'])} [{low}, {high}]: "
        + ("reproduces" if comparison["reproduces"] else "does not reproduce")
    )


def _share(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")
