"""Short trainings that tests share."""

from dataclasses import replace
from pathlib import Path

import torch

from interpfer.datasets.base import Dataset
from interpfer.finetuning.augment import AUGMENTS
from interpfer.finetuning.optim import Optim
from interpfer.finetuning.recipe import Recipe
from interpfer.finetuning.run import FinetuneResult, finetune

QUICK = Recipe(epochs=2, batch_size=7, optim=Optim(lr=1e-2), augment=AUGMENTS["light"], freeze="none", blend=0.0)
RICH = replace(
    QUICK,
    accumulate=2,
    label_smoothing=0.1,
    class_weights=True,
    freeze_bn=True,
    optim=Optim(optimizer="adamw", lr=1e-3, schedule="cosine", warmup=0.2, ema=0.5, clip=1.0, head_lr=2.0),
    augment=replace(AUGMENTS["paper"], cutmix=0.4, mixup=0.4),
)


def train(model: object, data: Dataset, out: Path, recipe: Recipe = QUICK, **choices: object) -> FinetuneResult:
    """Train on the CPU, without a comparison unless ``test`` is passed."""
    return finetune(model, data, out=out, recipe=recipe, device="cpu", **{"test": None} | choices)


def weights(folder: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    """Return the weights of a checkpoint."""
    return torch.load(folder / name, weights_only=True)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Return whether all weights are equal to the bit."""
    return all(torch.equal(a[key], b[key]) for key in a)
