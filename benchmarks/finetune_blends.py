"""What a blend of a guided with a plain training does on people that neither has seen.

    python -m benchmarks.finetune_blends --faces DIR --checkpoint model.pt --work DIR [--shares 0,0.25,0.5]

Takes the trainings of ``benchmarks.finetune faces --arms plain,triple`` in --work, at the epoch that the rule chose,
and scores the part that was held out: accuracy, ATT-COS, CAM-COS, and insertion - deletion of Grad-CAM. Share 0 is the
guided network. The weight and the share that are the defaults were chosen on the folds of the first cut, so that the
other cuts say what they do.
"""

import argparse
import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from benchmarks.finetune_study import Task, corrected_error, open_faces
from benchmarks.report import write_results
from interpfer.finetuning.blend import blend_weights
from interpfer.finetuning.options import FinetuneOptions
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.scoring.score import score
from interpfer.statistics.summary import macro_mean

MEASURES = ("accuracy", "att_cos", "cam_cos", "insertion_deletion")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, metavar="DIR", help="the labelled folder")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the classifier that the trainings began with")
    parser.add_argument("--work", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--arm", default="triple", help="the guided arm")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--shares", default="0,0.25,0.5", help="shares of the plain training")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    shares = [float(share) for share in options.shares.split(",")]
    rows = []
    for repeat in range(options.repeats):
        for fold in range(options.folds):
            place = (repeat, fold, options.folds, options.work, options.device)
            task = Task(options.faces, options.checkpoint, options.arm, *place)
            rows += [{"repeat": repeat, "fold": fold} | row for row in measure(task, shares)]
            print(pd.DataFrame(rows[-1 - len(shares) :]).to_string(), flush=True)
    summary = [
        {"cut": name} | line
        for name, kept in (("first", [0]), ("others", list(range(1, options.repeats))))
        for line in summarise([row for row in rows if row["repeat"] in kept], options.folds)
    ]
    settings = {"arm": options.arm, "repeats": options.repeats, "folds": options.folds, "device": options.device}
    print(pd.DataFrame(summary).to_string())
    write_results(f"finetune_blends_{options.checkpoint.stem}", rows, settings | {"summary": summary})


def measure(task: Task, shares: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Yield what the plain network and each blend of it with the guided one score on the faces held out."""
    _, held = open_faces(task)
    plain, guided = (
        load_model(task.folder.parents[1] / arm / task.folder.name / "best.pt", trust=True)
        for arm in ("plain", task.arm)
    )
    yield {"training": "plain", "share": 1.0} | measure_network(plain, held, task.device)
    for share in shares:
        network = copy.deepcopy(guided.module) if share == 0 else blend_weights(guided.module, plain.module, share)
        blend = Model(guided.name, network, guided.card)
        yield {"training": "guided", "share": share} | measure_network(blend, held, task.device)


def measure_network(model: Model, held: Any, device: str) -> dict[str, Any]:
    """Return accuracy and macro means over the faces held out."""
    choices: dict[str, Any] = {"protocol": FinetuneOptions.protocol, "device": device}
    tables = {
        "attention": score(model, held, maps="attention", metrics="cosine", **choices).per_image,
        "gradcam": score(model, held, maps="gradcam", metrics="cosine,insertion,deletion", **choices).per_image,
    }
    faces = tables["gradcam"]
    labels = faces["label"].tolist()

    def mean(name: str, metric: str) -> float:
        return macro_mean(tables[name].set_index("image")[metric].reindex(faces["image"]).tolist(), labels)

    return {
        "faces": len(faces),
        "accuracy": float((faces["label"] == faces["predicted"]).mean()),
        "att_cos": mean("attention", "cosine"),
        "cam_cos": mean("gradcam", "cosine"),
        "insertion_deletion": mean("gradcam", "insertion") - mean("gradcam", "deletion"),
    }


def summarise(rows: Sequence[dict[str, Any]], folds: int) -> list[dict[str, Any]]:
    """Return means per share, and differences to plain with the errors of ``corrected_error``."""
    table = pd.DataFrame(rows)
    if table.empty:
        return []
    plain = table[table["training"] == "plain"].set_index(["repeat", "fold"])
    lines = []
    for (training, share), own in table.groupby(["training", "share"], sort=False):
        line: dict[str, Any] = {"training": training, "share": share, "trainings": len(own)}
        for name in MEASURES:
            line[name] = round(float(own[name].mean()), 4)
            if training == "plain":
                continue
            difference = own.set_index(["repeat", "fold"])[name] - plain[name]
            error = corrected_error(difference.to_numpy(float), folds)
            reach = student.ppf(0.975, len(difference) - 1) * error
            line[f"{name}_difference"] = round(float(difference.mean()), 4)
            line[f"{name}_low"], line[f"{name}_high"] = (
                round(float(np.mean(difference)) + end, 4) for end in (-reach, reach)
            )
        lines.append(line)
    return lines


if __name__ == "__main__":
    main()
