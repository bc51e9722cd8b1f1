"""Lists of images and of answers: CSV, metadata, JSON lines, lists for --only."""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.inputs.seed import Seed, picture, touch_all


def tables_of_images() -> Sequence[Seed]:
    from interpfer.datasets.csv import CsvDataset
    from interpfer.datasets.imagefolder import ImageFolderDataset
    from interpfer.datasets.only import select_listed

    labels = (
        b"image,label,split,subject,aus,age\na.png,happy,test,p1,6+12,31\nb.png,sad,test,p2,?,40\nc.png,fear,train,,,\n"
    )
    images = {"a.png": picture(), "b.png": picture()}

    def only(folder: Path) -> None:
        select_listed(CsvDataset.open(folder, "test"), folder / "only.txt")

    return [
        Seed({**images, "labels.csv": labels}, "labels.csv", lambda folder: touch_all(CsvDataset.open(folder, "test"))),
        Seed(
            {**images, "metadata.csv": b"file_name,label,split\na.png,happy,test\nb.png,sad,test\n"},
            "metadata.csv",
            lambda folder: touch_all(ImageFolderDataset.open(folder, "test")),
        ),
        Seed({**images, "labels.csv": labels, "only.txt": b"a.png\n# b\nb.png 1 2\nzz\n"}, "only.txt", only),
    ]


def json_lines() -> Sequence[Seed]:
    from interpfer.datasets.imagefolder import ImageFolderDataset
    from interpfer.rationales.rows import read_rows

    rows = [
        {
            "image": "a.png",
            "answer": "happy",
            "text": "AU6 and AU12 are active; no AU4.",
            "aus": [6, 12],
            "boxes": {"AU12": [1, 2, 3, 4]},
        },
        {"image": "b.png", "response": "<think>The brows are lowered (AU4).</think><answer>angry</answer>"},
        {"id": "c.png", "output": '```json\n{"emotion": "sad", "aus": ["AU1", "AU15"]}\n```', "label": "sad"},
    ]
    facts = [{"file_name": "a.png", "label": "happy", "aus": "6+12"}, {"file_name": "b.png", "label": "sad", "age": 4}]
    lines = ["\n".join(json.dumps(row) for row in each).encode() for each in (rows, facts)]
    return [
        Seed({"rows.jsonl": lines[0]}, "rows.jsonl", lambda folder: list(read_rows(folder / "rows.jsonl"))),
        Seed(
            {"metadata.jsonl": lines[1], "a.png": picture()},
            "metadata.jsonl",
            lambda folder: touch_all(ImageFolderDataset.open(folder, "test")),
        ),
    ]
