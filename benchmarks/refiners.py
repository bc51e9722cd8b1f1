"""What refiners do to agreement and to faithfulness, what they do alone, and what they cost.

    python -m benchmarks.refiners table --models a.pt,b.pt --data-root DIR [--limit 200] [--probed 60] [--vit-epochs 6]
    python -m benchmarks.refiners cost [--batch 4] [--repeats 5] [--size 224] [--every]

`table` scores {gradcam, attention, layercam} with every refiner on each classifier and on a ViT-tiny trained on the
same faces, at the last layer (refiners that join layers: all layers), with the trained and with random weights, and the
same refiners on random and uniform maps. Models may be run one after another: rows of others with as many faces stay.
`cost` compares, in processor time, interleaved and as ratios within a repeat, one forward and backward, six maps at
five layers, the same with three cheap refiners each, and (`--every`) with every refiner alone.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import timm
import torch

from benchmarks.maps import OURS, build, choose, floor, ours
from benchmarks.report import RESULTS, write_results
from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.errors import PluginError
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.absent import NoLandmarks
from interpfer.maps import MAPS
from interpfer.maps.base import BaselineMap
from interpfer.maps.engine import run_maps
from interpfer.maps.refined import CONTROLS
from interpfer.maps.refiners import REFINERS
from interpfer.maps.refiners.base import LAYERS
from interpfer.metrics.base import DatasetMetric
from interpfer.metrics.randomisation import randomised
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.results.pictures import ReportContent
from interpfer.scoring.batch import score_batch
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.session import open_session

BASES = ("gradcam", "attention", "layercam")
CHEAP = ("rank-gaussian", "blur", "layers")
"""Refiners that need no pass and nothing but maps."""

NETWORKS = ("torchvision:resnet50", "timm:vit_tiny_patch16_224")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["table", "cost"])
    parser.add_argument("--models", default="")
    parser.add_argument("--data-root")
    parser.add_argument("--limit", type=int, default=200, help="faces for agreement")
    parser.add_argument("--probed", type=int, default=60, help="faces for insertion and deletion")
    parser.add_argument("--vit-epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--every", action="store_true", help="cost: also of every refiner alone")
    arguments = parser.parse_args()
    settings = {key: value for key, value in vars(arguments).items() if key not in ("data_root", "models")}
    if arguments.what == "cost":
        write_cost(arguments.repeats, arguments.batch, arguments.size, arguments.every)
        return
    dataset = DATASETS.get("csv").open(Path(arguments.data_root), "all")
    models = [load_model(path, trust=True) for path in arguments.models.split(",") if path]
    if arguments.vit_epochs:
        models.append(train_vit(dataset, arguments.vit_epochs))
    for model in models:  # written after each, as each takes long
        rows = [*kept_rows({model.name}, settings), *tabulate(model, dataset, arguments)]
        write_results("refiners", rows, settings | {"models": list(dict.fromkeys(row["model"] for row in rows))})


def kept_rows(again: set[str], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of an earlier table with the same numbers of faces, but of models that are measured again."""
    path = RESULTS / "refiners.csv"
    if not path.is_file():
        return []
    before = json.loads(path.with_suffix(".json").read_text())["settings"]
    table = pd.read_csv(path)
    if any(before[name] != settings[name] for name in ("limit", "probed")):
        return []
    return [dict(row) for _, row in table[~table["model"].isin(again)].iterrows()]


def refined_names(model: Model, layer: str) -> list[str]:
    """Return the maps of the table that can be computed for a model at a layer: joined ones at all layers."""
    x, names = model.noise, []
    for base in BASES:
        names.append(base)
        for refiner in REFINERS:
            try:
                method = MAPS.get(f"{base}.{refiner}")
            except PluginError:
                continue
            layers = model.layers("all") if LAYERS in REFINERS.get(refiner).needs else [layer]
            if not run_maps(model, x, {"map": method}, layers).refused:
                names.append(f"{base}.{refiner}")
    return names


def tabulate(model: Model, dataset: Dataset, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row per map and refiner."""
    layer = model.layers("last")[0]
    names = refined_names(model, layer)
    joined = [name for name in names if any(LAYERS in REFINERS.get(each).needs for each in name.split(".")[1:])]
    tables = []
    for maps, layers in (([name for name in names if name not in joined], [layer]), (joined, model.layers("all"))):
        plain = _headlines(model, dataset, maps, layers, "cosine,cosine_skill,pxap", arguments.limit)
        with randomised(model, 0):
            shuffled = _headlines(model, dataset, maps, layers, "cosine", arguments.limit)
        probed = _headlines(model, dataset, maps, layers, "insertion_blur,deletion_blur", arguments.probed)
        tables.append((plain, shuffled, probed))
    for name in names:
        base, _, refiner = name.partition(".")
        plain, shuffled, probed = tables[name in joined]
        at = "input" if name in joined else layer
        row: dict[str, Any] = {"model": model.name, "map": base, "refiner": refiner or "-"}
        row |= {metric: plain.get((name, at, metric)) for metric in ("cosine", "cosine_skill", "pxap")}
        insertion, deletion = (probed.get((name, at, f"{metric}_blur")) for metric in ("insertion", "deletion"))
        row["insertion_minus_deletion"] = None if insertion is None or deletion is None else insertion - deletion
        for control in CONTROLS:
            key = f"{control}.{refiner}" if refiner else control
            row[f"alone_{control.removeprefix('baseline:')}"] = plain.get((key, "-", "cosine"))
        row["random_weights"] = shuffled.get((name, at, "cosine"))
        yield {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def _headlines(
    model: Model, dataset: Dataset, maps: Sequence[str], layers: Sequence[str], metrics: str, limit: int
) -> dict[tuple[str, str, str], float]:
    """Return (map, layer, metric) -> mean of the class means; of the data set for a metric that counts over it."""
    if not limit:
        return {}
    options = ScoreOptions(
        maps=list(maps), layers=list(layers), metrics=metrics, limit=limit, device="cpu", protocol="corrected"
    )
    session = open_session(options, model, dataset)
    if "deletion" in metrics:  # controls are not probed
        own = {name: method for name, method in session.maps.items() if not isinstance(method, BaselineMap)}
        columns = tuple(key for key in session.columns if key[0] in own)
        session = replace(session, maps=own, probe=session.probe._replace(columns=columns))
    result = score_batch(session, session.stream.read(session.spec.rows), None, ReportContent(False, False))
    classes = np.array(session.classes(result.rows.tolist()))
    found: dict[tuple[str, str, str], float] = {}
    for column, key in enumerate(session.columns):
        of_images = [name for name, metric in session.metrics.items() if not isinstance(metric, DatasetMetric)]
        for index, name in enumerate(of_images):
            values = result.scores[:, column, index]
            means = [values[(classes == each) & np.isfinite(values)] for each in np.unique(classes)]
            known = [own_mean.mean() for own_mean in means if len(own_mean)]
            found[(*key, name)] = float(np.mean(known)) if known else float("nan")
        for name, metric in session.metrics.items():
            if isinstance(metric, DatasetMetric):
                counts = torch.from_numpy(result.counts[name][:, column].astype(np.int64).sum(0, keepdims=True))
                found[(*key, name)] = float(metric.score(counts)[0])
    return found


def train_vit(dataset: Dataset, epochs: int) -> Model:
    """Return a ViT-tiny of six blocks trained on all faces from scratch: these 650 faces teach it little."""
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", img_size=112, depth=6, num_classes=len(dataset.classes))
    model = load_model(network, classes=list(dataset.classes), input_size=112, name="vit-tiny")
    stream = FaceStream(dataset, NoLandmarks(), 112, False, model.card.input)
    batches = [stream.read(range(at, min(at + 64, len(dataset.samples)))) for at in range(0, len(dataset.samples), 64)]
    x = model.normalise(torch.cat([batch.faces.images for batch in batches]))
    labels = torch.cat([batch.faces.labels for batch in batches])
    x, labels = x[labels >= 0], labels[labels >= 0]
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4, weight_decay=0.05)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            batch = torch.where(torch.rand(len(rows), 1, 1, 1) < 0.5, x[rows], x[rows].flip(-1))
            loss = torch.nn.functional.cross_entropy(network(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    network.eval()
    return model


def write_cost(repeats: int, batch: int, size: int, every: bool) -> None:
    """Measure what refiners cost, and write the table; without ``every``, rows of single refiners stay as they were."""
    rows = list(measure_cost(repeats, batch, size, every))
    path = RESULTS / "refiners_cost.csv"
    if not every and path.is_file():
        before = pd.read_csv(path)
        single = before[before["maps"].str.startswith("six maps, gradcam.")]
        rows += [dict(row) for _, row in single.iterrows()]
    settings = {"repeats": repeats, "batch": batch, "size": size, "every": every}
    write_results("refiners_cost", rows, settings | {"time": "of the processor", "ratio": "median within a repeat"})


def measure_cost(repeats: int, batch: int, size: int, every: bool) -> Iterator[dict[str, Any]]:
    """Yield a row per network and set of maps: processor time over that of a pass, and of six maps without refiners."""
    for source in NETWORKS:
        model = build(source, size)
        layers = choose(model, "5")
        x = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
        sets = {"six maps": list(OURS)}
        sets["six maps, three cheap refiners each"] = [
            *OURS, *(f"{name}.{each}" for name in OURS for each in CHEAP),
        ]  # fmt: skip
        for refiner in REFINERS if every else ():
            if not run_maps(model, x[:1], {"map": MAPS.get(f"gradcam.{refiner}")}, layers).refused:
                sets[f"six maps, gradcam.{refiner}"] = [*OURS, f"gradcam.{refiner}"]
        runs = {"one forward and backward": floor(model, x, layers)}
        runs |= {what: ours(model, x, layers, tuple(names)) for what, names in sets.items()}
        times: dict[str, list[float]] = {what: [] for what in runs}
        for _ in range(repeats):
            for what, run in runs.items():
                start = time.process_time()
                run()
                times[what].append(time.process_time() - start)
        base, plain = times["one forward and backward"], times["six maps"]
        for what, spent in times.items():
            over_pass, over_maps = (
                statistics.median(one / other for one, other in zip(spent, others, strict=True))
                for others in (base, plain)
            )
            yield {
                "network": model.name,
                "layers": len(layers),
                "maps": what,
                "ms_per_image": round(1000 * statistics.median(spent) / batch, 1),
                "over_one_pass": round(over_pass, 3),
                "over_six_maps": round(over_maps, 3),
            }


if __name__ == "__main__":
    main()
