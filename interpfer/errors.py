"""Errors that the user can fix.

The message of each is one line: what is wrong, where, and what to do. The command line prints it and exits with status
1; any other exception is a bug of interpfer and shows its traceback.
"""

import difflib
from collections.abc import Iterable

MAX_LISTED = 12
"""Most names that a message lists."""

LONGEST = 2000
"""Characters of the longest message; of a longer one the middle is left out."""


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class InterpferError(Exception):
    """Base of all errors that the user can fix; ``str(error)`` is one line of at most 2,000 printable characters."""

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        if len(line) > LONGEST:
            line = f"{line[: LONGEST * 3 // 5]} ... {line[-LONGEST // 3 :]}"
        super().__init__(line if line.isprintable() else "".join(map(_printable, line)))


class DataError(InterpferError):
    """A data set, an image, a label or a landmark file is not as expected."""


class SplitError(DataError):
    """A data set has no such split."""


class ModelError(InterpferError):
    """A checkpoint, a model card or a layer is not as expected."""


class TrustError(ModelError):
    """Loading would run code that the user has not trusted."""


class PluginError(InterpferError):
    """A plugin is unknown, defined twice, broken, or lacks an optional package."""


class RunError(InterpferError):
    """A run folder or a leaderboard cannot be written, resumed or read."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return a sentence with the names in ``known`` closest to ``name``, to append to a message; "" if none is close.

    >>> nearest("gradcam+", ["gradcam", "gradcam++", "rise"])
    ' Did you mean gradcam++ or gradcam?'
    >>> nearest("zzz", ["gradcam"])
    ''
    """
    close = difflib.get_close_matches(name, list(known), n=count, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def suggest_names(name: str, known: Iterable[str], command: str) -> str:
    """Return the closest names, then all of them if they are few, else the command that lists them.

    >>> suggest_names("cosin", ["cosine", "pxap"], "interpfer ls metrics")
    ' Did you mean cosine? Known: cosine, pxap.'
    >>> suggest_names("m1", [f"map{i}" for i in range(40)], "interpfer ls maps")
    ' Did you mean map1? `interpfer ls maps` lists them.'
    """
    names = list(known)
    listing = f"Known: {', '.join(names)}." if len(names) <= MAX_LISTED else f"`{command}` lists them."
    return f"{nearest(name, names)} {listing}"
