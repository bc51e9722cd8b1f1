"""What the guide of `interpfer finetune` does to real faces, and what it costs.

    python -m benchmarks.finetune faces --faces DIR --checkpoint model.pt [--repeats 2] [--folds 5] [--arms LIST]
        [--device cuda] [--workers 8] [--work DIR]
    python -m benchmarks.finetune cost [--rounds 7] [--faces 320] [--device cuda]

`faces` is the study of ``benchmarks.finetune_study``: repeated cross-validation by person, one training per arm and
fold. What --work holds already is not trained again, so that an interrupted run continues.

`cost` trains epochs of a ResNet-18 at 112 px in turn: plain, guided by attention, and by attention and class map.
"""

import argparse
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torchvision.models import resnet18

from benchmarks.finetune_study import ARMS, BASIC, Task, measure, nested, people, summarise, train
from benchmarks.report import write_results
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.faces.stream import FaceStream
from interpfer.finetuning.accelerator import make_accelerator
from interpfer.finetuning.augment import AUGMENTS
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.loop import Trainer
from interpfer.finetuning.pool import FacePool
from interpfer.finetuning.recipe import Recipe
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.models.loading import load_model

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["faces", "cost"])
    parser.add_argument("--faces", metavar="DIR|N", help="the labelled folder; for cost, how many drawn faces")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a trained model with its card")
    parser.add_argument("--repeats", type=int, default=2, help="how often the folder is cut anew")
    parser.add_argument("--folds", type=int, default=5, help="parts of a cut, each held out in turn")
    parser.add_argument(
        "--arms", default=",".join(BASIC), help=f"of {', '.join(ARMS)}; ARM:N trains an arm in the first N repeats only"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="trainings at a time, with one thread each")
    parser.add_argument("--work", type=Path, help="keeps trainings and scores, so that a run can be continued")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.what == "cost":
        cost(int(options.faces or 320), options.rounds, options.device)
    else:
        with tempfile.TemporaryDirectory() as draft:
            faces(options, options.work or Path(draft))


def faces(options: argparse.Namespace, work: Path) -> None:
    """Train every arm on every fold, and write the rows and their summary."""
    folder = Path(options.faces)
    tasks = [
        Task(folder, checkpoint, arm, repeat, fold, options.folds, work, options.device)
        for repeat in range(options.repeats)
        for fold in range(options.folds)
        for checkpoint in options.checkpoint
        for arm, _, own in (arm.partition(":") for arm in options.arms.split(","))
        if repeat < int(own or options.repeats)
    ]
    with ProcessPoolExecutor(options.workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        futures = {pool.submit(train, task): task for task in tasks}
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            print(f"{done} of {len(tasks)}: {futures[future].folder.relative_to(work)}", flush=True)
    whole = CsvDataset.open(folder, "all")
    labels = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    source = dict(zip(labels["image"], labels["source"], strict=True)) if "source" in labels else {}
    settings = {"repeats": options.repeats, "folds": options.folds, "arms": ARMS, "device": options.device}
    settings |= {"faces": len(whole.samples), "people": len(set(people(whole)))}
    settings |= {"people known": len({each.subject for each in whole.samples if each.subject})}
    for checkpoint in options.checkpoint:
        rows = [row for task in tasks if task.checkpoint == checkpoint for row in measure(task, source)]
        rows += nested(rows)
        summary = summarise(rows, options.folds)
        print(pd.DataFrame(summary).to_string())
        write_results(f"finetune_{checkpoint.stem}", rows, settings | {"summary": summary})


def cost(count: int, rounds: int, device: str) -> None:
    """Time epochs of plain and guided training in turn, heatmaps and augmentation included."""
    guides = {"plain": Guide(weight=0), "attention": Guide(cam_weight=0), "attention + class map": Guide()}
    drawn = DemoDataset("train", count=count)
    stream = FaceStream(drawn, resolve_landmarks(None, drawn.landmarks()), 128)
    trainers = {}
    for name, guide in guides.items():
        pool, held = FacePool(stream, tuple(range(8, count))), FacePool(replace(stream, size=112), tuple(range(8)))
        for part in (pool, held):
            part.load(lambda *_: None)
        recipe = Recipe(epochs=rounds + 1, guide=guide, freeze="none", augment=AUGMENTS["light"])
        network = load_model(resnet18(num_classes=len(CLASSES)), classes=list(CLASSES), input_size=112, name="resnet18")
        trainers[name] = Trainer(network, recipe, pool, held, make_accelerator(device, "no"))
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
    settings = {"faces": count - 8, "rounds": rounds, "model": "resnet18, 112 px, batch 32", "device": device}
    write_results("finetune_cost", rows, settings)


if __name__ == "__main__":
    main()
