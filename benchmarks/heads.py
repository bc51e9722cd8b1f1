"""What every head, trick and method costs in training, over the plain head of the same network.

    python -m benchmarks.heads [--rounds 9] [--batch 16] [--device cpu]

A step of training (augmentation, heatmaps, forward, loss, backward) on a batch that is read already, the trainings in
turn in one process, in processor time of it: a ResNet-18 at 112 px, where `wgap` is the plain head, a ViT-tiny
at 112 px, where `gap` on its patches is, and the small APViT. The plain training of each network is there twice, and
costs are over the mean of both. What adds a second branch, view or network is marked; all others may cost 1.15 at most.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.report import write_results
from interpfer.datasets.demo import DemoDataset
from interpfer.finetuning.accelerator import make_accelerator
from interpfer.finetuning.au_targets import trainable_aus
from interpfer.finetuning.data import Inputs, split_faces, usable_rows
from interpfer.finetuning.loop import Trainer
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import make_recipe
from interpfer.maps.capture import LayerRecorder
from interpfer.models.heads.action_units import attach_au_head
from interpfer.models.model import Model
from interpfer.models.new_network import new_network
from interpfer.runtime.progress import no_progress

SIZE = 112
LIMIT = 1.15
"""Largest cost over the plain head, without a second branch or view."""

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet18": ("torchvision:resnet18", {}),
    "vit_tiny": ("timm:vit_tiny_patch16_224", {"img_size": SIZE}),
    "apvit_small": ("interpfer:apvit-small", {}),
}

WGAP = {"head": "wgap"}
GUIDE = {"weight": 1.0, "align": "attention"}
HEADS = ("gap", "max", "lse", "wildcat", "wildcat-reference", "prm", "prm-reference", "expand-shrink", "acol")
Training = Mapping[str, Any]

TRAININGS: dict[str, dict[str, Training]] = {
    "resnet18": {
        "wgap": WGAP,
        **{name: {"head": name} for name in HEADS},
        "wgap again": WGAP,
        "adl": WGAP | {"adl": "0.75,0.9"},
        "cutmix": WGAP | {"cutmix": 1.0},
        "temperature": WGAP | {"temperature": 2.0},
        "au-head": WGAP | {"au_head": 0.5},
        "patch-contrast": WGAP | {"patch_contrast": 0.2},
        "guide, attention": WGAP | GUIDE,
        "guide, both": WGAP | {"weight": 1.0},
        "guide-correct": WGAP | GUIDE | {"guide_correct": True},
        "keep-predictions": {"keep_predictions": 1.0},
        "flip-consistency": WGAP | {"flip_consistency": 1.0},
        "tempered-consistency": WGAP | {"temperature": 2.0, "flip_consistency": 1.0, "flip_scale": 1.25},
        "cut-patches": WGAP | {"cut_patches": 0.5},
    },
    "vit_tiny": {
        "gap": {"head": "gap"},
        "gap again": {"head": "gap"},
        "ts-cam": {"head": "ts-cam"},
        "ts-cam, guided": {"head": "ts-cam", "align_layers": "token_attention"} | GUIDE,
        "token-weights": {"head": "ts-cam", "token_weights": 0.25},
    },
    "apvit_small": {
        "apvit": {},
        "apvit again": {},
        "apvit, guided": {"align_layers": "vit.pooling"} | GUIDE,
    },
}
"""Network -> what is trained -> its options; the first is the plain one."""

SECOND = {"acol", "flip-consistency", "tempered-consistency", "cut-patches", "keep-predictions"}
"""Trainings with a second branch, view or network."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    arguments = parser.parse_args()
    rows = []
    for network in arguments.networks.split(","):
        steps = {
            name: make_step(network, training, arguments.batch, arguments.device)
            for name, training in TRAININGS[network].items()
        }
        seconds = measure(steps, arguments.rounds, arguments.device)
        name = next(iter(seconds))
        plain = [statistics.fmean(pair) for pair in zip(seconds[name], seconds[f"{name} again"], strict=True)]
        for name, values in seconds.items():
            ratio = statistics.median(value / base for value, base in zip(values, plain, strict=True))
            rows.append(
                {
                    "network": network,
                    "training": name,
                    "ms_per_image": round(statistics.median(values) / arguments.batch * 1000, 2),
                    "over_plain": round(ratio, 3),
                    "second_branch": name in SECOND,
                    "within_limit": None if name in SECOND else ratio <= LIMIT,
                }
            )
    write_results("heads_cost", rows, {**vars(arguments), "threads": torch.get_num_threads(), "limit": LIMIT})


def make_step(network: str, training: Training, batch_size: int, device: str) -> Callable[[], None]:
    """Return a function that trains one step on the first batch."""
    fixed = {"weight": 0.0, "freeze": "none", "batch_size": batch_size}
    trainer = make_trainer(network, FinetuneOptions.of(fixed | dict(training)), device)
    recorder = LayerRecorder(trainer.model, trainer.guidance.recorded)
    batch = next(iter(trainer.train_pool.batches(trainer._batches(0))))
    trainer._network.train()

    def run() -> None:
        with recorder.attached():
            trainer._forward_backward(batch, 0, recorder, 1)
        trainer._optimizer.zero_grad()

    return run


def make_trainer(network: str, options: FinetuneOptions, device: str) -> Trainer:
    """Return a training of a network with random weights on drawn faces."""
    dataset = DemoDataset("train", count=2 * options.batch_size, size=SIZE)
    name, sizes = NETWORKS[network]
    torch.manual_seed(0)
    start = new_network(name, classes=dataset.classes, input_size=SIZE, arch_args=sizes)
    inputs, recipe = Inputs(start, dataset, None, None), make_recipe(options)
    opened = inputs.open_model(options)
    truth = recipe.guide.open_truth()
    provider = inputs.provider(options, dataset, truth)
    faces = split_faces(dataset, usable_rows(dataset, opened), provider, opened.card.input, recipe)
    faces.load(no_progress)
    if options.au_head:
        opened = attach_au_head(opened, trainable_aus(truth, dataset.samples))
    model = Model(opened.name, copy.deepcopy(opened.module), opened.card)
    return Trainer(model, recipe, faces.train, faces.heldout, make_accelerator(device, recipe.precision))


def measure(steps: Mapping[str, Callable[[], None]], rounds: int, device: str) -> dict[str, list[float]]:
    """Return the seconds of each round of each step, in turn; the first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    clock = time.process_time if device == "cpu" else time.perf_counter
    for turn in range(rounds + 1):
        for name, run in steps.items():
            started = clock()
            run()
            if device != "cpu":
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(clock() - started)
    return seconds


if __name__ == "__main__":
    main()
