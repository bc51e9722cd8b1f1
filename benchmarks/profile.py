"""Where the time of a default `score` goes, beside the forward and the backward that its maps need.

Usage: python -m benchmarks.profile [--networks resnet18:112,...] [--faces 256] [--rounds 5] [--autocast bf16]
    [--name score_profile]

Drawn faces on disk, with their landmark file, are scored with all defaults; in turns with that, the network alone runs
forward, and backward down to the mapped layer, with its weights as they are loaded and channels last, as ``score`` has
them. Everything runs on one thread, and times are those of the processor, so
that other work on the machine changes them little; ratios are medians over the rounds. A stage counts what runs inside
its functions and outside of those of another stage, except that what happens once for a run is not divided. With
``--report`` a run folder and its page are written. With ``--autocast`` both compute in half precision.
"""

import argparse
import importlib
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from operator import truediv
from pathlib import Path
from typing import Any

import torch
import torchvision

from benchmarks.report import write_results
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.landmarks.files import FileLandmarks
from interpfer.maps.capture import capture
from interpfer.models.channels_last import channels_last
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.runtime.threads import keep_freed_memory
from interpfer.scoring.options import DEFAULT_BATCH
from interpfer.scoring.score import score

CLASSES = "anger,disgust,fear,happiness,neutral,sadness,surprise"

NETWORK = "forward and backward"
ALONE, CHANNELS_LAST = "network alone", "network alone, weights channels last"
STAGES = {
    "opening": ["scoring.session:open_session"],
    "reading files": ["datasets.csv:CsvDataset.image", "datasets.csv:CsvDataset.size"],
    "hash of the pixels": ["datasets.images:pixel_digest"],
    "preparing pixels": ["models.preparation:prepare_pixels", "models.model:Model.normalise"],
    "landmarks": ["faces.stream:FaceStream.read", "faces.stream:FaceStream.landmarks"],
    NETWORK: ["models.model:Model.logits", "maps.capture:Forward.backward"],
    "maps of the layers": ["maps.engine:run_maps", "maps.engine:find_duplicates"],
    "AU heatmaps": ["scoring.session:ScoreSession.draw_truth"],
    "baselines": [
        "truth.means:TruthMeans.add",
        "truth.means:TruthMeans.class_mean_of_others",
        "truth.means:TruthMeans.mean_of_others",
    ],
    "maps to the canvas": ["scoring.batch:on_canvas"],
    "metrics": [
        "scoring.batch:score_chunk",
        "metrics.base:ImageMetric.__call__",
        "metrics.base:DatasetMetric.count_kept",
    ],
    "AU profile": ["metrics.au_profile:cells", "metrics.au_profile:profile", "truth.codebook:divide_cells"],
    "batch files": ["results.folder:RunFolder.add", "results.folder:RunFolder.counts"],
    "intervals": ["results.tables:Tables.scores"],
    "tables": ["scoring.finish:finish_run"],
    "report": [
        "scoring.batch:keep_pictures",
        "results.pictures:to_bytes",
        "scoring.gallery:collect_report_data",
        "reports.page:write_page",
    ],
}
"""Stage -> its functions, in modules of interpfer."""
WHOLE = ("opening", "report")
"""Stages that keep what runs inside them."""
ONCE = (*WHOLE, "intervals", "tables")
"""Stages whose time hardly grows with the number of faces."""


class StageClock:
    """Processor time of each stage, without that of the stages that it calls.

    Attributes:
        seconds: stage -> seconds of processor time, over all threads.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._threads = threading.local()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Time all functions of ``STAGES`` inside the block."""
        undo = []
        try:
            for stage, names in STAGES.items():
                for name in names:
                    undo += self._replace(stage, name)
            yield
        finally:
            for owner, attribute, original in reversed(undo):
                setattr(owner, attribute, original)

    def _replace(self, stage: str, name: str) -> list[tuple[Any, str, Any]]:
        """Put a timed function wherever the function is bound; return what was there."""
        module, _, path = name.partition(":")
        owner: Any = importlib.import_module(f"interpfer.{module}")
        *outer, last = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        if outer:  # the class that defines a method may be a base
            owner = next(each for each in owner.__mro__ if last in vars(each))
        original = vars(owner)[last]
        owners = [owner] if outer else [each for key, each in sys.modules.items() if key.startswith("interpfer")]
        bound = [(each, key) for each in owners for key, value in vars(each).items() if value is original]
        timed = self._timed(stage, original)
        for place, attribute in bound:
            setattr(place, attribute, timed)
        return [(place, attribute, original) for place, attribute in bound]

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            inner: list[float] = self._threads.__dict__.setdefault("inner", [0.0])
            if getattr(self._threads, "whole", False):
                return function(*arguments, **options)
            self._threads.whole = stage in WHOLE
            inner.append(0.0)
            started = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                self._threads.whole = False
                spent = time.thread_time() - started
                self.seconds[stage] += spent - inner.pop()
                inner[-1] += spent

        return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", default="resnet18:112,resnet18:224,resnet50:112,resnet50:224")
    parser.add_argument("--faces", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--autocast", default="off", choices=("off", "bf16", "fp16"))
    parser.add_argument("--name", default="score_profile")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows: list[dict[str, object]] = []
    for each in options.networks.split(","):
        name, _, size = each.partition(":")
        torch.manual_seed(0)
        network = getattr(torchvision.models, name)(num_classes=7)
        model = load_model(network, classes=CLASSES, input_size=int(size), name=name)
        rows += profile(model, int(size), options)
    write_results(options.name, rows, {key: value for key, value in vars(options).items() if key != "name"})


def profile(model: Model, size: int, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield a row per stage: milliseconds of processor time per face, and their ratio to those of the network."""
    stages: dict[str, list[float]] = defaultdict(list)
    alone: dict[str, list[float]] = {ALONE: [], CHANNELS_LAST: []}
    faces: int = options.faces
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_csv_layout(DemoDataset("test", count=faces), folder)
        dataset, landmarks = CsvDataset.open(folder, "test"), FileLandmarks(folder / "landmarks.txt")
        choices: dict[str, Any] = {"device": "cpu", "autocast": options.autocast}
        choices |= {"out": folder / "run", "overwrite": True} if options.report else {}
        for turn in range(options.rounds + 1):
            with model.autocast(options.autocast):
                network = [_spent(lambda: _run_network(model, faces, size))]
                with channels_last(model):
                    network.append(_spent(lambda: _run_network(model, faces, size)))
            clock = StageClock()
            with clock.installed():
                total = _spent(lambda: score(model, dataset, landmarks=landmarks, **choices))
            if not turn:
                continue
            for values, value in zip(alone.values(), network, strict=True):
                values.append(value)
            for stage, value in _complete(clock.seconds, total).items():
                stages[stage].append(value)
    yield from _rows(f"{model.name} at {size} px", stages, alone, faces)


def _rows(
    network: str, stages: Mapping[str, list[float]], alone: Mapping[str, list[float]], faces: int
) -> Iterator[dict[str, object]]:
    base = statistics.median(alone[ALONE])

    def row(stage: str, value: float, ratio: float) -> dict[str, object]:
        return {
            "network": network,
            "stage": stage,
            "ms_per_face": round(value / faces * 1000, 3),
            "of_the_network": round(ratio, 3),
        }

    for stage, values in stages.items():
        value = statistics.median(values)
        yield row(stage, value, value / base)
    for name, values in alone.items():
        yield row(name, statistics.median(values), statistics.median(values) / base)
    for name, left_out in (("score", ()), ("score, without what a run pays once", ONCE)):
        parts = [values for stage, values in stages.items() if stage not in left_out]
        totals = [sum(each) for each in zip(*parts, strict=True)]
        yield row(name, statistics.median(totals), statistics.median(map(truediv, totals, alone[ALONE])))


def _complete(seconds: Mapping[str, float], total: float) -> dict[str, float]:
    """Return the seconds of all stages in their order, with what is in none."""
    stages = {stage: seconds.get(stage, 0.0) for stage in STAGES}
    return stages | {"other": total - sum(stages.values())}


def _spent(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _run_network(model: Model, faces: int, size: int) -> None:
    """Run forward, and backward down to the last spatial layer, which is all that maps need."""
    for start in range(0, faces, DEFAULT_BATCH):
        x = torch.zeros(min(DEFAULT_BATCH, faces - start), 3, size, size).normal_()
        capture(model, x, model.layers("last"))


if __name__ == "__main__":
    main()
