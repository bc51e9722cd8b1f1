"""Reports of progress."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """A function that is called while work goes on, for example to update a progress bar."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Report progress.

        Args:
            what: name of the work.
            done: number of finished items.
            total: number of all items.
            note: a short remark, such as the present loss.
        """


def no_progress(what: str, done: int, total: int, note: str = "") -> None:
    """Ignore the report."""
    del what, done, total, note
