"""Runs under faults, in forks: a kill, a full disk, a folder without rights, a changed file, writers at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.faults.conditions import is_one_line, small_disk, writers
from benchmarks.faults.kills import Verb, kill_often, verbs
from benchmarks.faults.server import import_all, run

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads processor time out of /proc")


@pytest.fixture(scope="module")
def score(stage: Path) -> Verb:
    """Score without the report, which takes longest."""
    import_all()
    whole = verbs(stage)[0]
    quick: Callable[..., list[object]] = lambda out, again: [*whole.arguments(out, again), "--no-report"]  # noqa: E731
    return Verb("score", quick)


def test_a_killed_score_ends_with_the_same_bytes(score: Verb, tmp_path: Path) -> None:
    names = ("run/scores.csv", "run/per_image.csv", "run/confusion.csv")
    row = kill_often(score, tmp_path, 1, seed=1, names=names)
    assert (row["kills"], row["same_bytes"], row["failed"], row["tracebacks"]) == (1, 1, 0, 0)
    assert row["files_compared"] == "board.csv run/confusion.csv run/per_image.csv run/scores.csv"


def test_a_full_disk_is_one_line(score: Verb, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with small_disk(out, 40_000) as (limit, grow):
        ended = run(score.arguments(out, False), before=limit)
        assert is_one_line(ended, "No space left" if limit is None else "File too large"), ended.text
        grow()
        assert run(score.arguments(out, True)).status == 0
        assert (out / "run/scores.csv").is_file()


def test_many_writers(tmp_path: Path) -> None:
    for case in writers(tmp_path / "writers", 12):  # the benchmark has 50
        assert case.holds, case
