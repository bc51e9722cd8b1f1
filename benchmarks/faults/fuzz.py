"""Fuzzing: inputs by number, read in bounded time and memory; a fault is anything but success or one clear line."""

import os
import pickle
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.inputs.seed import Seed
from benchmarks.faults.server import spent_by

SECONDS = 2.0
"""Processor time that an input may take."""

MEGABYTES = 400
"""Memory that an input may take beyond what the program has."""

HANG = 10.0
"""Processor time in seconds after which an input that does not even let the timer act is ended from outside."""


@dataclass
class Outcome:
    """What became of some inputs.

    Attributes:
        counts: "read", "refused" and kinds of faults -> number.
        faults: kind and place of a fault -> (seed, number of the input, text).
        slowest: most processor time of an input, in seconds.
        largest: most memory of an input beyond the program's, in MB.
        code_run: number of inputs whose code ran.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    slowest: float = 0.0
    largest: float = 0.0
    code_run: int = 0

    def add(self, number: int, kind: str, text: str, seconds: float, megabytes: float, has_run: bool) -> None:
        """Count an input."""
        self.counts[kind] += 1
        self.slowest, self.largest = max(self.slowest, seconds), max(self.largest, megabytes)
        self.code_run += has_run
        if kind not in ("read", "refused"):
            self.faults.setdefault(text.splitlines()[0], (number, text))

    def join(self, other: "Outcome") -> None:
        """Add the inputs of another outcome."""
        self.counts += other.counts
        self.faults = {**other.faults, **self.faults}
        self.slowest, self.largest = max(self.slowest, other.slowest), max(self.largest, other.largest)
        self.code_run += other.code_run


class TooSlow(BaseException):
    """An input took more than ``SECONDS``; no ``except Exception`` hides it."""


def fuzz(name: str, seeds: Sequence[Seed], count: int, seed: int = 0, start: int = 0) -> Outcome:
    """Read inputs in processes of their own, a next one after each that dies.

    Args:
        name: of the reader, which with ``seed`` and the number of an input decides it.
        seeds: valid files.
        count: number of inputs.
        seed: random seed.
        start: number of the first input.
    """
    outcome, number = Outcome(), start
    while number < start + count:
        number = _fuzz_in_child(name, seeds, range(number, start + count), seed, outcome)
    return outcome


def make_input(name: str, seeds: Sequence[Seed], number: int, seed: int, canary: str) -> tuple[Seed, dict[str, bytes]]:
    """Return the seed and files of an input."""
    random_ = random.Random(zlib.crc32(f"{name} {seed} {number}".encode()))
    chosen = seeds[number % len(seeds)]
    return chosen, dict(chosen.draw(random_, canary))


def read_input(chosen: Seed, files: dict[str, bytes], folder: Path) -> tuple[str, str, float, float]:
    """Write and read an input; return what became of it, a text, processor time in seconds and memory in MB."""
    from interpfer.errors import InterpferError

    _write(files, folder)
    before = _reset_peak()
    started = time.process_time()
    kind, text = "read", ""
    try:
        with _limited():
            chosen.read(folder)
    except InterpferError as error:
        kind, text = "refused", str(error)
        if "\n" in text or len(text) > 2000:
            kind, text = "long message", f"{len(text)} characters: {text[:200]!r}"
    except TooSlow:
        kind, text = "too slow", _where_slow()
    except BaseException as error:
        kind, text = f"traceback: {type(error).__name__}", _summary(error)
    seconds, megabytes = time.process_time() - started, _peak() - before
    if kind in ("read", "refused") and megabytes > MEGABYTES:
        kind, text = "too much memory", f"{megabytes:.0f} MB"
    return kind, text, seconds, megabytes


def _fuzz_in_child(name: str, seeds: Sequence[Seed], numbers: range, seed: int, outcome: Outcome) -> int:
    """Read inputs in a child process; return the number of the next one, which lies behind one that killed it."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        _child(name, seeds, numbers, seed, sink)
    os.close(sink)
    number = numbers.start
    with os.fdopen(source, "rb") as stream:
        for record in _records(stream, child):
            outcome.add(*record)
            number = record[0] + 1
    _, status = os.waitpid(child, 0)
    if status and number < numbers.stop:
        outcome.add(number, "died", f"process died with status {status} at input {number}", 0.0, 0.0, False)
        number += 1
    return number


def _child(name: str, seeds: Sequence[Seed], numbers: range, seed: int, sink: int) -> None:
    try:
        warnings.simplefilter("ignore")
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        base = "/dev/shm" if Path("/dev/shm").is_dir() else None
        room = Path(tempfile.mkdtemp(prefix="fuzz", dir=base))
        canary, folder = room / "canary", room / "input"
        with os.fdopen(sink, "wb", buffering=0) as stream:
            for number in numbers:
                chosen, files = make_input(name, seeds, number, seed, str(canary))
                result = read_input(chosen, files, folder)
                has_run = canary.exists()
                canary.unlink(missing_ok=True)
                record = pickle.dumps((number, *result, has_run))
                stream.write(len(record).to_bytes(4, "big") + record)
                shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(room, ignore_errors=True)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(3)


def _records(stream: Any, child: int) -> Iterator[tuple[Any, ...]]:
    """Yield what the child reports; end it when it hangs."""
    import select

    spent = spent_by(child)
    while True:
        while not select.select([stream], [], [], HANG)[0]:
            if spent_by(child) - spent > HANG:
                os.kill(child, signal.SIGKILL)
                return
        spent = spent_by(child)
        head = stream.read(4)
        if len(head) < 4:
            return
        yield pickle.loads(stream.read(int.from_bytes(head, "big")))


def _write(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@contextmanager
def _limited() -> Iterator[None]:
    """Bound processor time by a signal, and address space by a limit 4 GB above what is used."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _reset_peak() -> float:
    """Forget the highest memory so far, where the system allows it; return the present one in MB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def _summary(error: BaseException) -> str:
    """Return the type and innermost line of the package at which an error was raised, then the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/interpfer/" in frame.filename]
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}" if own else "?"
    text = "".join(traceback.format_exception(error))[-3000:]
    return f"{type(error).__name__} at {where}: {str(error)[:150]!r}\n{text}"


def _where_slow() -> str:
    return "too slow"
