"""How long an AU heatmap takes: interpfer in batches, and the OpenCV loop of the published method, face by face.

    python -m benchmarks.au_maps

Both draw the same landmarks (those of the drawn faces; no photographs are needed) in turns within one run, so that a
machine that slows down slows both. Writes ``benchmarks/results/au_maps.csv``, and beside it the manifest of the
machine and the versions. Run it on a machine that does nothing else.
"""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

import interpfer
from benchmarks.report import write_results
from interpfer.datasets.demo import DemoDataset
from interpfer.labels import NEUTRAL
from tests.oracles.au_maps import au_map

BATCH = 32
ROUNDS = 30
THREADS = (1, 2)


def faces() -> tuple[torch.Tensor, list[str]]:
    """Return the landmarks of a batch of drawn faces on a 224 px canvas, and their expressions; none is neutral."""
    dataset = DemoDataset("test", count=2 * BATCH, size=224)
    samples = [sample for sample in dataset.samples if sample.label != NEUTRAL][:BATCH]
    points = dataset.landmarks().locate([sample.id for sample in samples]).points
    return points, [sample.label for sample in samples]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(threads: int) -> list[dict[str, object]]:
    """Time both in turns, and return microseconds per face of each: median, and the quarters around it."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    points, classes = faces()
    plain = points.numpy().astype(np.float64)
    contenders: dict[str, Callable[[], object]] = {
        "interpfer": lambda: interpfer.au_heatmaps(points, classes),
        "opencv loop": lambda: [au_map(face, name) for face, name in zip(plain, classes, strict=True)],
    }
    for work in contenders.values():
        work()
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            spent[name].append(seconds(work) * 1e6 / BATCH)
    rows = []
    for name, times in spent.items():
        low, median, high = statistics.quantiles(times, n=4)
        ratio = statistics.median(spent["opencv loop"]) / median
        rows.append(
            {
                "implementation": name,
                "threads": threads,
                "batch": BATCH if name == "interpfer" else 1,
                "us_per_face": round(median, 1),
                "q25": round(low, 1),
                "q75": round(high, 1),
                "times_faster_than_the_loop": round(ratio, 2),
            }
        )
    return rows


def main() -> None:
    rows = [row for threads in THREADS for row in compare(threads)]
    write_results("au_maps", rows, {"rounds": ROUNDS, "batch": BATCH})


if __name__ == "__main__":
    main()
