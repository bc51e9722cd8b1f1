"""Every head and every method: resumed to the same bits, in mixed precision, and in two processes."""

import copy
import io
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from interpfer.datasets.demo import DemoDataset
from interpfer.finetuning.data import TrainingFaces
from interpfer.finetuning.methods import METHODS
from interpfer.finetuning.recipe import make_recipe
from interpfer.models.heads import HEADS
from interpfer.models.model import Model
from interpfer.runtime.progress import no_progress
from tests.finetuning.every_method import (
    CASES,
    NETWORKS,
    make_trainer,
    network_of,
    options_of,
    read_faces,
    untrained,
)

NO_SCORES = {"val_loss": 1.0, "val_accuracy": 0.5, "att_cos": 0.5, "cam_cos": 0.5}
TOLERANCE = 0.1
"""Relative difference of a loss in bfloat16, which has three digits, from that in float32."""


@pytest.fixture(scope="module")
def starts() -> dict[str, Model]:
    dataset = DemoDataset("train", count=20, size=48)
    return {kind: untrained(kind, dataset) for kind in NETWORKS}


@pytest.fixture(scope="module")
def faces(starts: dict[str, Model]) -> TrainingFaces:
    dataset = DemoDataset("train", count=20, size=48)
    return read_faces(dataset, starts["cnn"], make_recipe(options_of({"weight": 1.0, "val_fraction": 0.4})))


@pytest.fixture(autouse=True)
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the scores of held-out faces, on which no weight depends."""
    monkeypatch.setattr("interpfer.finetuning.loop.validate", lambda *_: NO_SCORES)


def test_cases_are_all_heads_and_all_methods() -> None:
    assert len(CASES) == len(list(HEADS)) + len(METHODS)
    assert {network_of(case) for case in CASES.values()} == set(NETWORKS)


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_training_has_the_same_bits(name: str, starts: dict[str, Model], faces: TrainingFaces) -> None:
    options = options_of(CASES[name])
    whole = make_trainer(options, starts[network_of(CASES[name])], faces)
    start = copy.deepcopy(whole.model.module.state_dict())
    whole.run_epoch(no_progress)
    file = io.BytesIO()
    torch.save(whole.state(), file)
    whole.run_epoch(no_progress)
    file.seek(0)
    resumed = make_trainer(options, starts[network_of(CASES[name])], faces)
    resumed.restore(torch.load(file, weights_only=True))
    line = resumed.run_epoch(no_progress)
    weights, again = whole.model.module.state_dict(), resumed.model.module.state_dict()
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[key], again[key]) for key in weights)
    assert any(not torch.equal(weights[key], start[key]) for key in weights)
    assert {key: line[key] for key in ("loss", "accuracy")} == {
        key: whole.history[1][key] for key in ("loss", "accuracy")
    }


@pytest.mark.parametrize("name", CASES)
def test_the_loss_in_mixed_precision_is_near_that_in_full(
    name: str, starts: dict[str, Model], faces: TrainingFaces
) -> None:
    losses = []
    for precision in ("no", "bf16"):
        options = options_of(CASES[name], precision=precision, batch_size=32)  # one step: the loss before any update
        trainer = make_trainer(options, starts[network_of(CASES[name])], faces)
        losses.append(trainer.run_epoch(no_progress)["loss"])
        assert all(value.isfinite().all() for value in trainer.model.module.state_dict().values())
    assert math.isfinite(losses[1])
    assert losses[1] == pytest.approx(losses[0], rel=TOLERANCE)
    assert losses[0] != losses[1]


def test_two_processes_train_every_head_and_every_method_alike(tmp_path: Path) -> None:
    """One pair of processes for all; each ends with the same weights, and plain ones with those of one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "tests.finetuning.two_processes", str(tmp_path), port]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    first, second, alone = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("0", "1", "alone"))
    assert first.keys() == second.keys() == CASES.keys()
    for name, weights in first.items():
        assert all(torch.equal(value, second[name][key]) for key, value in weights.items()), name
        assert all(value.isfinite().all() for value in weights.values()), name
    for name, weights in alone.items():
        for key, value in weights.items():
            torch.testing.assert_close(first[name][key], value, atol=1e-5, rtol=1e-4, msg=f"{name}, {key}")
