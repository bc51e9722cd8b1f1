"""One cell of the table of Belharbi et al. 2024: a method trained with or without action units, and what it scores.

On drawn faces all trainings of a kind of network start from one trunk, trained on other drawn people, in place of
ImageNet. A post-hoc map needs no training of its own, so CAM, Grad-CAM, Grad-CAM++ and LayerCAM share one. Every
training has the same optimizer and number of passes; only head, trick and guided layer are the method's. No held-out
face chooses anything: the epoch is chosen on a fifth of the faces to train on.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.finetune_study import people
from interpfer.datasets.base import Dataset
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.subset import Subset
from interpfer.files import json_bytes, write_atomic
from interpfer.finetuning.run import finetune
from interpfer.scoring.score import score
from interpfer.statistics.summary import macro_mean

BASELINES = ("baseline:uniform", "baseline:class-mean-au")


@dataclass(frozen=True)
class Row:
    """A method of the table.

    Attributes:
        training: method that is trained.
        class_map: map of a class whose cosine is CAM-COS.
        attention: map whose cosine is ATT-COS.
        network: kind of network.
    """

    training: str
    class_map: str = "cam"
    attention: str = "attention"
    network: str = "cnn"


ROWS: dict[str, Row] = {
    "cam": Row("cam"),
    "wildcat": Row("wildcat"),
    "gradcam": Row("cam", "gradcam"),
    "gradcam++": Row("cam", "gradcam++"),
    "acol": Row("acol"),
    "prm": Row("prm"),
    "adl": Row("adl"),
    "cutmix": Row("cutmix"),
    "ts-cam": Row("ts-cam", "ts-cam", "class-token-attention", "vit"),
    "layercam": Row("cam", "layercam"),
    "apvit": Row("apvit", "attention", "attention", "apvit"),
}
"""Method -> what is trained and scored, in the paper's order. APViT's map is of no class."""

PAPER: dict[str, tuple[float, ...]] = {
    "cam": (88.20, 88.95, 0.55, 0.70, 0.57, 0.85),
    "wildcat": (88.26, 88.85, 0.52, 0.69, 0.47, 0.85),
    "gradcam": (88.39, 88.85, 0.55, 0.74, 0.63, 0.85),
    "gradcam++": (87.84, 89.14, 0.60, 0.82, 0.52, 0.87),
    "acol": (87.94, 88.68, 0.54, 0.67, 0.46, 0.84),
    "prm": (88.13, 88.88, 0.48, 0.59, 0.43, 0.85),
    "adl": (87.45, 88.65, 0.50, 0.63, 0.51, 0.85),
    "cutmix": (88.39, 88.59, 0.55, 0.57, 0.51, 0.80),
    "ts-cam": (86.70, 88.00, 0.58, 0.71, 0.55, 0.88),
    "layercam": (87.90, 88.88, 0.60, 0.84, 0.52, 0.86),
    "apvit": (91.00, 91.03, math.nan, math.nan, 0.38, 0.85),
}
"""Method -> accuracy in percent, CAM-COS and ATT-COS on RAF-DB, each without and with guidance, as published."""

GUIDES: dict[str, dict[str, Any]] = {
    "without": {"weight": 0.0},
    "with": {
        "weight": 4.0,
        "align": "attention",
        "loss_resize": "grid",
        "loss_shift": False,
        "blend": 0.0,
    },
    "ours": {"weight": 3.0, "cam_weight": None, "align": "both", "blend": 0.25},
}
"""Guide -> options: none, the paper's term and weight for RAF-DB, interpfer's default (not for APViT)."""

COMMON: dict[str, Any] = {
    "batch_size": 32, "optimizer": "sgd", "lr": 2e-2, "head_lr": 1.0, "weight_decay": 5e-4, "schedule": "one-cycle",
    "clip": 1.0, "augment": "light", "freeze": "none", "freeze_bn": False, "protocol": "corrected",
}  # fmt: skip
"""Options of every training."""

TRANSFORMERS: dict[str, Any] = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.05, "warmup": 0.1}
"""Options of transformers that differ."""

SMALL_APVIT = {"widths": [16, 16, 32, 64], "blocks": [1, 1, 1], "dim": 64, "depth": 4, "heads": 4, "keep": 52}

NETWORKS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "drawn": {
        "cnn": ("interpfer:small", {}),
        "vit": ("timm:vit_tiny_patch16_224", {"img_size": 64, "patch_size": 8, "embed_dim": 96, "depth": 4}),
        "apvit": ("interpfer:apvit", SMALL_APVIT),
    },
    "faces": {
        "cnn": ("torchvision:resnet18", {}),
        "vit": ("timm:vit_tiny_patch16_224", {"img_size": 112}),
        "apvit": ("interpfer:apvit-small", {}),
    },
}
"""Data -> kind of network -> its name and arguments."""

SIZES = {"drawn": 64, "faces": 112}
"""Data -> side of the images in pixels."""

METRICS = ("cosine", "cosine_skill")
"""Metrics of every map, per face."""

TRUNK: dict[str, Any] = {
    "weight": 0.0, "epochs": 24, "batch_size": 50, "optimizer": "adamw", "lr": 4e-3, "weight_decay": 0.01,
    "augment": "none", "freeze": "none", "val_fraction": 0.05,
}  # fmt: skip
"""Options of the training of a trunk on drawn faces; transformers have a learning rate of 1e-3."""

TRUNK_SEED, TRUNK_FACES = 1000, 700
"""Seed and number of the drawn faces that trunks are trained on."""

MEASURES = ("accuracy", "cam_cos", "att_cos", "cam_skill", "att_skill", "cam_faithful", "att_faithful")
"""Measures of a row that are summarised; the last two are insertion - deletion, on some of the faces."""


@dataclass(frozen=True)
class Cell:
    """A training and its scores.

    Attributes:
        data: a key of ``NETWORKS``.
        faces: the labelled folder; None for drawn faces.
        network: a checkpoint or name in place of the convolutional network; "" for that of ``NETWORKS``.
        training: method that is trained.
        guide: a key of ``GUIDES``.
        seed: seed of the training, and which faces are held out.
        folds: parts of a labelled folder; part ``seed`` modulo ``folds`` is held out.
        epochs: passes.
        count: number of drawn faces to train on; 0 for a labelled folder.
        work: folder of all cells.
        device: to train on.
        precision: of the training: "no" for float32, else "bf16" or "fp16".
    """

    data: str
    faces: Path | None
    network: str
    training: str
    guide: str
    seed: int
    folds: int
    epochs: int
    count: int
    work: Path
    device: str
    precision: str

    @property
    def kind(self) -> str:
        """Kind of network."""
        return next(row.network for row in ROWS.values() if row.training == self.training)

    @property
    def trunk(self) -> Path:
        """Folder of the trunk that a cell on drawn faces starts from."""
        return self.work / self.data / "trunks" / self.kind

    @property
    def start(self) -> str:
        """Checkpoint or name of the network that the training starts from."""
        if self.faces is None:
            return str(self.trunk / "model.pt")
        return self.network if self.network and self.kind == "cnn" else NETWORKS[self.data][self.kind][0]

    @property
    def network_name(self) -> str:
        """Name of the network in tables."""
        name = self.network if self.network and self.kind == "cnn" else NETWORKS[self.data][self.kind][0]
        return Path(name).stem

    @property
    def folder(self) -> Path:
        """Folder of this cell."""
        return self.work / self.data / f"{self.network_name.replace(':', '-')}-{self.training}-{self.guide}-{self.seed}"

    @property
    def result(self) -> Path:
        """File that a finished cell leaves."""
        return self.folder / "cell.json"

    @property
    def explained(self) -> Path:
        """File with the faithfulness of the maps, where that was measured."""
        return self.folder / "faithfulness.json"


def open_faces(cell: Cell) -> tuple[Dataset, Dataset]:
    """Return the faces to train on and those held out, of other people."""
    if cell.faces is None:
        size = SIZES[cell.data]
        return (
            DemoDataset("train", seed=cell.seed, count=cell.count, size=size),
            DemoDataset("test", seed=cell.seed, count=cell.count // 2, size=size),
        )
    whole = CsvDataset.open(cell.faces, "all")
    persons = people(whole)
    whole.samples = tuple(replace(each, subject=person) for each, person in zip(whole.samples, persons, strict=True))
    labels = [sample.label for sample in whole.samples]
    splitter = StratifiedGroupKFold(cell.folds, shuffle=True, random_state=cell.seed // cell.folds)
    kept, held = list(splitter.split(labels, labels, persons))[cell.seed % cell.folds]
    return Subset(whole, kept.tolist(), "train"), Subset(whole, held.tolist(), "test")


def network_options(cell: Cell) -> dict[str, Any]:
    """Return the options of a new network."""
    name, arguments = NETWORKS[cell.data][cell.kind]
    size = SIZES[cell.data]
    own = {"size": size, **arguments} if name == "interpfer:apvit" else arguments
    return {"classes": "rafdb", "input_size": size} | ({"arch_args": own} if own else {})


def options_of(cell: Cell) -> dict[str, Any]:
    """Return the options of a training."""
    values = {"method": cell.training, "seed": cell.seed, "epochs": cell.epochs}
    values |= {"device": cell.device, "precision": cell.precision}
    values |= COMMON | (TRANSFORMERS if cell.kind != "cnn" else {}) | GUIDES[cell.guide]
    is_new = cell.faces is not None and cell.start == NETWORKS[cell.data][cell.kind][0]
    values |= network_options(cell) if is_new else {"trust": True}
    return values | ({"head_args": {"width": 256}} if cell.training == "acol" else {})


def train_trunk(cell: Cell) -> None:
    """Train the trunk that a cell on drawn faces starts from; nothing where that is done."""
    done = cell.trunk / "done"
    if cell.faces is not None or done.is_file():
        return
    faces = DemoDataset("train", seed=TRUNK_SEED, count=TRUNK_FACES, size=SIZES[cell.data])
    rate = {} if cell.kind == "cnn" else {"lr": 1e-3}
    options = TRUNK | rate | network_options(cell) | {"device": cell.device}
    name = NETWORKS[cell.data][cell.kind][0]
    finetune(name, faces, test=None, out=cell.trunk, resume=cell.trunk.exists(), **options)
    done.touch()


def run_cell(cell: Cell) -> None:
    """Train and score one cell; nothing where that is done."""
    if cell.result.is_file():
        return
    train, test = open_faces(cell)
    out = cell.folder / "training"
    result = finetune(cell.start, train, test=None, out=out, resume=out.exists(), **options_of(cell))
    rows = [row for row in ROWS.values() if row.training == cell.training]
    maps = dict.fromkeys((*(name for row in rows for name in (row.attention, row.class_map)), *BASELINES))
    run = score(
        result.model, test, maps=list(maps), layers=layers_of(cell), metrics="cosine,cosine_skill", device=cell.device,
        protocol="corrected",
    )  # fmt: skip
    first = run.per_image.drop_duplicates("image")
    values = {
        key: {column: own.set_index("image")[column].reindex(first["image"]).tolist() for column in METRICS}
        for key, own in run.per_image.groupby("map", sort=False)
    }
    content = {
        "images": first["image"].tolist(),
        "labels": first["label"].tolist(),
        "correct": (first["label"] == first["predicted"]).tolist(),
        "maps": values,
        "train_faces": len(train),
        "seconds": round(sum(result.history["seconds"]), 2),
    }
    write_atomic(cell.result, json_bytes(content))


def layers_of(cell: Cell) -> str:
    """Return the layers whose maps are scored."""
    return "vit.pooling" if cell.training == "apvit" else "last"


def measure(cell: Cell) -> Iterator[dict[str, Any]]:
    """Yield one row per method of the table that a finished cell measures."""
    content = json.loads(cell.result.read_text())
    labels = content["labels"]

    def mean(name: str, metric: str = "cosine") -> float:
        values = [math.nan if value is None else float(value) for value in content["maps"][name][metric]]
        return macro_mean(values, labels)

    faithful = json.loads(cell.explained.read_text())["maps"] if cell.explained.is_file() else {}
    facts = {"network": cell.network_name, "guide": cell.guide, "seed": cell.seed, "faces": len(labels)}
    for method, row in ROWS.items():
        if row.training == cell.training:
            yield (
                {"method": method}
                | facts
                | {
                    "accuracy": float(np.mean(content["correct"])),
                    "cam_cos": mean(row.class_map),
                    "att_cos": mean(row.attention),
                    "cam_skill": mean(row.class_map, "cosine_skill"),
                    "att_skill": mean(row.attention, "cosine_skill"),
                    "cam_faithful": _number(faithful.get(row.class_map)),
                    "att_faithful": _number(faithful.get(row.attention)),
                    **{f"{name.partition(':')[2]}_cos": mean(name) for name in BASELINES},
                    "majority": max(Counter(labels).values()) / len(labels),
                    "seconds": content["seconds"],
                }
            )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def summarise(rows: Sequence[Mapping[str, Any]], overlap: float) -> list[dict[str, Any]]:
    """Return one line per network and method: means over seeds without and with guidance, and their difference.

    Seeds hold other people out, so intervals are over both. They are Student's t with the standard error of Nadeau and
    Bengio 2003: the variance over seeds times 1 / J + ``overlap``; NaN for one seed.

    Args:
        rows: as ``measure`` yields them.
        overlap: held-out faces over faces to train on where trainings share faces; 0 where they share none.
    """
    table = pd.DataFrame(rows)
    lines = []
    for (network, method), own in table.groupby(["network", "method"], sort=False):
        line: dict[str, Any] = {"network": network, "method": method}
        sides = {guide: part.set_index("seed").sort_index() for guide, part in own.groupby("guide", sort=False)}
        for guide, part in sides.items():
            for name in MEASURES:
                mean, reach = mean_and_reach(part[name].to_numpy(float), overlap)
                line |= {f"{name}_{guide}": round(mean, 4), f"{name}_{guide}_reach": round(reach, 4)}
            line[f"seeds_{guide}"] = len(part)
        for guide in sides:
            shared = sides[guide].index.intersection(sides["without"].index if "without" in sides else [])
            for name in MEASURES if guide != "without" else ():
                change = (sides[guide].loc[shared, name] - sides["without"].loc[shared, name]).to_numpy(float)
                mean, reach = mean_and_reach(change, overlap)
                line |= {f"{name}_gain_{guide}": round(mean, 4), f"{name}_gain_{guide}_reach": round(reach, 4)}
        lines.append(line)
    order = list(ROWS)
    return sorted(lines, key=lambda line: order.index(line["method"]))


def mean_and_reach(values: np.ndarray, overlap: float) -> tuple[float, float]:
    """Return a mean over seeds and half of its 95 % interval.

    Examples:
        >>> [round(value, 3) for value in mean_and_reach(np.array([1.0, 2.0, 3.0]), 0.0)]
        [2.0, 2.484]
    """
    if not len(values):
        return math.nan, math.nan
    if len(values) < 2:
        return float(values.mean()), math.nan
    error = float(np.std(values, ddof=1)) * math.sqrt(1 / len(values) + overlap)
    return float(values.mean()), float(student.ppf(0.975, len(values) - 1)) * error
