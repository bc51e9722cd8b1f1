"""The offline demo on synthetic faces: draw a data set, train a small classifier, score it, and fine-tune it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.errors import RunError
from interpfer.explain.map_sheet import map_sheet
from interpfer.faces.stream import FaceStream
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.run import FinetuneResult, finetune
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN
from interpfer.results.run import Run
from interpfer.runtime.progress import Progress, no_progress
from interpfer.scoring.score import score

SIZE = 64
MEAN, STD = 0.5, 0.25
EPOCHS = 24
BATCH = 50
PEAK_RATE = 4e-3
SHIFT = 4
"""Largest shift of training images, in pixels."""
FINETUNE_OPTIONS = FinetuneOptions(epochs=5, device="cpu")
MAPS = ("attention", "gradcam", "gradcam++", "layercam", "baselines")


@dataclass(frozen=True)
class DemoResult:
    """Results of the demo.

    Attributes:
        run: score of the classifier on the test faces, with the codebook's heatmap of each label.
        coded: the same with the action units that each face moves.
        finetuning: the classifier fine-tuned towards the action units, with its comparison.
        folder: folder with train/, test/, model.pt, model.yaml, run/, run-coded/, leaderboard.csv, maps.png and
            tuned/.
    """

    run: Run
    coded: Run
    finetuning: FinetuneResult
    folder: Path


def run_demo(folder: str | Path, seed: int = 0, progress: Progress = no_progress) -> DemoResult:
    """Draw faces, train a classifier on them, score it with two truths, fine-tune it, and compare.

    Args:
        folder: a new or empty folder.
        seed: random seed of the faces and of the training.
        progress: called with (what, done, total, note).

    Raises:
        RunError: the folder is not empty.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is not an empty folder; choose another one with --out.")
    splits = {split: DemoDataset(split, seed) for split in ("train", "test")}
    for done, (split, dataset) in enumerate(splits.items()):
        progress("drawing", done, len(splits))
        write_csv_layout(dataset, folder / split)
    progress("drawing", len(splits), len(splits))
    checkpoint = train_small(splits["train"], folder, seed, progress)
    run, coded = (
        score(
            checkpoint,
            "csv",
            data_root=folder / "test",
            landmarks=folder / "test" / "landmarks.txt",
            truth=truth,
            maps=MAPS,
            out=folder / name,
            leaderboard=folder / "leaderboard.csv",
            device="cpu",
            seed=seed,
            progress=progress,
        )
        for truth, name in (("codebook", "run"), ("aus", "run-coded"))
    )
    map_sheet(load_model(checkpoint), splits["test"], folder / "maps.png")
    result = finetune(
        load_model(checkpoint),
        splits["train"],
        test=splits["test"],
        out=folder / "tuned",
        options=replace(FINETUNE_OPTIONS, seed=seed),
        progress=progress,
    )
    return DemoResult(run, coded, result, folder)


def train_small(dataset: DemoDataset, folder: Path, seed: int, progress: Progress) -> Path:
    """Train a ``SmallCNN`` from scratch; write model.pt with its card, and return the path of the checkpoint."""
    batch = FaceStream(dataset, dataset.landmarks(), SIZE).read(range(len(dataset)))
    images = (batch.faces.images - MEAN) / STD
    labels = batch.faces.labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SmallCNN(len(dataset.classes))
        optimiser = torch.optim.AdamW(network.parameters(), PEAK_RATE, weight_decay=0.01)
        steps = EPOCHS * -(-len(images) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
        network.train()
        for epoch in range(EPOCHS):
            progress("training", epoch, EPOCHS)
            for rows in torch.randperm(len(images)).tensor_split(steps // EPOCHS):
                loss = F.cross_entropy(network(_augment(images[rows])), labels[rows], label_smoothing=0.05)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
        progress("training", EPOCHS, EPOCHS)
    checkpoint = folder / "model.pt"
    write_small(network, dataset.classes, checkpoint)
    return checkpoint


def write_small(network: SmallCNN, classes: Sequence[str], checkpoint: str | Path) -> None:
    """Write the weights of a network for images of ``SIZE`` pixels, with its card beside them."""
    card = {
        "arch": "interpfer:small",
        "classes": list(classes),
        "input": {"size": SIZE, "color": "rgb", "mean": [MEAN], "std": [STD]},
    }
    torch.save(network.state_dict(), checkpoint)
    Path(checkpoint).with_suffix(".yaml").write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")


def _augment(images: Tensor) -> Tensor:
    """Mirror half of the images at random, and shift all of them by a few pixels."""
    mirrored = torch.where(torch.rand(len(images))[:, None, None, None] < 0.5, images.flip(3), images)
    padded = F.pad(mirrored, [SHIFT] * 4, mode="replicate")
    moves = torch.randint(0, 2 * SHIFT + 1, (len(images), 2)).tolist()
    return torch.stack([
        image[:, down : down + SIZE, right : right + SIZE] for image, (down, right) in zip(padded, moves, strict=True)
    ])  # fmt: skip
