"""The errors that are the user's to mend.

Each carries one line that says what is wrong, where, and what to do. The command line prints that line and exits with
status 1; anything else that escapes is a defect of interpfer and shows its traceback.
"""

import difflib
from collections.abc import Iterable


class InterpferError(Exception):
    """Base of every error that the user can mend; ``str(error)`` is one clear line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class DataError(InterpferError):
    """A data set, an image, a label or a landmark file is not as expected."""


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
    close = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""
