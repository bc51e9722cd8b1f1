"""Codebooks, action units in files of other programs and in texts, masks."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from benchmarks.faults.inputs.seed import Seed, picture


def codebooks() -> Sequence[Seed]:
    from interpfer.au.codebook import load_codebook

    book = {
        "name": "mine",
        "citation": "me",
        "classes": {"happy": [6, 12], "sad": [1, {"au": 4, "weight": 0.5}, {"au": 15, "side": "left"}]},
    }
    return [
        Seed(
            {"book.yaml": yaml.safe_dump(book).encode()},
            "book.yaml",
            lambda folder: load_codebook(str(folder / "book.yaml")),
        )
    ]


def texts_of_aus() -> Sequence[Seed]:
    from interpfer.au.files.reader import read_aus
    from interpfer.datasets.facs_text import parse_facs

    def facs(folder: Path) -> None:
        for line in (folder / "facs.txt").read_text("utf-8", "replace").split("\n"):
            parse_facs(line, "facs.txt")

    openface = (
        "frame, face_id, timestamp, confidence, success, AU01_r, AU12_r, AU01_c, AU12_c\n1, 0, 0.0,"
        " 0.98, 1, 0.00, 2.31, 0.00, 1.00\n2, 0, 0.1, 0.9, 0, 0, 0, 0, 0\n"
    )
    feat = (
        "FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore,AU01,AU12,input,frame\n1,1,9,9,"
        "0.9,0.1,0.8,a.png,0\n1,1,9,9,0.8,0.3,0.2,b.png,1\n"
    )
    libre = "image,au_1,au_12,au_1_intensity,au_12_intensity\na.png,0,1,0.0,3.2\n"
    fmae = '{"img_path": "a.png", "AU1": 1, "AU12": 999}\n{"img_path": "b.png", "AU1": 0, "AU12": 1}\n'
    blend = json.dumps({"a.png": {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.6, "_neutral": 0.0}})
    files = {"a.csv": openface, "feat.csv": feat, "libre.csv": libre, "fmae.jsonl": fmae, "blend.json": blend}
    tables = [
        Seed({name: text.encode()}, name, lambda folder, name=name: read_aus(folder / name))
        for name, text in files.items()
    ]
    return [*tables, Seed({"facs.txt": b"1+2+L12b+25\nnull\n?\n4b, R12\n6+12|1,2,4"}, "facs.txt", facs)]


def masks() -> Sequence[Seed]:
    from interpfer.landmarks.alignment import resize_transform
    from interpfer.truth.masks import MaskTruth
    from interpfer.types import CANVAS, Landmarks, Placement, Sample

    samples = [Sample("a.png", "happiness"), Sample("b.png", "sadness")]

    def draw(path: Path) -> None:
        truth = MaskTruth(path)
        transforms = torch.stack([resize_transform(16, 16, CANVAS)] * 2)
        blank = torch.full((2, 68, 2), torch.nan, dtype=torch.float64)
        truth.check(samples)
        truth.draw(samples, Landmarks.of(blank, ("", ""), Placement(transforms, ((16, 16), (16, 16)))))

    coco = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 16, "height": 16},
            {"id": 2, "file_name": "b.png", "width": 16, "height": 16},
        ],
        "categories": [{"id": 3, "name": "happy"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "segmentation": [[1, 1, 9, 1, 9, 9]], "bbox": [1, 1, 8, 8]},
            {"id": 2, "image_id": 2, "category_id": 3, "segmentation": {"size": [16, 16], "counts": [100, 20, 136]}},
            {"id": 3, "image_id": 2, "category_id": 3, "segmentation": {"size": [16, 16], "counts": "T34:00;c0"}},
            {"id": 4, "image_id": 1, "category_id": 3, "bbox": [2, 2, 4, 4]},
        ],
    }
    chex = {
        "a": {"img_size": [16, 16], "Edema": [[[1, 1], [9, 1], [9, 9]]]},
        "b": {"img_size": [16, 16], "Edema": [[[2, 2], [8, 2], [8, 8]]]},
    }
    voc = (
        "<annotation><filename>a.png</filename><size><width>16</width><height>16</height></size><ob"
        "ject><name>happy</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></b"
        "ndbox></object></annotation>"
    )
    files = {
        "coco.json": json.dumps(coco),
        "chex.json": json.dumps(chex),
        "masks.csv": "image,class,x0,y0,x1,y1\na.png,happy,1,1,9,9\nb.png,,2,2,8,8\n",
        "points.csv": "image,class,x,y\na.png,happy,3,3\nb.png,sad,4.5,2\n",
        "a.xml": voc,
        "localization.txt": "a.png,1,1,9,9\nb.png,2,2,8,8\n",
    }
    listed = [
        Seed({name: text.encode()}, name, lambda folder, name=name: draw(folder / name)) for name, text in files.items()
    ]
    image = {"happiness/a.png": picture(mode="L"), "b.png": picture(mode="L")}
    return [*listed, Seed(image, "happiness/a.png", draw)]
