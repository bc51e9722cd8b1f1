"""Several real processes give the bytes of one."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.runtime.processes import Processes, is_distributed, join_processes
from interpfer.scoring.score import score
from tests.conftest import Interrupted

TABLES = ("scores.csv", "per_image.csv", "confusion.csv", "au_profile.csv")
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint",
            "localhost:0"]  # fmt: skip
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def call(faces: Path, checkpoint: Path, *options: str | Path) -> list[str]:
    return ["-m", "interpfer", "score", str(checkpoint), "--dataset", "csv", "--data-root", str(faces), "--landmarks",
            str(faces / "landmarks.txt"), "--device", "cpu", "--batch-size", "5",
            "--maps", "attention,gradcam,baseline:mean-au,baseline:class-mean-au", *map(str, options)]  # fmt: skip


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=ENVIRONMENT, check=False)


BOTH = """
import json, sys
from interpfer import score
from interpfer.cli import main

options = json.loads(sys.argv[1])
score(options.pop("model"), "csv", **options, resume=True)
main(sys.argv[2:])
"""

FAILURES = """
import os, sys
from pathlib import Path

import interpfer.scoring.score as module
from interpfer import score
from interpfer.cli import main
from interpfer.errors import DataError, InterpferError
from interpfer.runtime.processes import join_processes

group = join_processes("cpu")
open_file, score_batch = Path.open, module.score_batch

def fail_on_second():
    if group.index == 1:
        raise DataError("image 7 is not readable.")

def bug_on_first():
    if group.index == 0:
        1 / 0
    fail_on_second()

def refuse(path, *arguments, **options):
    if path.name == "landmarks.txt":
        raise DataError("landmarks.txt is not readable.")
    return open_file(path, *arguments, **options)

def fail_in_scoring(session, batch, *others):
    if 15 in batch.rows:
        raise DataError("image 15 cannot be scored.")
    return score_batch(session, batch, *others)

def report(step):
    try:
        step()
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)

checkpoint, root = sys.argv[3], sys.argv[7]
report(lambda: group.run(fail_on_second))
report(lambda: group.run(bug_on_first))
if group.index == 1:
    Path.open = refuse
report(lambda: score(checkpoint, "csv", data_root=root, landmarks=f"{root}/landmarks.txt", device="cpu"))
Path.open = open_file
if group.index == 1:
    module.score_batch = fail_in_scoring
main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def failures(
    faces: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[subprocess.CompletedProcess[str]]]:
    """Run ``FAILURES`` in two processes without a launcher, which would end one when the other fails.

    Returns:
        The folder of the failed run, and the finished processes.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    out = tmp_path_factory.mktemp("failures") / "run"
    _, *arguments = call(faces, checkpoint, "--out", out)
    environment = ENVIRONMENT | {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", FAILURES, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    end = time.monotonic() + 240  # a process that waits for the other one would wait for a day
    try:
        outputs = [process.communicate(timeout=max(end - time.monotonic(), 1)) for process in running]
    finally:
        for process in running:
            process.kill()
    finished = [
        subprocess.CompletedProcess(process.args, process.returncode, *output)
        for process, output in zip(running, outputs, strict=True)
    ]
    return out, finished


def messages(process: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"^(?:\w+Error|error): .*", process.stderr, re.MULTILINE)


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TABLES}


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("threads", [1], indirect=True)  # as in ENVIRONMENT
def test_two_processes_give_the_bytes_of_one_and_resume(
    faces: Path, checkpoint: Path, tmp_path: Path, interrupted: Interrupted
) -> None:
    _, _, *arguments = call(faces, checkpoint, "--out", tmp_path / "one")
    alone = CliRunner().invoke(group, arguments)
    assert alone.exit_code == 0, alone.output
    board = tmp_path / "board.csv"

    # a run that one process began, and left, is finished by two
    maps = "attention,gradcam,baseline:mean-au,baseline:class-mean-au"
    options = {"data_root": str(faces), "landmarks": str(faces / "landmarks.txt"), "device": "cpu", "batch_size": 5,
               "maps": maps, "out": str(tmp_path / "cut")}  # fmt: skip
    with interrupted(3):
        score(checkpoint, "csv", **options)
    script = tmp_path / "both.py"  # two runs, one start
    script.write_text(BOTH)
    _, _, *words = call(faces, checkpoint, "--out", tmp_path / "two", "--leaderboard", board)
    two = run([*TORCHRUN, str(script), json.dumps({"model": str(checkpoint)} | options), *words])
    assert two.returncode == 0, two.stderr
    assert digests(tmp_path / "one") == digests(tmp_path / "two") == digests(tmp_path / "cut")
    assert two.stdout == alone.stdout  # one table, not two
    assert len(board.read_text().splitlines()) == 1 + 4
    assert not (tmp_path / "two" / ".parts").exists()


def test_alone_nothing_is_shared() -> None:
    group = Processes()
    assert (group.is_main, group.count, group.device) == (True, 1, None)
    assert group.share([1, 2, 3], 2) == [1, 2, 3]
    assert group.gather("x") == ["x"]
    assert group.from_main("x") == "x"
    group.wait()


@pytest.mark.parametrize(("size", "several"), [(None, False), ("1", False), ("2", True), ("", False)])
def test_a_launcher_is_known_by_its_environment(
    size: str | None, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size is not None:
        monkeypatch.setenv("WORLD_SIZE", size)
    assert is_distributed() == several
    if not several:
        assert join_processes().count == 1


def test_groups_of_items_alternate_between_processes() -> None:
    shares = []
    for index in range(2):
        group = Processes()
        group.index, group.count = index, 2
        shares.append(group.share(list(range(11)), 3))
    assert shares == [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10]]


def test_an_error_of_one_process_is_raised_by_all(
    failures: tuple[Path, list[subprocess.CompletedProcess[str]]],
) -> None:
    _, processes = failures
    bugs = [
        "ZeroDivisionError: division by zero",
        "InterpferError: process 0 failed: ZeroDivisionError: division by zero",
    ]
    for process, bug in zip(processes, bugs, strict=True):
        assert messages(process) == [
            "DataError: image 7 is not readable.",
            bug,  # the first error counts where several processes fail
            "DataError: landmarks.txt is not readable.",
            "error: image 15 cannot be scored.",
        ]


def test_a_score_that_fails_on_one_process_ends_on_all(
    failures: tuple[Path, list[subprocess.CompletedProcess[str]]],
) -> None:
    out, processes = failures
    for process in processes:
        assert process.returncode == 1
        assert process.stdout == ""
    assert not (out / "run.json").exists()
