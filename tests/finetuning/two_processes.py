"""Two processes that train every head and every method for an epoch, and then one; run by ``test_every_method``."""

import os
import sys
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

from interpfer.datasets.demo import DemoDataset
from interpfer.finetuning.data import TrainingFaces
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import make_recipe
from interpfer.models.model import Model
from interpfer.runtime.progress import no_progress
from tests.finetuning.every_method import CASES, NETWORKS, make_trainer, network_of, options_of, read_faces, untrained

PLAIN = tuple(name for name in CASES if name.startswith("head "))
"""Cases without chance in a step, so that two halves of a batch give the gradient of the whole one."""

SCORES = {"val_loss": 1.0, "val_accuracy": 0.5, "att_cos": 0.5, "cam_cos": 0.5}
STILL = {"augment": "none", "freeze_bn": True, "weight": 0.0, "epochs": 1}


def main() -> None:
    folder, port = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    dataset = DemoDataset("train", count=20, size=48)
    starts = {kind: untrained(kind, dataset) for kind in NETWORKS}
    options = options_of({"weight": 1.0, "val_fraction": 0.4, "augment": "none"})
    faces = read_faces(dataset, starts["cnn"], make_recipe(options))
    n = len(faces.train.rows)
    torch.save(train_plain(starts, faces, n), folder / "alone.pt")
    child = os.fork()  # one import for both
    rank = "0" if child else "1"
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    trained = train_plain(starts, faces, n // 2)
    trained |= {name: train(name, options_of(CASES[name]), starts, faces) for name in CASES if name not in PLAIN}
    torch.save(trained, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def train_plain(starts: dict[str, Model], faces: TrainingFaces, batch_size: int) -> dict[str, dict[str, Tensor]]:
    """Return the weights of every head after one step."""
    return {name: train(name, options_of(CASES[name], batch_size=batch_size, **STILL), starts, faces) for name in PLAIN}


def train(name: str, options: FinetuneOptions, starts: dict[str, Model], faces: TrainingFaces) -> dict[str, Tensor]:
    """Return the weights of a case after one epoch."""
    trainer = make_trainer(options, starts[network_of(CASES[name])], faces)
    with mock.patch("interpfer.finetuning.loop.validate", return_value=SCORES):
        trainer.run_epoch(no_progress)
    assert trainer.share.world == int(os.environ.get("WORLD_SIZE", "1"))
    return {key: value.clone() for key, value in trainer.model.module.state_dict().items()}


if __name__ == "__main__":
    main()
