"""What metrics cost: PxAP against two numpy histograms per image, and all agreement metrics within a score.

Usage: python -m benchmarks.metrics [--maps 3068] [--faces 256] [--rounds 5]

The sides take turns in one process. `pxap` counts and scores maps of 224 x 224, a few at a time as a score does;
`numpy` does the same with `np.histogram` of the values outside and inside the mask. `plain` is a score of a ResNet-18
with three maps and no metric, `pxap only` and `agreement` the same with that metric and with all agreement metrics,
at 112 and at 224 px. Times are those of the clock: the machine should have nothing else to do.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models import resnet18

from benchmarks.report import write_results
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.landmarks.files import FileLandmarks
from interpfer.metrics.histograms import STEPS
from interpfer.metrics.localisation import pxap
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.runtime.threads import keep_freed_memory, parallel_map
from interpfer.scoring.chunk import CPU_CHUNK
from interpfer.scoring.score import score

CLASSES = "anger,disgust,fear,happiness,neutral,sadness,surprise"
SIZES = (112, 224)
MAPS = ("attention", "gradcam", "layercam")
EDGES = np.append(np.arange(STEPS + 1) / STEPS, 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--maps", type=int, default=3068)
    parser.add_argument("--faces", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    keep_freed_memory()  # as a score does
    torch.manual_seed(0)
    maps, heat = _pictures(64, 7), _pictures(64, 28)
    repeats = -(-options.maps // len(maps))
    counted = repeats * len(maps)
    times = _interleaved(
        {"pxap": lambda: _ours(maps, heat, repeats), "numpy": lambda: _numpy(maps, heat, repeats)}, options.rounds
    )
    rows = _rows(times, counted, "numpy")
    with tempfile.TemporaryDirectory() as folder:
        write_csv_layout(DemoDataset("test", count=options.faces), Path(folder))
        dataset, landmarks = CsvDataset.open(Path(folder), "test"), FileLandmarks(Path(folder) / "landmarks.txt")

        for size in SIZES:
            model = load_model(resnet18(num_classes=7), classes=CLASSES, input_size=size, name="resnet18")

            def scored(metrics: list[str], model: Model = model) -> None:
                score(model, dataset, landmarks=landmarks, maps=MAPS, layers="layer4", metrics=metrics, device="cpu")

            sides = {f"plain {size}": [], f"pxap only {size}": ["pxap"], f"agreement {size}": ["agreement"]}
            calls = {name: lambda names=names, scored=scored: scored(names) for name, names in sides.items()}
            rows += _rows(_interleaved(calls, options.rounds), options.faces, f"plain {size}")
    settings = {"maps": counted, "faces": options.faces, "rounds": options.rounds, "methods": MAPS}
    write_results("metrics", rows, settings)


def _pictures(count: int, grid: int) -> torch.Tensor:
    raw = torch.rand(count, 1, grid, grid)
    return F.interpolate(raw, size=(224, 224), mode="bilinear")[:, 0].contiguous()


def _ours(maps: torch.Tensor, heat: torch.Tensor, repeats: int) -> None:
    def count(start: int) -> torch.Tensor:
        part = slice(start, start + CPU_CHUNK)
        return pxap.count(maps[part], heat[part]).sum(0)

    starts = [*range(0, len(maps), CPU_CHUNK)] * repeats
    pxap.score(torch.stack(parallel_map(count, starts)).sum(0))


def _numpy(maps: torch.Tensor, heat: torch.Tensor, repeats: int) -> None:
    inside = outside = 0
    pairs = [(a.numpy(), h.numpy()) for a, h in zip(maps, heat, strict=True)]
    for _ in range(repeats):
        for values, drawn in pairs:
            mask = drawn >= 0.5
            inside = inside + np.histogram(values[mask], EDGES)[0]
            outside = outside + np.histogram(values[~mask], EDGES)[0]
    pxap.score(torch.from_numpy(np.concatenate([outside, inside])))


def _interleaved(sides: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - started)
    return times


def _rows(times: dict[str, list[float]], count: int, reference: str) -> list[dict[str, object]]:
    """Return the median time of each side, and the median over turns of its ratio to the reference."""
    rows = []
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, times[reference], strict=True))
        milliseconds = statistics.median(values) / count * 1000
        rows.append({"side": name, "ms": round(milliseconds, 4), "against": reference, "ratio": round(ratio, 3)})
    return rows


if __name__ == "__main__":
    main()
