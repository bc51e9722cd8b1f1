"""How long work reports its progress."""

from typing import Protocol


class Progress(Protocol):
    """Takes reports of progress: what is done, how far, and a note on how it goes."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show it."""


def no_progress(what: str, done: int, total: int, note: str = "") -> None:
    """Show nothing."""
    del what, done, total, note
