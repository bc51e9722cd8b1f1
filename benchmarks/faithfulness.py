"""What faithfulness costs per face and map, against Quantus and pytorch-grad-cam, alone and beside other work.

Usage: python -m benchmarks.faithfulness [--faces 16] [--rounds 5] [--size 112] [--forwards]

Pixel flipping asks the network 21 times on both sides (Quantus PixelFlipping, whose steps must divide the number of
pixels: the size has to be a multiple of 7), ROAD removes 20, 40, 60 and 80 % of the pixels on both
sides (pytorch-grad-cam ROADCombined). All sides score the same maps of the same faces with the same network, and take
turns in one process: first on the machine as it is, then beside a process that keeps one core busy. Times are those of
the clock, the median over the rounds; the ratio is the median over the rounds of peer to ours.

``--forwards`` compares each metric with as many forwards of the network alone instead, for this network and for a
ResNet-18, on one thread and in processor time, which other work on the machine changes little.
"""

import argparse
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import quantus
import torch
import torch.nn.functional as F
import torchvision
from pytorch_grad_cam.metrics.road import ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor, nn

from benchmarks.report import write_results
from interpfer.datasets.demo import DemoDataset
from interpfer.metrics import METRICS
from interpfer.metrics.base import ModelMetric
from interpfer.metrics.faithfulness import STEPS
from interpfer.metrics.queries import ModelProbe
from interpfer.metrics.remove_and_debias import REMOVED
from interpfer.models.channels_last import channels_last
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.runtime.threads import keep_freed_memory

CLASSES = "anger,disgust,fear,happiness,neutral,sadness,surprise"
WIDTHS = (3, 24, 48, 96, 128, 128)
"""Channels of the network, which has 340,000 parameters."""
FORWARDS = {"pixel_flipping": STEPS + 1, "road": 2 * len(REMOVED)}
"""How often each metric asks the network per face."""
PAIRS = {"pixel_flipping": "Quantus PixelFlipping", "road": "pytorch-grad-cam ROADCombined"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--forwards", action="store_true")
    options = parser.parse_args()
    if options.forwards:
        torch.set_num_threads(1)
        keep_freed_memory()
        rows = list(compare_with_forwards(options.faces, options.rounds, options.size))
        write_results("faithfulness_forwards", rows, vars(options) | {"steps": STEPS, "removed": REMOVED})
        return
    warnings.simplefilter("ignore")  # Quantus warns about each call
    keep_freed_memory()  # as a score does
    torch.manual_seed(0)
    model = load_model(make_network(), classes=CLASSES, input_size=options.size, name="small")
    images, maps = torch.rand(options.faces, 3, options.size, options.size), _maps(options.faces, options.size)
    sides = _sides(model, images, maps)
    rows: list[dict[str, object]] = []
    with channels_last(model):
        rows += _measure(sides, options.rounds, options.faces, "idle")
        with busy_core():
            rows += _measure(sides, options.rounds, options.faces, "one core busy")
    write_results("faithfulness", rows, vars(options) | {"steps": STEPS, "removed": REMOVED, "widths": WIDTHS})


def compare_with_forwards(faces: int, rounds: int, size: int) -> Iterator[dict[str, object]]:
    """Yield a row per network and metric: processor time per face of as many forwards, of the metric, and the ratio."""
    networks = {"small": make_network(), "resnet18": torchvision.models.resnet18(num_classes=7)}
    for network, module in networks.items():
        model = load_model(module, classes=CLASSES, input_size=size, name=network)
        dataset = DemoDataset("test", count=faces, size=size)
        pixels = torch.stack([torch.from_numpy(np.array(dataset.image(row))) for row in range(faces)])
        images, maps = pixels.movedim(-1, 1) / 255, _maps(faces, size)
        with channels_last(model):
            for name, count in FORWARDS.items():
                metric = METRICS.get(name)
                assert isinstance(metric, ModelMetric)
                times: list[tuple[float, float]] = []
                for _ in range(rounds + 1):
                    probe = ModelProbe(
                        model.predict_probabilities, images, maps, torch.arange(faces) % 7, tuple(range(faces)), 0
                    )
                    queries = torch.cat([images] * count)
                    spent = _spent(probe.probability, queries), _spent(metric, maps, probe)
                    times.append((spent[0] / faces * 1000, spent[1] / faces * 1000))
                alone, whole = (statistics.median(each) for each in zip(*times[1:], strict=True))
                ratio = statistics.median(b / a for a, b in times[1:])
                yield {"network": network, "metric": name, "forwards": count, "forwards_ms": round(alone, 2),
                       "metric_ms": round(whole, 2), "ratio": round(ratio, 2)}  # fmt: skip


def _spent(work: Callable[..., object], *arguments: object) -> float:
    started = time.process_time()
    work(*arguments)
    return time.process_time() - started


def make_network() -> nn.Sequential:
    """Return a plain convolutional network, as small ones for faces are."""
    layers: list[nn.Module] = []
    for before, after in zip(WIDTHS, WIDTHS[1:], strict=False):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], 7)).eval()


def _maps(faces: int, size: int) -> Tensor:
    """Return maps in [0, 1] at the size of the input, so that no side has to resize them."""
    return F.interpolate(torch.rand(faces, 1, 7, 7), size=(size, size), mode="bilinear")[:, 0].contiguous()


def _sides(model: Model, images: Tensor, maps: Tensor) -> dict[str, Callable[[], object]]:
    targets = torch.arange(len(images)) % 7
    arrays = maps.numpy()

    def ours(name: str) -> Tensor:
        metric = METRICS.get(name)
        assert isinstance(metric, ModelMetric)
        probe = ModelProbe(model.predict_probabilities, images, maps, targets, tuple(range(len(images))), 0)
        return metric(maps, probe)

    def flip() -> object:
        metric = quantus.PixelFlipping(
            features_in_step=images[0, 0].numel() // 7, normalise=False, perturb_baseline="mean", disable_warnings=True
        )
        return metric(
            model=model.module,
            x_batch=images.numpy(),
            y_batch=targets.numpy(),
            a_batch=np.repeat(arrays[:, None], 3, 1),
            softmax=True,
            device="cpu",
        )

    def road() -> object:
        wanted = [ClassifierOutputSoftmaxTarget(target) for target in targets.tolist()]
        return ROADCombined([round(100 * share) for share in REMOVED])(images, arrays, wanted, model.module)

    peers = {"pixel_flipping": flip, "road": road}
    own: dict[str, Callable[[], object]] = {name: lambda name=name: ours(name) for name in PAIRS}
    return own | {PAIRS[name]: peer for name, peer in peers.items()}


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy with another process inside the block."""
    other = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    other.start()
    time.sleep(1)  # it imports this module first
    try:
        yield
    finally:
        other.terminate()
        other.join()


def _spin() -> None:
    while True:
        pass


def _measure(
    sides: dict[str, Callable[[], object]], rounds: int, faces: int, machine: str
) -> Iterator[dict[str, object]]:
    """Yield a row per side; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            if turn:
                times[name].append((time.perf_counter() - started) / faces * 1000)
    for own, peer in PAIRS.items():
        ratio = statistics.median(b / a for a, b in zip(times[own], times[peer], strict=True))
        for name in (own, peer):
            milliseconds = round(statistics.median(times[name]), 2)
            yield {"machine": machine, "side": name, "ms": milliseconds, "peer_to_ours": round(ratio, 2)}


if __name__ == "__main__":
    main()
