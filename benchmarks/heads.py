"""What a head or attention-based dropout costs in training, over the plain head of the same network.

    python -m benchmarks.heads [--rounds 9] [--batch 16] [--device cpu]

Forward and backward of a batch, the networks in turn, in processor time of this process: a ResNet-18 at 112 px, where
`wgap` is the plain head, and a ViT-tiny at 112 px, where `gap` on its patches is.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import timm
import torch
from torch import nn
from torchvision.models import resnet18

from benchmarks.report import write_results
from interpfer.finetuning.accelerator import TrainingForward
from interpfer.finetuning.attention_dropout import FeatureDropout
from interpfer.maps.capture import LayerRecorder
from interpfer.models.attention_dropout import PUBLISHED_DROP
from interpfer.models.heads.attach import attach_head
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
CNN_HEADS = ("wgap", "gap", "max", "lse", "wildcat", "wildcat-reference", "prm", "prm-reference", "acol")
SIZE = 112
Step = Callable[[torch.Tensor, torch.Tensor], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    cnn = load_model(resnet18(num_classes=7), classes=CLASSES, input_size=SIZE)
    vit = load_model(
        timm.create_model("vit_tiny_patch16_224", img_size=SIZE, num_classes=7), classes=CLASSES, input_size=SIZE
    )
    networks = {"resnet18": {name: step(attach_head(cnn, name)) for name in CNN_HEADS}}
    networks["resnet18"]["wgap, adl"] = step(attach_head(cnn, "wgap"), adl=True)
    networks["vit_tiny"] = {name: step(attach_head(vit, name)) for name in ("gap", "ts-cam")}
    networks["vit_tiny"]["ts-cam, attention recorded"] = step(attach_head(vit, "ts-cam"), layer="token_attention")
    rows = []
    for network, steps in networks.items():
        seconds = measure(steps, arguments.rounds, arguments.batch, arguments.device)
        plain = next(iter(seconds.values()))
        for name, values in seconds.items():
            ratios = [value / base for value, base in zip(values, plain, strict=True)]
            rows.append(
                {
                    "network": network,
                    "head": name,
                    "ms_per_image": round(statistics.median(values) / arguments.batch * 1000, 2),
                    "over_plain": round(statistics.median(ratios), 3),
                }
            )
    write_results("heads_cost", rows, {**vars(arguments), "threads": torch.get_num_threads()})


def step(model: Model, adl: bool = False, layer: str | None = None) -> Step:
    """Return a function that goes forward and backward with a batch of images and classes."""
    for parameter in model.module.parameters():
        parameter.requires_grad_()
    dropout = FeatureDropout(model, PUBLISHED_DROP) if adl else None
    forward = TrainingForward(model.module, {}, dropout).train()
    recorder = LayerRecorder(model, [layer]) if layer else None

    def run(x: torch.Tensor, targets: torch.Tensor) -> None:
        forward.to(x.device)
        with nullcontext() if recorder is None else recorder.attached():
            logits, own = forward(x, [(1.0, targets)])
        loss = nn.functional.cross_entropy(logits, targets) + (0 if own is None else own)
        if recorder is not None and layer is not None:
            loss = loss + recorder.collect()[layer].square().mean()
        loss.backward()
        forward.zero_grad()

    return run


def measure(steps: dict[str, Step], rounds: int, batch: int, device: str) -> dict[str, list[float]]:
    """Return the seconds of each round of each step, in turn; the first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    clock = time.process_time if device == "cpu" else time.perf_counter
    x, targets = torch.randn(batch, 3, SIZE, SIZE, device=device), torch.arange(batch, device=device) % len(CLASSES)
    for turn in range(rounds + 1):
        for name, run in steps.items():
            started = clock()
            run(x, targets)
            if device != "cpu":
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(clock() - started)
    return seconds


if __name__ == "__main__":
    main()
