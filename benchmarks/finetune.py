"""What the guide of `interpfer finetune` does to real faces, and what it costs.

    python -m benchmarks.finetune faces --faces DIR [--checkpoint model.pt] [--seeds 3] [--folds 5] [--device cuda]
        [--workers 8] [--work DIR] [--only LIST]
    python -m benchmarks.finetune cost [--rounds 7] [--faces 320]

`faces` cuts a labelled folder (labels.csv, images/, landmarks.txt) into five parts, stratified, other ones per seed;
holds out each in turn; trains each model on the rest with the same budget under each guide; and scores all on the part
held out, which no training has seen. `--folds 1` holds out the first part of each seed only. Subjects are classifiers
that come with a checkpoint, and a ResNet-18 that starts from noise. `--only` takes part names of rows such as
resnet18/plain; what --work holds already is not trained again.

`cost` trains epochs of a ResNet-18 at 112 px in turn: plain, guided by attention, and by attention and class map.
"""

import argparse
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedKFold
from torchvision.models import resnet18

from benchmarks.report import write_results
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.subset import Subset
from interpfer.faces.stream import FaceStream
from interpfer.finetuning.accelerator import make_accelerator
from interpfer.finetuning.augment import AUGMENTS
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.loop import Trainer
from interpfer.finetuning.pool import FacePool
from interpfer.finetuning.recipe import Recipe
from interpfer.finetuning.run import finetune
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.results.run import Run
from interpfer.scoring.score import score

PARTS = 5
CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
MAPS = ("attention", "gradcam", "layercam", "baseline:uniform", "baseline:mean-au", "baseline:class-mean-au")
GUIDES = {
    "plain": Guide(weight=0),
    "guided": Guide(),
    "half": Guide(weight=Guide().weight / 2),
    "double": Guide(weight=Guide().weight * 2),
    "paper": Guide(weight=4, cam_weight=0, loss_resize="grid"),
}
"""By name: no guide; ours, the default; half and twice its weight; that of Belharbi et al. 2024."""
NOISE_SIZE = 96
"""Input of the network without any training; its last grid is 3 x 3."""
FROM_NOISE = Recipe(epochs=10, freeze="none", augment=AUGMENTS["light"])
"""How a network without any training begins: the same for every guide."""


@dataclass(frozen=True)
class Subject:
    """A classifier to train.

    Attributes:
        name: as the table calls it.
        checkpoint: where it comes from; None for a ResNet-18 that has learnt nothing.
        recipe: without guide and seed.
    """

    name: str
    checkpoint: Path | None
    recipe: Recipe


@dataclass(frozen=True)
class Task:
    """One row of the table.

    Attributes:
        faces: the labelled folder.
        subject: what is trained.
        guide: a name in ``GUIDES``, or "untouched".
        seed: which cut into parts.
        fold: which part is held out.
        work: where trainings and scores lie.
        device: to train and score on.
    """

    faces: Path
    subject: Subject
    guide: str
    seed: int
    fold: int
    work: Path
    device: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["faces", "cost"])
    parser.add_argument("--faces", metavar="DIR|N", help="the labelled folder; for cost, how many drawn faces")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a trained model with its card")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=PARTS, help="how many of the five parts are held out in turn")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="trainings at a time, with one thread each")
    parser.add_argument("--work", type=Path, help="keeps trainings and scores, so that a run can be continued")
    parser.add_argument("--only", default="", help="part names of rows, e.g. plain,resnet18/guided")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.what == "cost":
        cost(int(options.faces or 320), options.rounds)
    else:
        with tempfile.TemporaryDirectory() as draft:
            faces(options, options.work or Path(draft))


def faces(options: argparse.Namespace, work: Path) -> None:
    """Train every subject under every guide, and write the table."""
    chosen = [name for name in options.only.split(",") if name]
    found = subjects(options.checkpoint)
    tasks = [
        Task(Path(options.faces), subject, guide, seed, fold, work, options.device)
        for seed in range(options.seeds)
        for fold in range(options.folds)
        for subject in found
        for guide in (*(["untouched"] if subject.checkpoint else []), *GUIDES)
        if not chosen or any(part in f"{subject.name}/{guide}" for part in chosen)
    ]
    with ProcessPoolExecutor(options.workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        futures = [pool.submit(run, task) for task in tasks]
        for future in as_completed(futures):
            print(", ".join(f"{key} {value}" for key, value in future.result().items()), flush=True)
    rows = [future.result() for future in futures]
    settings = {"seeds": options.seeds, "folds": options.folds, "guides": {n: repr(g) for n, g in GUIDES.items()}}
    settings |= {"device": options.device, "recipes": {subject.name: repr(subject.recipe) for subject in found}}
    write_results("finetune_faces", rows, settings | {"means": summary(rows)})


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print and return the means over parts, and the difference to plain training in points of accuracy.

    Its standard error is that of the mean over the parts, where both trained on the same faces.
    """
    table = pd.DataFrame(rows).set_index(["model", "guide", "seed", "fold"])
    means = table.groupby(["model", "guide"], sort=False).mean().round(4)
    accuracy = table["accuracy"].unstack("guide")
    for model, guide in means.index if "plain" in accuracy else ():
        gain = 100 * (accuracy[guide] - accuracy["plain"])[model].dropna()
        means.loc[(model, guide), ["points", "points_se"]] = gain.mean().round(2), gain.sem().round(2)
    print(means.to_string())
    return [{str(key): value for key, value in line.items()} for line in means.reset_index().to_dict("records")]


def subjects(checkpoints: list[Path]) -> list[Subject]:
    """Return the classifiers."""
    trained = [Subject(path.stem, path, Recipe()) for path in checkpoints]
    return [*trained, Subject("resnet18", None, FROM_NOISE)]


def from_noise(seed: int) -> Model:
    """Return a ResNet-18 that has learnt nothing."""
    torch.manual_seed(seed)
    return load_model(resnet18(num_classes=len(CLASSES)), classes=list(CLASSES), input_size=NOISE_SIZE, name="resnet18")


def run(task: Task) -> dict[str, Any]:
    """Train on four parts, unless the subject stays as it comes, and score on the fifth."""
    whole = CsvDataset.open(task.faces, "all")
    labels = [sample.label for sample in whole.samples]
    parts = StratifiedKFold(PARTS, shuffle=True, random_state=task.seed).split(labels, labels)
    kept, held = (tuple(rows.tolist()) for rows in next(islice(parts, task.fold, None)))
    train, test = Subset(whole, kept, "train"), Subset(whole, held, "test")
    subject, draw = task.subject, PARTS * task.seed + task.fold
    model = load_model(subject.checkpoint, trust=True) if subject.checkpoint else from_noise(draw)
    folder, seconds = task.work / subject.name / task.guide / f"{task.seed}.{task.fold}", 0.0
    if task.guide in GUIDES:
        recipe = replace(subject.recipe, seed=draw, guide=GUIDES[task.guide])
        tuned = finetune(
            model, train, out=folder / "training", recipe=recipe, test=None, resume=True, device=task.device
        )
        model, seconds = tuned.model, float(tuned.history["seconds"].sum())
    seen = score(model, test, maps=MAPS, out=folder / "score", resume=True, device=task.device)
    faith = score(
        model,
        test,
        maps=("gradcam", "baseline:random"),
        metrics=("insertion", "deletion"),
        target="predicted",
        out=folder / "faithfulness",
        resume=True,
        device=task.device,
    )
    line: dict[str, Any] = {"model": subject.name, "guide": task.guide, "seed": task.seed, "fold": task.fold}
    return line | numbers(seen, faith) | {"train_s": round(seconds, 1)}


def numbers(seen: Run, faith: Run) -> dict[str, float]:
    """Return what one model scored."""
    told = seen.manifest["classification"]
    line = {"accuracy": told["accuracy"], "macro_f1": told["macro_f1"]}
    for metric in ("cosine", "cosine_skill"):
        for name in MAPS:
            line[f"{name.removeprefix('baseline:')}_{metric}"] = seen.score(name, metric)
    for name in ("gradcam", "baseline:random"):
        gap = faith.score(name, "insertion", "micro") - faith.score(name, "deletion", "micro")
        line[f"{name.removeprefix('baseline:')}_insertion_minus_deletion"] = gap
    return {name: round(float(value), 4) for name, value in line.items()}


def cost(count: int, rounds: int) -> None:
    """Time epochs of plain and guided training in turn, heatmaps and augmentation included."""
    guides = {"plain": GUIDES["plain"], "attention": Guide(cam_weight=0), "attention + class map": Guide()}
    drawn = DemoDataset("train", count=count)
    stream = FaceStream(drawn, resolve_landmarks(None, drawn.landmarks()), 128)
    trainers = {}
    for name, guide in guides.items():
        pool, held = FacePool(stream, tuple(range(8, count))), FacePool(replace(stream, size=112), tuple(range(8)))
        for part in (pool, held):
            part.load(lambda *_: None)
        recipe = Recipe(epochs=rounds + 1, guide=guide, freeze="none", augment=AUGMENTS["light"])
        network = load_model(resnet18(num_classes=len(CLASSES)), classes=list(CLASSES), input_size=112, name="resnet18")
        trainers[name] = Trainer(network, recipe, pool, held, make_accelerator("cpu", "no"))
    times: dict[str, list[float]] = {name: [] for name in guides}
    for turn in range(rounds + 1):
        for name, trainer in trainers.items():
            line = trainer.run_epoch(lambda *_: None)
            if turn:
                times[name].append(line["seconds"])
    rows = [
        {
            "guide": name,
            "ms_per_face": round(statistics.median(values) / (count - 8) * 1000, 2),
            "over_plain": round(float(np.median(np.array(values) / np.array(times["plain"]))), 3),
        }
        for name, values in times.items()
    ]
    write_results("finetune_cost", rows, {"faces": count - 8, "rounds": rounds, "model": "resnet18, 112 px, batch 32"})


if __name__ == "__main__":
    main()
