"""What `interpfer rationales` gives for texts whose quality is known, made out of real faces.

    python -m benchmarks.rationales --faces DIR [--lines 100000]

Four files are written about the faces of a labelled folder: the truth (label, its action units, the boxes of their
regions); a parrot (an answer that is right on 60 % of the faces, the codebook's action units of that answer, mean
boxes); the truth of another face; and the truth with half of the action units replaced and half of the boxes moved by
half their width. --lines also times a file of that many texts.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.report import write_results
from interpfer.au.codebook import load_codebook
from interpfer.datasets.csv import CsvDataset
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.rationales.baselines import BASELINES
from interpfer.rationales.places import find_places
from interpfer.rationales.rows import Rationale
from interpfer.rationales.table import RationaleTable, collect
from interpfer.rationales.write import score_rationales
from interpfer.runtime.progress import no_progress

KINDS = ("truth", "parrot", "another face's", "half wrong")
RIGHT = 0.6
CODEBOOK = load_codebook("belharbi2024")

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", required=True, type=Path, help="the labelled folder")
    parser.add_argument("--lines", type=int, default=0, help="also time a file of so many texts")
    options = parser.parse_args()
    dataset = CsvDataset.open(options.faces, "test")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, rows in make_rows(dataset).items():
            path = Path(folder) / "rows.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            results = score_rationales(path, dataset, boxes="relative")
            own = results.scores[results.scores["of"].isin(["text", *BASELINES])]
            lines.append(own.assign(texts=kind))
        seconds = time_lines(Path(folder) / "many.jsonl", options.lines) if options.lines else {}
    table = pd.concat(lines)[["texts", "of", "metric", "value", "ci_low", "ci_high", "n"]]
    print(table[table["of"] == "text"].pivot(index="metric", columns="texts", values="value").round(3))
    write_results("rationales", table.to_dict("records"), {"faces": len(dataset)} | seconds)


def make_rows(dataset: CsvDataset) -> dict[str, list[Row]]:
    """Return the four kinds of texts about the faces that have action units."""
    rng = np.random.default_rng(0)
    plain = [Rationale(sample.id, sample.label, frozenset(CODEBOOK.aus([sample.label]))) for sample in dataset.samples]
    table = collect(plain, dataset.samples, lambda _: None, CODEBOOK)
    places = find_places(
        table, dataset, resolve_landmarks(None, dataset.landmarks()), "scaled", "relative", no_progress
    )
    boxes = np.concatenate([part for _, part in places.chunks()])
    truth = [
        _row(table, row, table.labels[row], CODEBOOK.aus([table.labels[row]]), boxes[row]) for row in range(len(table))
    ]
    mean = np.nanmean(boxes, 0)
    names = sorted(CODEBOOK.classes)
    answers = [label if rng.random() < RIGHT else str(rng.choice(names)) for label in table.labels]
    parrot = [_row(table, row, answer, CODEBOOK.aus([answer]), mean) for row, answer in enumerate(answers)]
    others = rng.permutation(len(truth))
    shuffled = [truth[other] | {"image": table.images[row]} for row, other in enumerate(others)]
    return dict(zip(KINDS, (truth, parrot, shuffled, [_half_wrong(row, rng) for row in truth]), strict=True))


def _row(table: RationaleTable, row: int, answer: str, aus: Sequence[int], boxes: np.ndarray) -> Row:
    column = {au: place for place, au in enumerate(table.aus)}
    given = [{"au": au, "box": box.tolist()} for au in aus for box in boxes[column[au], :2] if np.isfinite(box[0])]
    return {"image": table.images[row], "answer": answer, "aus": list(aus), "boxes": given}


def _half_wrong(row: Row, rng: np.random.Generator) -> Row:
    kept = [au for au in row["aus"] if rng.random() < 0.5]
    pool = sorted(set(CODEBOOK.aus()) - set(row["aus"]))
    wrong = rng.choice(pool, len(row["aus"]) - len(kept), replace=False).tolist() if row["aus"] else []
    boxes = []
    for box in row["boxes"]:
        left, top, right, bottom = box["box"]
        moved = (right - left) / 2 * (rng.random() < 0.5)
        boxes.append({"au": box["au"], "box": [left + moved, top, right + moved, bottom]})
    return row | {"aus": kept + wrong, "boxes": boxes}


def time_lines(path: Path, count: int) -> dict[str, float]:
    """Write texts of six sentences, and return how long they take, and the peak memory."""
    random.seed(0)
    names, aus = sorted(CODEBOOK.classes), CODEBOOK.aus()
    sentences = (
        "AU{} is active.",
        "The lip corners are pulled up.",
        "There is no AU{}.",
        "The brows are furrowed and the lips are pressed together.",
        "I see AU{} and AU{} clearly, with parted lips.",
        "Nose wrinkler is absent.",
    )
    with path.open("w") as file:
        for number in range(count):
            text = " ".join(random.choice(sentences).format(*random.sample(aus, 2)) for _ in range(6))
            text = f"<think>{text}</think><answer>{random.choice(names)}</answer>"
            file.write(json.dumps({"id": f"{number}.png", "output": text, "label": random.choice(names)}) + "\n")
    started, used = time.monotonic(), time.process_time()
    score_rationales(path)
    return {
        "lines": count,
        "seconds": round(time.monotonic() - started, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
