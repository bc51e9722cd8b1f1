"""What the guide of `interpfer finetune` does on people that no training has seen.

Repeated cross-validation by person. Each repeat cuts a labelled folder into parts, classes in proportion and no person
in two of them; each part is held out in turn; every arm trains on the others with the seed of that cut. A face of
unknown person counts as a person of its own. After every epoch all held-out faces are scored, so that the table can
show the epoch that the rule chooses beside the last one and the one of the highest validation accuracy; no held-out
face chooses anything.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.subset import Subset
from interpfer.files import json_bytes, write_atomic
from interpfer.finetuning.checkpoints import write_model
from interpfer.finetuning.data import Inputs
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.pool import FacePool
from interpfer.finetuning.recipe import make_recipe
from interpfer.finetuning.session import open_session
from interpfer.finetuning.validate import score_faces
from interpfer.models.loading import load_model
from interpfer.runtime.progress import no_progress
from interpfer.statistics.summary import macro_mean

ARMS: dict[str, dict[str, Any]] = {
    "plain": {"weight": 0.0},
    "belharbi2024": {"method": "belharbi2024"},
    "guided": {},
    "half": {"weight": 0.5},
    "double": {"weight": 2.0},
    "triple": {"weight": 3.0},
    "correct": {"guide_correct": True},
    "correct double": {"guide_correct": True, "weight": 2.0},
    "keep": {"keep_predictions": 1.0},
    "average": {"ema": 0.98},
    "smooth": {"label_smoothing": 0.1},
    "plain smooth": {"weight": 0.0, "label_smoothing": 0.1},
    "colours": {"augment": "paper"},
    "plain colours": {"weight": 0.0, "augment": "paper"},
    "balanced": {"class_weights": True},
    "statistics": {"freeze_bn": True},
    "AU head": {"au_head": 0.5},
    "patches": {"patch_contrast": 0.2},
    "flip": {"flip_consistency": 0.5},
}
"""Arm -> options of one training that differ from ``COMMON``: no guide, the published recipe, weights of the guide, and
what may keep the accuracy (``--arms`` chooses)."""

COMMON: dict[str, Any] = {"weight": 1.0, "blend": 0.0}
"""Options of every arm that does not set them. Blends of two arms are the study of ``benchmarks.finetune_blends``."""

BASIC = ("plain", "belharbi2024", "guided", "half", "double")
"""Arms that are trained where none are named."""

SETTINGS = ("half", "guided", "double")
"""Arms among which a setting is chosen on some folds and reported on another."""

EPOCHS: dict[str, Callable[[pd.DataFrame], int]] = {
    "rule": lambda history: int(history[history["best"]]["epoch"].iloc[-1]),
    "last": lambda history: int(history["epoch"].iloc[-1]),
    "most accurate": lambda history: int(history["epoch"].iloc[history["val_accuracy"].argmax()]),
}
"""Which epoch is reported, out of the history of a training."""

MEASURES = ("accuracy", "macro_f1", "att_cos", "cam_cos", "accuracy_press", "accuracy_web")


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        faces: the labelled folder.
        checkpoint: the classifier.
        arm: a name in ``ARMS``.
        repeat: which cut into parts.
        fold: which part is held out.
        folds: number of parts.
        work: folder of the results.
        device: to train on.
    """

    faces: Path
    checkpoint: Path
    arm: str
    repeat: int
    fold: int
    folds: int
    work: Path
    device: str

    @property
    def folder(self) -> Path:
        """Folder of this training."""
        return self.work / self.checkpoint.stem / self.arm / f"{self.repeat}.{self.fold}"

    @property
    def result(self) -> Path:
        """File that a finished training leaves."""
        return self.folder / "study.json"


def people(whole: CsvDataset) -> list[str]:
    """Return the person on each face; a face of unknown person is its own."""
    return [sample.subject or f"?{sample.id}" for sample in whole.samples]


def open_faces(task: Task) -> tuple[Subset, Subset]:
    """Return the faces to train on and those held out, each with its person."""
    whole = CsvDataset.open(task.faces, "all")
    named = [replace(each, subject=person) for each, person in zip(whole.samples, people(whole), strict=True)]
    whole.samples = tuple(named)
    return cut(whole, task)


def cut(whole: CsvDataset, task: Task) -> tuple[Subset, Subset]:
    """Return the faces to train on and those held out."""
    labels, persons = [sample.label for sample in whole.samples], people(whole)
    splitter = StratifiedGroupKFold(task.folds, shuffle=True, random_state=task.repeat)
    kept, held = list(splitter.split(labels, labels, persons))[task.fold]
    return Subset(whole, kept.tolist(), "train"), Subset(whole, held.tolist(), "test")


def train(task: Task) -> None:
    """Train one arm and write the scores of the held-out faces after every epoch; nothing where they are written."""
    if task.result.is_file():
        return
    train_set, test_set = open_faces(task)
    seed = task.folds * task.repeat + task.fold
    options = FinetuneOptions.of(
        (COMMON if "method" not in ARMS[task.arm] else {})
        | ARMS[task.arm]
        | {"seed": seed, "device": task.device, "out": task.folder / "training", "overwrite": True}
    )
    model = load_model(task.checkpoint, trust=True)
    session = open_session(Inputs(model, train_set, None, None), options, make_recipe(options), no_progress)
    trainer = session.trainer
    held = FacePool(replace(trainer.heldout_pool.stream, dataset=test_set), tuple(range(len(test_set.samples))))
    held.load(no_progress)
    scores = []
    while not trainer.is_finished:
        line = trainer.run_epoch(no_progress)
        faces = score_faces(trainer.trained_model, held, trainer.truth, options.protocol, options.batch_size)
        scores.append([[face.predicted, face.agreement["att_cos"], face.agreement["cam_cos"]] for face in faces])
        if line["best"]:
            write_model(task.folder / "best.pt", trainer.trained_module, model.card)
    content = {
        "images": [sample.id for sample in test_set.samples],
        "labels": [sample.label for sample in test_set.samples],
        "persons": [sample.subject for sample in test_set.samples],
        "train_faces": len(train_set.samples),
        "history": trainer.history,
        "scores": scores,
    }
    write_atomic(task.result, json_bytes(content))


def measure(task: Task, source: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the row of a training for each rule that chooses an epoch.

    Args:
        task: a finished training.
        source: kind of picture of each image.
    """
    content = json.loads(task.result.read_text())
    history = pd.DataFrame(content["history"])
    labels = np.array(content["labels"])
    kinds = np.array([source.get(image, "") for image in content["images"]])
    for rule, choose in EPOCHS.items():
        epoch = choose(history)
        predicted, *agreement = zip(*content["scores"][epoch - 1], strict=True)
        correct = np.array(predicted) == labels
        att_cos, cam_cos = (np.array(values, float) for values in agreement)
        yield {
            "model": task.checkpoint.stem,
            "arm": task.arm,
            "repeat": task.repeat,
            "fold": task.fold,
            "epoch_rule": rule,
            "epoch": epoch,
            "faces": len(labels),
            "people": len(set(content["persons"])),
            "accuracy": correct.mean(),
            "macro_f1": f1_score(labels, predicted, average="macro", labels=sorted(set(labels)), zero_division=0),
            "att_cos": macro_mean(att_cos.tolist(), labels.tolist()),
            "cam_cos": macro_mean(cam_cos.tolist(), labels.tolist()),
        } | {
            f"accuracy_{kind}": correct[kinds == kind].mean() if (kinds == kind).any() else math.nan
            for kind in ("press", "web")
        }


def corrected_error(differences: np.ndarray, folds: int) -> float:
    """Return the standard error of a mean over folds that share their training faces.

    Nadeau and Bengio 2003, *Inference for the Generalization Error*: the variance of the differences times
    1 / J + n_test / n_train, where J is the number of trainings.

    Examples:
        >>> round(corrected_error(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), folds=5), 4)
        1.0607
    """
    share = 1 / len(differences) + 1 / (folds - 1)
    return float(np.std(differences, ddof=1) * math.sqrt(share))


def summarise(rows: Sequence[dict[str, Any]], folds: int) -> list[dict[str, Any]]:
    """Return the mean of every measure and its difference to plain training, with corrected errors."""
    table = pd.DataFrame(rows).set_index(["model", "epoch_rule", "arm", "repeat", "fold"])
    lines = []
    for (model, rule), group in table.groupby(level=["model", "epoch_rule"], sort=False):
        for arm in dict.fromkeys(group.index.get_level_values("arm")):
            own, plain = (group.xs((model, rule, name), level=(0, 1, 2)) for name in (arm, "plain"))
            shared = own.index.intersection(plain.index)
            line = {"model": model, "epoch_rule": rule, "arm": arm, "trainings": len(shared)}
            for name in ("epoch", *MEASURES):
                line[name] = round(float(own.loc[shared, name].mean()), 4)
            for name in MEASURES if arm != "plain" else ():
                difference = (own.loc[shared, name] - plain.loc[shared, name]).to_numpy(float)
                error = corrected_error(difference, folds)
                reach = student.ppf(0.975, len(difference) - 1) * error
                line[f"{name}_difference"] = round(float(difference.mean()), 4)
                line[f"{name}_error"] = round(error, 4)
                line[f"{name}_low"], line[f"{name}_high"] = (
                    round(float(difference.mean()) + end, 4) for end in (-reach, reach)
                )
            lines.append(line)
    return lines


def nested(rows: Sequence[dict[str, Any]], allowed_loss: float = 0.01) -> list[dict[str, Any]]:
    """Choose the weight of the guide on some folds and report it on another one.

    For each fold, the other folds of its repeat choose: of the settings whose mean accuracy there is at most
    ``allowed_loss`` below plain training (of all, if none is), the one of the highest mean of ATT-COS and CAM-COS.

    Returns:
        The rows of the chosen settings under the rule's epoch, as the arm "nested"; none with a single setting.
    """
    table = pd.DataFrame(rows)
    table = table[table["epoch_rule"] == "rule"]
    chosen = []
    for (model, repeat, fold), held in table.groupby(["model", "repeat", "fold"], sort=False):
        others = table[(table["model"] == model) & (table["repeat"] == repeat) & (table["fold"] != fold)]
        means = others.groupby("arm")[["accuracy", "att_cos", "cam_cos"]].mean()
        known = means.loc[[name for name in SETTINGS if name in means.index]]
        if len(known) < 2 or "plain" not in means.index:
            continue
        kept = known[known["accuracy"] >= means.loc["plain", "accuracy"] - allowed_loss]
        pick = (known if kept.empty else kept)[["att_cos", "cam_cos"]].mean(axis=1).idxmax()
        row = held[held["arm"] == pick].to_dict("records")[0]
        chosen.append(row | {"arm": "nested", "setting": pick})
    return chosen
