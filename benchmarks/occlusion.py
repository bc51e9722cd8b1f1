"""Both shared classifiers under occlusion, as they are and after plain and guided training on other people.

    python -m benchmarks.occlusion [--shared ../shared] [--seeds 0,1] [--epochs 3] [--folds 2] [--out runs]

The people of ../shared/data/faces are split in two; images of nobody known are each a person of their own. A classifier
is trained on one half and scored on the other, and the other way round, so that every face is scored once per seed.
The tables: accuracy and leak of each occlusion, and by how much more or less accuracy guided training loses under an
occlusion than plain training, with people as units and p-values corrected over the table (Holm).
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import interpfer
from benchmarks.report import write_results
from interpfer.datasets.base import Dataset
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.subset import Subset
from interpfer.results.run import Run
from interpfer.statistics.comparison import compare_scores, holm
from interpfer.statistics.subjects import number_subjects

MODELS = ("fer_mini_xception", "faceapi_expression")
KINDS = ("sunglasses", "mask", "hand", "patches:0.1", "patches:0.3", "guided:0.2", "au", "elsewhere")
TRAININGS = {"plain": 0.0, "guided": None}
"""Name -> weight of the guide; None for the default."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/occlusion"))
    arguments = parser.parse_args()
    dataset = CsvDataset.open(arguments.shared / "data" / "faces", "test")
    folds = split_people(dataset, arguments.folds)
    tables, tests = [], []
    for name in MODELS:
        checkpoint = arguments.shared / "models" / f"{name}.pt"
        scored: dict[str, list[pd.DataFrame]] = {}
        for seed in map(int, arguments.seeds.split(",")):
            for fold, (train, test) in enumerate(folds):
                place = arguments.out / f"{name}-{seed}-{fold}"
                kinds: dict[str, Path] = {"as published": checkpoint} if seed == int(arguments.seeds[0]) else {}
                kinds |= {kind: train_on(checkpoint, train, place / kind, arguments.epochs, seed, weight)
                          for kind, weight in TRAININGS.items()}  # fmt: skip
                for kind, trained in kinds.items():
                    scored.setdefault(kind, []).append(rows_of(score_on(trained, test), seed))
        joined = {kind: pd.concat(parts, ignore_index=True) for kind, parts in scored.items()}
        tables += [table_of(name, kind, rows) for kind, rows in joined.items()]
        tests.append(robustness(name, joined["plain"], joined["guided"]))
    changes = pd.concat(tests, ignore_index=True)
    changes["p_holm"] = holm(changes["p"].tolist())
    rows = pd.concat(tables, ignore_index=True)
    settings = {"epochs": arguments.epochs, "seeds": arguments.seeds, "folds": arguments.folds, "images": len(dataset)}
    write_results("occlusion", rows.to_dict("records"), settings)
    write_results("occlusion_guidance", changes.to_dict("records"), settings)


def split_people(dataset: Dataset, folds: int) -> list[tuple[Dataset, Dataset]]:
    """Return pairs of the images of some people and those of the others."""
    names = [sample.subject or sample.id for sample in dataset.samples]
    part = np.array([int(hashlib.sha256(name.encode()).hexdigest(), 16) % folds for name in names])
    return [
        (Subset(dataset, np.flatnonzero(part != fold).tolist(), f"without {fold}"),
         Subset(dataset, np.flatnonzero(part == fold).tolist(), f"part {fold}"))
        for fold in range(folds)
    ]  # fmt: skip


def train_on(checkpoint: Path, train: Dataset, out: Path, epochs: int, seed: int, weight: float | None) -> Path:
    """Return the checkpoint of a training; one that is finished is taken as it is."""
    if not (out / "model.pt").is_file():
        choices: dict[str, Any] = {} if weight is None else {"weight": weight}
        interpfer.finetune(
            checkpoint, train, out=out, epochs=epochs, seed=seed, test=None, trust=True, device="cpu", overwrite=True,
            **choices,
        )  # fmt: skip
    return out / "model.pt"


def score_on(checkpoint: Path, test: Dataset) -> Run:
    return interpfer.score(
        checkpoint, test, trust=True, device="cpu", maps="gradcam,baseline:uniform", metrics="cosine",
        protocol="corrected", occlude=",".join(KINDS),
    )  # fmt: skip


def rows_of(run: Run, seed: int) -> pd.DataFrame:
    """Return one line per face and occlusion."""
    assert run.occluded is not None
    table = run.occluded.per_image
    table = table[table["map"] == "gradcam"]
    correct = np.where(table["predicted"].fillna("") == "", np.nan, table["label"] == table["predicted"])
    return table.assign(correct=correct, seed=seed).reset_index(drop=True)


def table_of(model: str, kind: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy and leak of each occlusion."""
    means = rows.groupby("occlusion", sort=False)[["correct", "leak", "leak_skill"]].mean().reset_index()
    return means.rename(columns={"correct": "accuracy"}).round(3).assign(model=model, training=kind)


def robustness(model: str, plain: pd.DataFrame, guided: pd.DataFrame) -> pd.DataFrame:
    """Return how much more accuracy is kept, and how much less leaks, after guided training than after plain training.

    Seeds of one face are averaged first; people are the units.
    """
    subjects = plain.drop_duplicates("image").set_index("image")
    lines = []
    for what in ("correct", "leak"):
        wide = [rows.groupby(["image", "occlusion"])[what].mean().unstack("occlusion") for rows in (plain, guided)]
        images = wide[0].index
        people = subjects.loc[images, "subject"].fillna("").astype(str).tolist() if "subject" in subjects else []
        units = number_subjects(people) if people else None
        for name in KINDS:
            base = [each["clean"] if what == "correct" else 0.0 for each in wide]
            a, b = ((each[name] - own).to_numpy(float)[:, None] for each, own in zip(wide, base, strict=True))
            (line,) = compare_scores(a, b, np.zeros(len(a), np.intp), ("all",), 0, units)
            lines.append((model, name, "accuracy kept" if what == "correct" else "leak", *line))
    columns = [
        "model",
        "occlusion",
        "what",
        "plain",
        "guided",
        "difference",
        "ci_low",
        "ci_high",
        "p",
        "n",
        "test",
        "people",
    ]
    return pd.DataFrame(lines, columns=columns).round(4)


if __name__ == "__main__":
    main()
