"""Other faults: a full disk, a folder that cannot be written, files that vanish or change, and 50 writers at once."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from benchmarks.faults.kills import Verb, verbs
from benchmarks.faults.server import Ended, bytes_of, run

WRITERS = 50


@dataclass(frozen=True)
class Case:
    """What happened under a fault.

    Attributes:
        fault: what was wrong.
        verb: the command.
        expected: what must happen.
        holds: whether it did.
        text: last line that was printed.
    """

    fault: str
    verb: str
    expected: str
    holds: bool
    text: str

    def row(self) -> dict[str, Any]:
        """Return a line for the table."""
        return {"fault": self.fault, "verb": self.verb, "expected": self.expected, "holds": self.holds}


ONE_LINE = "exit status 1 and one line that names it"
SAME_BYTES = "after it is mended and --resume, the bytes of an undisturbed run"


def all_cases(stage: Path, folder: Path) -> Iterator[Case]:
    """Yield every case, on the faces and classifier in ``stage``."""
    folder.mkdir(parents=True)
    score, prepare, _, finetune = verbs(stage)
    for verb in (score, prepare, finetune):
        yield from full_disk(verb, folder / f"full-{verb.name}")
    for verb in (score, prepare, finetune):
        yield read_only(verb, folder / f"readonly-{verb.name}")
    yield from vanished(stage, folder / "vanished")
    yield from changed(stage, folder / "changed")
    yield from writers(folder / "writers")


def full_disk(verb: Verb, folder: Path) -> Iterator[Case]:
    """Yield what a command does when the disk fills up after some bytes, and how it goes on when there is room."""
    folder.mkdir()
    clean = run(verb.arguments(folder / "clean", False))
    before = bytes_of(folder / "clean") if clean.status == 0 else {}
    size = sum(map(len, before.values()))
    names = [
        name for name in ("run/scores.csv", "run/per_image.csv", "landmarks.txt", "tuned/model.pt") if name in before
    ]
    for share in (0.02, 0.3, 0.7):
        out = folder / f"out{share}"
        fault = f"full disk at {share:.0%} of the output"
        with small_disk(out, max(int(size * share), 4096)) as (limit, grow):
            ended = run(verb.arguments(out, False), before=limit)
            yield Case(fault, verb.name, ONE_LINE, is_one_line(ended, str(out)), last_line(ended))
            grow()
            again = run(verb.arguments(out, True))
            found = bytes_of(out)
            same = again.status == 0 and all(found.get(name) == before[name] for name in names)
            yield Case(fault, verb.name, SAME_BYTES, same and bool(names), last_line(again))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[tuple[Callable[[], None] | None, Callable[[], object]]]:
    """Give a folder a disk of its own of that size where that is permitted, else bound the size of each file.

    Yields:
        What bounds the files of a fork, None where the folder has a disk of its own; and what makes room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if _mount(folder, f"size={max(size // 4096, 1) * 4096}"):
        try:
            yield None, lambda: _mount(folder, "remount,size=67108864")
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=False)
        return

    def bound() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(size // 20, 512), resource.RLIM_INFINITY))

    yield bound, lambda: None


def read_only(verb: Verb, folder: Path) -> Case:
    """Return what a command does whose folder cannot be written: a disk that is read only, else one without rights."""
    folder.mkdir()
    out = folder / "out"
    out.mkdir(mode=0o555)
    mounted = _mount(out, "ro,size=4096")
    try:
        ended = run(verb.arguments(out, False))
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(out)], check=False)
    return Case("read-only folder", verb.name, ONE_LINE, is_one_line(ended, str(out)), last_line(ended))


def _mount(folder: Path, options: str) -> bool:
    """Give a folder a disk of its own in memory; return whether that is permitted."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return (
        shutil.which("mount") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def vanished(stage: Path, folder: Path) -> Iterator[Case]:
    """Yield what a score does when files are gone: a picture while it runs, the landmarks or the classifier before."""
    own = folder / "stage"
    shutil.copytree(stage, own)
    names = sorted(path.name for path in (own / "test/images").iterdir())
    score = verbs(own)[0]

    def remove_last() -> None:
        on_read(own / "test/images" / names[0], lambda: (own / "test/images" / names[-1]).unlink(missing_ok=True))

    ended = run(score.arguments(folder / "picture", False), before=remove_last)
    table = read_table(folder / "picture/run/per_image.csv")
    counted = ended.status == 0 and names[-1] not in set(table["image"]) and len(set(table["image"])) == len(names) - 1
    yield Case(
        "picture vanishes in the run",
        "score",
        "skipped, counted and named; the others are scored",
        counted and names[-1] in (folder / "picture/run/run.json").read_text(),
        last_line(ended),
    )
    for name in ("test/landmarks.txt", "model.pt", "test/labels.csv"):
        gone = own / name
        content = gone.read_bytes()
        gone.unlink()
        ended = run(score.arguments(folder / gone.name, False))
        gone.write_bytes(content)
        yield Case(f"{gone.name} is gone", "score", ONE_LINE, is_one_line(ended, gone.name), last_line(ended))


def changed(stage: Path, folder: Path) -> Iterator[Case]:
    """Yield what a killed score does when a file has changed before it goes on."""
    for name in ("test/landmarks.txt", "model.pt", "test/labels.csv"):
        own = folder / Path(name).stem / "stage"
        shutil.copytree(stage, own)
        score, out = verbs(own)[0], own.parent / "out"
        run(score.arguments(out, False), before=kill_itself)
        file = own / name
        if name == "model.pt":
            weights = torch.load(file, weights_only=True)
            torch.save({key: value + 1 if value.is_floating_point() else value for key, value in weights.items()}, file)
        else:
            lines = file.read_text().splitlines()
            file.write_text("\n".join([*lines[:-1], lines[-1].replace("1", "2").replace("surprise", "fear")]) + "\n")
        ended = run(score.arguments(out, True))
        is_refused = is_one_line(ended, "another")
        yield Case(
            f"{file.name} changes before --resume",
            "score",
            "refused: the run was started with another one",
            is_refused,
            last_line(ended),
        )


def kill_itself() -> None:
    """Kill a score when it has kept two batches."""
    from interpfer.results.folder import RunFolder

    add, kept = RunFolder.add, []

    def add_or_die(self: Any, part: Any) -> None:
        add(self, part)
        kept.append(part)
        if len(kept) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    RunFolder.add = add_or_die  # type: ignore[method-assign]


def writers(folder: Path, count: int = WRITERS) -> Iterator[Case]:
    """Yield what many processes leave that write one leaderboard, or one landmark cache, at once."""
    from interpfer.landmarks.cache import CachedLandmarks
    from interpfer.reports.leaderboard.rows import append_rows
    from interpfer.types import Landmarks

    folder.mkdir()
    board, cache = folder / "board.csv", folder / "landmarks.sqlite"

    def append(number: int) -> None:
        row = {"model": f"m{number}", "map": "gradcam", "layer": "l", "n": number, "dataset": "demo"}
        append_rows(board, pd.DataFrame([row]))

    class Fixed:
        name, summary, needs_images, digest = "fixed", "", True, "fixed"

        def locate(self, ids: Sequence[str], images: Any) -> Landmarks:  # noqa: ARG002
            return Landmarks.of(torch.stack([torch.full((68, 2), float(key), dtype=torch.float64) for key in ids]))

    def store(number: int) -> None:
        for place in range(4):
            pixels = np.full((4, 4, 3), number * 4 + place, np.uint8)
            CachedLandmarks(Fixed(), cache).locate([str(number * 4 + place)], [Image.fromarray(pixels)])

    failed = at_once(append, count)
    table = pd.read_csv(board)
    whole = sorted(table["model"]) == sorted(f"m{number}" for number in range(count)) and not failed
    yield Case(
        f"{count} writers of a leaderboard",
        "score",
        "each row is there once",
        whole,
        f"{len(table)} rows, {failed} failed",
    )
    failed = at_once(store, count)
    read = CachedLandmarks(Refusing(), cache)
    right = 0
    for number in range(count * 4):
        pixels = Image.fromarray(np.full((4, 4, 3), number, np.uint8))
        found = read.locate([str(number)], [pixels])
        right += bool((found.points == number).all())
    yield Case(
        f"{count} writers of the landmark cache",
        "prepare",
        "each face is there",
        right == count * 4 and not failed,
        f"{right} of {count * 4}, {failed} failed",
    )


class Refusing:
    """A provider that must not be asked, because all is in the cache; it answers with NaN."""

    name, summary, needs_images, digest = "fixed", "", True, "fixed"

    def locate(self, ids: Sequence[str], images: Any) -> Any:  # noqa: ARG002
        """Return faces without points."""
        from interpfer.types import Landmarks

        return Landmarks.of(torch.full((len(ids), 68, 2), torch.nan, dtype=torch.float64))


def at_once(work: Callable[[int], None], count: int) -> int:
    """Do something in so many forks at once; return how many failed."""
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            try:
                work(number)
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(child)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def on_read(path: Path, action: Callable[[], Any]) -> None:
    """Do something when a picture is read for the first time."""
    from interpfer.datasets import base, images

    real = images.read_image

    def read(wanted: str | Path) -> Image.Image:
        picture = real(wanted)
        if Path(wanted) == path:
            action()
        return picture

    images.read_image = base.read_image = read


def is_one_line(ended: Ended, named: str) -> bool:
    """Return whether a run ended with status 1 and one line of an error that names something, without a traceback."""
    errors = [line for line in ended.text.splitlines() if line.startswith("error: ")]
    return ended.status == 1 and len(errors) == 1 and named in errors[0] and "Traceback" not in ended.text


def last_line(ended: Ended) -> str:
    """Return the exit status and the last line that a run printed."""
    lines = ended.text.strip().splitlines() or [""]
    return f"{ended.status}: {lines[-1][:400]}"


def read_table(path: Path) -> pd.DataFrame:
    """Return a table; an empty one where there is none."""
    return pd.read_csv(path) if path.is_file() else pd.DataFrame({"image": []})
