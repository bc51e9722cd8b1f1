"""Runs of the command line in forks of a process that has imported everything, so that each costs its work alone."""

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
"""Clock ticks of processor time in a second."""

TRACEBACK = 70
"""Exit status of a run that ended with an exception instead of one line."""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        status: exit status; negative, the signal that ended it.
        seconds: processor time.
        text: what it printed.
    """

    status: int
    seconds: float
    text: str


def import_all() -> None:
    """Import what the verbs import when they are called, and codecs, so that forks depend on no file of the program."""


def run(
    arguments: Sequence[object], kill_after: float | None = None, before: Callable[[], None] | None = None
) -> Ended:
    """Run a command in a fork.

    Args:
        arguments: of the command line.
        kill_after: processor time in seconds after which it is killed; None for never.
        before: called in the fork first.
    """
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        _command([str(each) for each in arguments], sink, before)
    os.close(sink)
    spent = 0.0
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        spent = spent_by(child)
        if kill_after is not None and spent >= kill_after:
            os.kill(child, signal.SIGKILL)
            kill_after = None
        time.sleep(0.01)
    with os.fdopen(source, "rb") as stream:
        text = stream.read().decode("utf-8", "replace")
    return Ended(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, text)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by name, without those of runs in progress."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def _command(arguments: list[str], sink: int, before: Callable[[], None] | None) -> None:
    """Run the command in this fork and end it."""
    status, text = TRACEBACK, io.StringIO()
    try:
        if before is not None:
            before()
        from interpfer.cli import group

        with redirect_stdout(text), redirect_stderr(text):
            try:
                group.main(arguments, prog_name="interpfer")
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        text.write(traceback.format_exc())
    with os.fdopen(sink, "wb") as stream:
        stream.write(text.getvalue()[-20_000:].encode("utf-8", "replace"))
    sys.stdout.flush()
    os._exit(status)


def spent_by(child: int) -> float:
    """Return the processor time of a process so far."""
    try:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
