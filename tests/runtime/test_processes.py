"""Several real processes give the bytes of one."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.runtime.processes import Processes, launched, processes
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
    two = run([*TORCHRUN, *call(faces, checkpoint, "--out", tmp_path / "two", "--leaderboard", board)])
    assert two.returncode == 0, two.stderr
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert two.stdout == alone.stdout  # one table, not two
    assert len(board.read_text().splitlines()) == 1 + 4
    assert not (tmp_path / "two" / ".parts").exists()

    # a run that one process began, and left, is finished by two
    with interrupted(3):
        score(checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu", batch_size=5,
              maps="attention,gradcam,baseline:mean-au,baseline:class-mean-au", out=tmp_path / "cut")  # fmt: skip
    resumed = run([*TORCHRUN, *call(faces, checkpoint, "--out", tmp_path / "cut", "--resume")])
    assert resumed.returncode == 0, resumed.stderr
    assert digests(tmp_path / "one") == digests(tmp_path / "cut")


def test_alone_nothing_is_shared() -> None:
    group = Processes()
    assert (group.main, group.count, group.device) == (True, 1, None)
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
    assert launched() == several
    if not several:
        assert processes().count == 1


def test_whole_groups_are_dealt_out_in_turn() -> None:
    found = []
    for index in range(2):
        group = Processes()
        group.index, group.count = index, 2
        found.append(group.share(list(range(11)), 3))
    assert found == [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10]]
