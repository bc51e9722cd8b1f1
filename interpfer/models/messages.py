"""Phrases that messages about checkpoints share."""

from collections.abc import Sequence

TRUST = "if you trust its source, pass --trust (trust=True)"
"""End of a message that refuses a file because it would run code."""

REVIEW = "review it, then pass --trust (trust=True)"
"""End of a message that refuses to run a file of code."""


def list_few(items: Sequence[str], count: int = 3) -> str:
    """Return the first items as text, and the number of the others.

    Examples:
        >>> list_few(["conv1", "bn1", "conv2", "bn2"])
        'conv1, bn1, conv2 and 1 more'
    """
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more


def first_line(error: BaseException) -> str:
    """Return the first line of the text of an error, without a full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
