"""The examples of the page on shards, run by a shell in which the programs only write down how they were called."""

import shlex
import subprocess
from pathlib import Path

import click
import pytest

from interpfer.cli import group
from interpfer.scoring.merge_options import MergeOptions
from interpfer.scoring.options import ScoreOptions
from tests.docs.test_pages import ROOT, blocks

SHELL = """
note() { printf '%s\\n' "$*" >> calls; }
interpfer() { note interpfer "$@"; }
srun() { "$@"; }
torchrun() { while [ "$1" != -m ]; do shift; done; shift; "$@"; }
sbatch() {
    while [ $# -gt 1 ] && [ "$1" != --wrap ]; do shift; done
    if [ $# -gt 1 ]; then eval "$2"; else echo 17; fi
}
SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=8 SLURM_NODEID=1 SLURM_NNODES=2 HEAD=node0
mkdir -p shards/0 shards/1
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[list[ScoreOptions | MergeOptions]]:
    """The options of the calls of each block of the page."""
    found = []
    for block in blocks((ROOT / "docs/howto/shards.md").read_text(), "sh"):
        folder = tmp_path_factory.mktemp("block")
        subprocess.run(["bash", "-euc", SHELL + block], cwd=folder, check=True, timeout=20)
        found.append([parse(shlex.split(line)) for line in (folder / "calls").read_text().splitlines()])
    return found


def parse(words: list[str]) -> ScoreOptions | MergeOptions:
    name = words[1]
    command = group.get_command(click.Context(group), name)
    assert command is not None
    options = command.make_context(name, words[2:]).params["options"]
    assert isinstance(options, ScoreOptions | MergeOptions)
    return options


def test_the_examples_score_each_shard_once_and_merge(calls: list[list[ScoreOptions | MergeOptions]]) -> None:
    shards = [[options.shard for options in block if isinstance(options, ScoreOptions)] for block in calls]
    merged = [[str(options.out) for options in block if isinstance(options, MergeOptions)] for block in calls]
    assert list(map(sorted, (own for own in shards if None not in own))) == [
        ["0/2", "1/2"], ["3/8"], [], ["1/2"], ["0/4", "1/4", "2/4", "3/4"],
    ]  # fmt: skip
    assert [None] in shards
    assert merged == [["runs/mine"], [], ["runs/mine"], [], [], ["runs/mine"]]


def test_an_array_may_be_submitted_again(calls: list[list[ScoreOptions | MergeOptions]]) -> None:
    (options,) = calls[1]
    assert isinstance(options, ScoreOptions)
    assert (options.resume, options.out) == (True, Path("shards/3"))
