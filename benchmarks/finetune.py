"""What the guide of `interpfer finetune` does to real faces, and what it costs.

    python -m benchmarks.finetune faces --faces DIR [--checkpoint model.pt] [--seeds 3] [--work DIR] [--only LIST]
    python -m benchmarks.finetune cost [--rounds 7] [--faces 320]

`faces` holds out a fifth of a labelled folder (labels.csv, images/, landmarks.txt), stratified, another one per seed;
trains each model on the rest with the same budget under each guide; and scores all on the held-out fifth, which no
training has seen. Subjects are classifiers that come with a checkpoint, and a ResNet-18 that starts from noise.
`--only` takes part names of rows such as resnet18/plain; what --work holds already is not trained again.

`cost` trains epochs of a ResNet-18 at 112 px in turn: plain, guided by attention, and by attention and class map.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torchvision.models import resnet18

from benchmarks.report import write_results
from interpfer.datasets.base import Dataset
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.part import Part
from interpfer.evaluate import score
from interpfer.finetuning.augment import AUGMENTS
from interpfer.finetuning.faces import FacePool
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.loop import Trainer, make_accelerator
from interpfer.finetuning.recipe import Recipe
from interpfer.finetuning.run import finetune
from interpfer.finetuning.split import hold_out
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.plan import find_landmarks
from interpfer.results.run import Run
from interpfer.stream import FaceStream

TEST_SHARE = 0.2
CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
MAPS = ("attention", "gradcam", "layercam", "baseline:uniform", "baseline:mean-au", "baseline:class-mean-au")
GUIDES = {
    "plain": Guide(attention=0),
    "guided": Guide(),
    "paper": Guide(attention=4, cam=0, resize="grid"),
}
"""By name: no guide; ours, the default; that of Belharbi et al. 2024 (`--only` leaves it out)."""
NOISE_SIZE = 96
"""Input of the network without any training; its last grid is 3 x 3."""
FROM_NOISE = Recipe(epochs=10, freeze="none", augment=AUGMENTS["light"])
"""How a network without any training begins: the same for every guide."""


@dataclass(frozen=True)
class Subject:
    """A classifier to train.

    Attributes:
        name: as the table calls it.
        make: returns it as it comes, given a seed.
        recipe: without guide and seed.
        trained: whether it is worth a row as it comes.
    """

    name: str
    make: Callable[[int], Model]
    recipe: Recipe
    trained: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["faces", "cost"])
    parser.add_argument("--faces", metavar="DIR|N", help="the labelled folder; for cost, how many drawn faces")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a trained model with its card")
    parser.add_argument("--seeds", type=int, default=3)
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
    whole = CsvDataset.open(Path(options.faces), "all")
    chosen = [name for name in options.only.split(",") if name]
    rows: list[dict[str, Any]] = []
    for subject in subjects(options.checkpoint):
        for seed in range(options.seeds):
            for line in compare(subject, whole, seed, work, chosen):
                rows.append(line)
                print(", ".join(f"{key} {value}" for key, value in line.items()), flush=True)
    settings = {"seeds": options.seeds, "test_share": TEST_SHARE, "guides": {n: repr(g) for n, g in GUIDES.items()}}
    write_results(
        "finetune_faces", rows, settings | {"recipes": {s.name: repr(s.recipe) for s in subjects(options.checkpoint)}}
    )
    numbers = pd.DataFrame(rows).drop(columns=["seed"]).groupby(["model", "guide"], sort=False)
    print(numbers.mean().round(3).to_string())
    print(numbers.std().round(3).to_string())


def subjects(checkpoints: list[Path]) -> Iterator[Subject]:
    """Yield the classifiers."""
    for path in checkpoints:
        yield Subject(path.stem, lambda _, path=path: load_model(path, trust=True), Recipe(), trained=True)
    yield Subject("resnet18", from_noise, FROM_NOISE, trained=False)


def from_noise(seed: int) -> Model:
    """Return a ResNet-18 that has learnt nothing."""
    torch.manual_seed(seed)
    return load_model(resnet18(num_classes=len(CLASSES)), classes=list(CLASSES), input_size=NOISE_SIZE, name="resnet18")


def compare(subject: Subject, whole: Dataset, seed: int, work: Path, chosen: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a line for the subject as it comes, and one per guide."""
    kept, held = hold_out([s.label for s in whole.samples], [s.subject for s in whole.samples], TEST_SHARE, seed)
    train, test = Part(whole, kept, "train"), Part(whole, held, "test")
    for name in (*(["untouched"] if subject.trained else []), *GUIDES):
        row = f"{subject.name}/{name}"
        if chosen and not any(part in row for part in chosen):
            continue
        model, folder, seconds = subject.make(seed), work / subject.name / name / str(seed), 0.0
        if name in GUIDES:
            recipe = replace(subject.recipe, seed=seed, guide=GUIDES[name])
            tuned = finetune(model, train, out=folder / "training", recipe=recipe, test=None, resume=True, device="cpu")
            model, seconds = tuned.model, float(tuned.history["seconds"].sum())
        seen = score(model, test, maps=MAPS, out=folder / "score", resume=True, device="cpu")
        faith = score(
            model,
            test,
            maps=("gradcam", "baseline:random"),
            metrics=("insertion", "deletion"),
            target="predicted",
            out=folder / "faithfulness",
            resume=True,
            device="cpu",
        )
        line: dict[str, Any] = {"model": subject.name, "guide": name, "seed": seed}
        yield line | numbers(seen, faith) | {"train_s": round(seconds, 1)}


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
    guides = {"plain": GUIDES["plain"], "attention": Guide(cam=0), "attention + class map": Guide()}
    drawn = DemoDataset("train", count=count)
    stream = FaceStream(drawn, find_landmarks(None, drawn), 128)
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
