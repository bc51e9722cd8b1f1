"""What `score` costs beyond its model: the whole score of a ResNet-18 against its forward and backward alone.

Usage: python -m benchmarks.score [--faces 512] [--rounds 5]

A ResNet-18 at 112 px scores drawn faces on disk with four maps at one layer, the cosine metrics and PxAP. The sides
take turns in one process: `model` is the forward and the backward through
the whole network on batches that are in memory already; `layer` the forward and the backward down to the mapped layer
only, which is all that maps need.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torchvision.models import resnet18

from benchmarks.report import write_results
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.landmarks.files import FileLandmarks
from interpfer.maps.capture import capture
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.scoring.score import score

BATCH = 32
CLASSES = "anger,disgust,fear,happiness,neutral,sadness,surprise"
MAPS = ("attention", "gradcam", "gradcam++", "layercam")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = load_model(resnet18(num_classes=7), classes=CLASSES, input_size=112, name="resnet18")
    with tempfile.TemporaryDirectory() as folder:
        write_csv_layout(DemoDataset("test", count=options.faces), Path(folder))
        dataset, landmarks = CsvDataset.open(Path(folder), "test"), FileLandmarks(Path(folder) / "landmarks.txt")
        sides = {
            "score": lambda: score(model, dataset, landmarks=landmarks, maps=MAPS, layers="layer4", batch_size=BATCH),
            "model": lambda: _forward_backward(model, options.faces),
            "layer": lambda: _forward_backward_to_layer(model, options.faces),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for round_number in range(options.rounds + 1):
            for name, side in sides.items():
                started = time.perf_counter()
                side()
                if round_number:
                    times[name].append((time.perf_counter() - started) / options.faces * 1000)
    median = {name: statistics.median(values) for name, values in times.items()}
    rows = [
        {"side": name, "ms_per_face": round(value, 3), "score_over_it": round(median["score"] / value, 3)}
        for name, value in median.items()
    ]
    write_results("score", rows, {"faces": options.faces, "rounds": options.rounds, "batch": BATCH, "maps": MAPS})


def _batches(faces: int) -> list[torch.Tensor]:
    return [torch.zeros(min(BATCH, faces - start), 3, 112, 112).normal_() for start in range(0, faces, BATCH)]


def _forward_backward(model: Model, faces: int) -> None:
    model.module.eval()
    for x in _batches(faces):
        model.module.zero_grad()
        model.module(x).max(1).values.sum().backward()
    model.module.zero_grad()


def _forward_backward_to_layer(model: Model, faces: int) -> None:
    for x in _batches(faces):
        capture(model, x, ("layer4",))


if __name__ == "__main__":
    main()
