"""Kills at random moments: after --resume, or another call, each run must end with the bytes of one without a kill."""

import io
import random
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from benchmarks.faults.server import bytes_of, run
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.models.small import SmallCNN

EXPRESSIONS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
BOARD, PAGE = "board.csv", "run/report.html"


@dataclass(frozen=True)
class Verb:
    """A command that is killed.

    Attributes:
        name: of the verb.
        arguments: return the command line for an output folder; the second says whether it goes on with a killed one.
        inputs: folders of the output that are there before, relative to the stage.
    """

    name: str
    arguments: Callable[[Path, bool], Sequence[object]]
    inputs: tuple[str, ...] = ()


def make_stage(folder: Path) -> Path:
    """Write drawn faces and a tiny classifier."""
    for split, count in (("test", 14), ("train", 14)):
        with redirect_stdout(io.StringIO()):
            write_csv_layout(DemoDataset(split, count=count, size=48), folder / split)
    torch.manual_seed(0)
    torch.save(SmallCNN(7, width=4).state_dict(), folder / "model.pt")
    card = {"arch": "interpfer:small", "arch_args": {"width": 4}, "classes": EXPRESSIONS, "input": {"size": 48}}
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return folder


def verbs(stage: Path) -> list[Verb]:
    """Return the commands, on the faces in a folder of ``make_stage``."""
    data = ("--dataset", "csv", "--data-root", stage / "test", "--landmarks", stage / "test/landmarks.txt")
    tiny = ("--batch-size", 3, "--device", "cpu", "--metrics", "cosine,cosine_skill,pxap", "-q")

    def score(out: Path, again: bool) -> Sequence[object]:
        goes_on = ("--resume",) if again else ()
        return ("score", stage / "model.pt", *data, *tiny, "--out", out / "run", "--leaderboard", out / BOARD, *goes_on)

    def prepare(out: Path, again: bool) -> Sequence[object]:  # noqa: ARG001 another call goes on by the cache
        return (
            "prepare",
            "--dataset",
            "csv",
            "--data-root",
            stage / "test",
            "--landmarks",
            "embedded",
            "--out",
            out / "landmarks.txt",
        )

    def merge(out: Path, again: bool) -> Sequence[object]:
        goes_on = ("--resume",) if again else ()
        return (
            "merge",
            stage / "shards/0",
            stage / "shards/1",
            "--out",
            out / "run",
            "--device",
            "cpu",
            "-q",
            *goes_on,
        )

    def finetune(out: Path, again: bool) -> Sequence[object]:
        goes_on = ("--resume",) if again else ()
        train = ("--dataset", "csv", "--data-root", stage / "train", "--landmarks", stage / "train/landmarks.txt")
        rest = ("--epochs", 2, "--batch-size", 7, "--device", "cpu", "--test-split", "none", "--out", out / "tuned")
        return ("finetune", stage / "model.pt", *train, *rest, *goes_on)

    return [Verb("score", score), Verb("prepare", prepare), Verb("merge", merge), Verb("finetune", finetune)]


def score_shards(stage: Path) -> None:
    """Score the two shards that are merged."""
    command = next(iter(verbs(stage))).arguments(stage / "unused", False)
    base = list(command[: command.index("--out")])
    for number in (0, 1):
        ended = run([*base, "--no-report", "--shard", f"{number}/2", "--out", stage / f"shards/{number}"])
        if ended.status:
            raise RuntimeError(ended.text)


def kill_often(verb: Verb, folder: Path, count: int, seed: int, names: Sequence[str] = ()) -> dict[str, Any]:
    """Kill a command at random moments, go on with it, and compare its files.

    Args:
        verb: the command.
        folder: an empty folder.
        count: number of kills.
        seed: random seed.
        names: files to compare; by default those that two whole runs have in common, byte by byte.

    Returns:
        Counts of kills and of what differed, for a table.
    """
    random_ = random.Random(seed)
    clean = [_whole(verb, folder / f"clean{number}") for number in range(1 if names else 2)]
    whole = clean[0][0]
    expected = {name: whole[name] for name in names} or {
        name: content for name, content in whole.items() if clean[1][0].get(name) == content
    }
    expected = {name: comparable(name, whole[name]) for name in {*expected, BOARD, PAGE} & whole.keys()}
    seconds = min(each[1] for each in clean)
    kills = same = failed = tracebacks = left = finished = 0
    problems: list[str] = []
    while kills < count:
        out = folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        _clear_cache(folder)
        ended = run(verb.arguments(out, False), random_.uniform(0, seconds), _own_cache(folder))
        if ended.status >= 0:
            finished += 1
            if finished > 5 * count:
                raise RuntimeError(f"{verb.name} ends before it is killed: {ended.text}")
            continue
        kills += 1
        again = run(verb.arguments(out, True), None, _own_cache(folder))
        found = bytes_of(out) if out.is_dir() else {}
        found = {name: comparable(name, content) for name, content in found.items()}
        differs = [name for name, content in expected.items() if found.get(name) != content]
        failed += again.status != 0
        tracebacks += "Traceback" in again.text
        same += not differs and again.status == 0
        left += any(name.rpartition("/")[2].startswith(".") for name in found)
        if differs or again.status:
            problems.append(f"kill {kills}: status {again.status}, {differs[:3]}, {again.text[-500:]}")
            print(problems[-1], flush=True)
    return {
        "verb": verb.name,
        "kills": kills,
        "same_bytes": same,
        "files_compared": " ".join(sorted(expected)),
        "failed": failed,
        "tracebacks": tracebacks,
        "with_drafts_left": left,
        "seconds_of_a_run": round(seconds, 2),
    }


def comparable(name: str, content: bytes) -> bytes:
    """Return a file without what two whole runs do not share: the date on a leaderboard, the seconds in a report."""
    if name == BOARD:
        return pd.read_csv(io.BytesIO(content), dtype=str).drop(columns=["date"]).to_csv(index=False).encode()
    return re.sub(rb"The run took [\d,]+ seconds", b"", content) if name == PAGE else content


def _whole(verb: Verb, out: Path) -> tuple[dict[str, bytes], float]:
    _clear_cache(out.parent)
    ended = run(verb.arguments(out, False), None, _own_cache(out.parent))
    if ended.status:
        raise RuntimeError(f"{verb.name} fails without a kill: {ended.text}")
    return bytes_of(out), ended.seconds


def _own_cache(folder: Path) -> Callable[[], None]:
    """Return what moves the landmark cache of a fork into a folder."""

    def move() -> None:
        import os

        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")

    return move


def _clear_cache(folder: Path) -> None:
    shutil.rmtree(folder / "cache", ignore_errors=True)
