"""Short trainings of every head and of every method, in one process or two."""

import copy
from collections.abc import Mapping
from typing import Any

import torch

from interpfer.datasets.base import Dataset
from interpfer.datasets.demo import DemoDataset
from interpfer.finetuning.accelerator import make_accelerator
from interpfer.finetuning.data import Inputs, TrainingFaces, split_faces, usable_rows
from interpfer.finetuning.loop import Trainer
from interpfer.finetuning.methods import METHODS
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import Recipe, make_recipe
from interpfer.models.heads import HEADS
from interpfer.models.model import Model
from interpfer.models.new_network import new_network
from interpfer.runtime.progress import no_progress

SIDE = 32
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn": ("interpfer:small", {"width": 4}),
    "vit": (
        "timm:vit_tiny_patch16_224",
        {"img_size": SIDE, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2},
    ),
    "apvit": (
        "interpfer:apvit",
        {"size": SIDE, "widths": (4, 4, 4, 8), "blocks": (1, 1, 1), "dim": 16, "depth": 2, "heads": 2, "keep": 12},
    ),
}

HEAD_ARGS: dict[str, dict[str, Any]] = {
    "acol": {"width": 6}, "wildcat": {"modalities": 2}, "expand-shrink": {"width": 6},
}  # fmt: skip

OWN_GUIDE: dict[str, dict[str, Any]] = {
    "expand-shrink": {"align": "attention"},
    "ts-cam": {"align_layers": "token_attention"},  # the mean over the channels of its norm is zero up to rounding
}

GUIDED = [name if method.is_guide else f"{name},belharbi2024" for name, method in METHODS.items()]
"""Every method with a guide."""

CASES: dict[str, dict[str, Any]] = {
    **{f"head {name}": {"head": name, "weight": 1.0} for name in HEADS},
    **{f"method {name}": {"method": name} for name in GUIDED},
}
"""Name -> options of a training of every head and every method."""

SHORT: dict[str, Any] = {
    "epochs": 2, "batch_size": 7, "device": "cpu", "lr": 1e-3, "freeze": "none", "optimizer": "sgd",
    "schedule": "constant",
}  # fmt: skip


def network_of(case: Mapping[str, Any]) -> str:
    """Return the kind of network that a case is for."""
    method = str(case.get("method")).partition(",")[0]
    needs_token = "ts-cam" in (case.get("head"), method) or method == "token-weights"
    return "apvit" if method == "apvit" else "vit" if needs_token else "cnn"


def options_of(case: Mapping[str, Any], **changes: Any) -> FinetuneOptions:
    """Return the options of a short training."""
    chosen = FinetuneOptions.of(SHORT | dict(case) | changes)
    arguments = HEAD_ARGS.get(str(chosen.head))
    align = OWN_GUIDE.get(str(chosen.head), {})
    return FinetuneOptions.of(SHORT | dict(case) | align | changes | ({"head_args": arguments} if arguments else {}))


def untrained(kind: str, faces: Dataset) -> Model:
    """Return a tiny network with the same random weights each time."""
    torch.manual_seed(0)
    name, arguments = NETWORKS[kind]
    return new_network(name, classes=faces.classes, input_size=SIDE, arch_args=arguments)


def read_faces(dataset: DemoDataset, model: Model, recipe: Recipe) -> TrainingFaces:
    """Return an even number of faces to train on, read."""
    provider = Inputs(model, dataset, None, None).provider(FinetuneOptions(), dataset, recipe.guide.open_truth())
    faces = split_faces(dataset, usable_rows(dataset, model), provider, model.card.input, recipe)
    faces.load(no_progress)
    faces.train.rows = faces.train.rows[: len(faces.train.rows) // 2 * 2]
    return faces


def make_trainer(options: FinetuneOptions, start: Model, faces: TrainingFaces) -> Trainer:
    """Return a training that begins with new copies of the same weights."""
    recipe = make_recipe(options)
    model = Inputs(start, faces.train.stream.dataset, None, None).open_model(options)
    copied = Model(model.name, copy.deepcopy(model.module), model.card)
    return Trainer(copied, recipe, faces.train, faces.heldout, make_accelerator("cpu", recipe.precision))
