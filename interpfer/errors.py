"""The errors that are the user's to mend.

Each carries one line that says what is wrong, where, and what to do. The command line prints that line and exits with
status 1; anything else that escapes is a defect of interpfer and shows its traceback.
"""

import difflib
from collections.abc import Iterable

MANY = 12
"""Names that a message lists at most."""


class InterpferError(Exception):
    """Base of every error that the user can mend; ``str(error)`` is one clear line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class DataError(InterpferError):
    """A data set, an image, a label or a landmark file is not as expected."""


class SplitError(DataError):
    """A data set has no such split."""


class ModelError(InterpferError):
    """A checkpoint, a model card or a layer is not as expected."""


class TrustError(ModelError):
    """Loading would run code that the user has not said to trust."""


class PluginError(InterpferError):
    """A plugin is unknown, defined twice, broken, or lacks an optional package."""


class RunError(InterpferError):
    """A run folder or a leaderboard cannot be written, resumed or read."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Name the spellings of ``known`` closest to ``name``, ready to append to a message.

    >>> nearest("gradcam+", ["gradcam", "gradcam++", "rise"])
    ' Did you mean gradcam++ or gradcam?'
    >>> nearest("zzz", ["gradcam"])
    ''
    """
    close = difflib.get_close_matches(name, list(known), n=count, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def choices(name: str, known: Iterable[str], command: str) -> str:
    """Name the nearest spellings, and all of them if they are few, else the command that lists them.

    >>> choices("cosin", ["cosine", "pxap"], "interpfer ls metrics")
    ' Did you mean cosine? Known: cosine, pxap.'
    >>> choices("m1", [f"map{i}" for i in range(40)], "interpfer ls maps")
    ' Did you mean map1? `interpfer ls maps` lists them.'
    """
    names = list(known)
    listed = f"Known: {', '.join(names)}." if len(names) <= MANY else f"`{command}` lists them."
    return f"{nearest(name, names)} {listed}"
