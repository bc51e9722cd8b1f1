"""The readers that are fuzzed: valid files of each, hostile ones, and how a program of interpfer reads them."""

import io
import json
import pickle
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from benchmarks.faults.mutations import change_value, mutate
from interpfer.models.small import SmallCNN

Files = Mapping[str, bytes]
Hostile = Callable[[random.Random, str], Files]
"""Makes files that are hostile in a way that changes of valid ones hardly reach; the text is the canary's path."""


@dataclass(frozen=True)
class Seed:
    """Valid files, of which one is changed.

    Attributes:
        files: name -> content.
        target: name of the file that is changed.
        read: reads the folder with the files.
        hostile: makes other files, a share of the inputs; None for none.
    """

    files: Files
    target: str
    read: Callable[[Path], Any]
    hostile: Hostile | None = field(default=None)

    def draw(self, random_: random.Random, canary: str) -> Files:
        """Return the files of one input."""
        if self.hostile is not None and random_.random() < 0.2:
            return {**self.files, **self.hostile(random_, canary)}
        return {**self.files, self.target: mutate(self.files[self.target], self.target, random_, canary)}


def picture(kind: str = "PNG", size: int = 16, mode: str = "RGB") -> bytes:
    """Return the bytes of a small picture."""
    values = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).convert(mode).save(out, kind)
    return out.getvalue()


def touch_all(dataset: Any, most: int = 4) -> None:
    """Read the first pictures of a data set as a score does: what cannot be read is skipped."""
    from interpfer.errors import DataError

    for index in range(min(len(dataset), most)):
        try:
            dataset.image(index)
            dataset.size(index)
        except DataError:
            continue


CARD = {
    "arch": "interpfer:small",
    "arch_args": {"width": 2},
    "classes": ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"],
    "input": {"size": 16, "color": "rgb", "scale": 1, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    "layers": None,
    "published": {"rafdb/test": 0.9},
    "name": "small",
}


class _Bomb:
    """An object whose pickle creates the canary."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.canary, "w")


def checkpoints() -> Sequence[Seed]:
    from safetensors.torch import save as save_safe

    from interpfer.models.loading import load_model

    torch.manual_seed(0)
    weights = SmallCNN(7, width=2).state_dict()
    card = yaml.safe_dump(CARD).encode()
    zipped, legacy, nested = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(weights, zipped)
    torch.save(weights, legacy, _use_new_zipfile_serialization=False)
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in weights.items()}, "epoch": 3, "args": {"lr": 0.1}},
        nested,
    )
    forms = {
        "model.pt": (zipped.getvalue(), bomb_zip),
        "model.pth": (legacy.getvalue(), bomb_pickle),
        "model.ckpt": (nested.getvalue(), None),
        "model.safetensors": (save_safe(weights), None),
    }
    return [
        Seed({name: content, "model.yaml": card}, name, lambda folder, name=name: load_model(folder / name), hostile)
        for name, (content, hostile) in forms.items()
    ]


def bomb_pickle(random_: random.Random, canary: str) -> Files:
    """Return a pickle that would create the canary, bare or in a state_dict."""
    bomb = _Bomb(canary)
    value: Any = random_.choice((bomb, {"state_dict": bomb}, {"conv.weight": [bomb]}))
    return {"model.pth": pickle.dumps(value, protocol=random_.choice((0, 2, 4)))}


def bomb_zip(random_: random.Random, canary: str) -> Files:
    """Return a zip of torch with such a pickle, or with names that lead out, or one that unpacks to 8 MB."""
    if (kind := random_.randrange(3)) == 0:
        return {"model.pt": _zip_bomb()}
    content = bomb_pickle(random_, canary)["model.pth"] if kind == 1 else b"\x80\x02}."
    members = {"model/data.pkl": content, "model/version": b"3\n"}
    return {"model.pt": pack_zip(members | {random_.choice(("../../x", "model/data/0", "/etc/x")): b"x" * 64})}


@lru_cache(maxsize=1)
def _zip_bomb() -> bytes:
    return pack_zip({"model/data.pkl": bytes(8 * 2**20), "model/version": b"3\n"})


def pack_zip(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def cards() -> Sequence[Seed]:
    from interpfer.models.loading import load_model

    weights = io.BytesIO()
    torch.save(SmallCNN(7, width=2).state_dict(), weights)
    full = CARD | {
        "aus": None,
        "output": 0,
        "forward_args": {},
        "input": {**CARD["input"], "resize": 18, "crop": "center"},
    }
    named = [yaml.safe_dump({**CARD, "arch": arch}).encode() for arch in ("code.py:build", "os:system", "code:build")]

    def hostile(random_: random.Random, canary: str) -> Files:
        code = f"open('{canary}', 'w')\ndef build():\n    return None\n".encode()
        return {"model.yaml": random_.choice(named), "code.py": code}

    return [
        Seed(
            {"model.pt": weights.getvalue(), "model.yaml": yaml.safe_dump(each).encode()},
            "model.yaml",
            lambda folder: load_model(folder / "model.pt"),
            hostile,
        )
        for each in (CARD, full)
    ]


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


def images() -> Sequence[Seed]:
    from interpfer.datasets.images import read_image, read_size

    def read(path: Path) -> None:
        read_image(path)
        read_size(path)

    kinds = {
        "a.png": "PNG",
        "a.jpg": "JPEG",
        "a.gif": "GIF",
        "a.bmp": "BMP",
        "a.tif": "TIFF",
        "a.webp": "WEBP",
        "a.ppm": "PPM",
        "a.tga": "TGA",
    }
    return [
        Seed({name: picture(kind)}, name, lambda folder, name=name: read(folder / name), huge_picture(name))
        for name, kind in kinds.items()
    ]


def huge_picture(name: str) -> Hostile:
    """Return what makes a picture whose header claims 60,000 x 60,000 pixels."""

    def make(random_: random.Random, _: str) -> Files:
        side = random_.choice((60_000, 2**31 - 1, 20_000)).to_bytes(4, "big")
        png = bytearray(picture())
        png[16:24] = side + side
        return {name: bytes(png) if random_.random() < 0.5 else b"P6 60000 60000 255\n" + bytes(100)}

    return make


def clips() -> Sequence[Seed]:
    from interpfer.datasets.clip_dataset import open_clip

    return [
        Seed({name: _video(name)}, name, lambda folder, name=name: touch_all(open_clip(folder / name), 3))
        for name in ("a.mp4", "a.avi")
    ]


def _video(name: str) -> bytes:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=name.partition(".")[2]) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for i in range(6):
            values = np.random.default_rng(i).integers(0, 255, (32, 32, 3), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(values)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return out.getvalue()


def tars() -> Sequence[Seed]:
    from interpfer.datasets.webdataset import WebDataset

    def pack(members: Mapping[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size, info.type, info.linkname = (
                    (len(content), kind, "") if kind == tarfile.REGTYPE else (0, kind, "/etc/passwd")
                )
                archive.addfile(info, io.BytesIO(content))
        return out.getvalue()

    members = {
        "s1.png": picture(),
        "s1.cls": b"0",
        "s2.png": picture(),
        "s2.cls": b"1",
        "s3.png": picture(),
        "s3.json": b'{"label": "fear", "age": 3}',
    }

    def hostile(random_: random.Random, _: str) -> Files:
        name = random_.choice(("../../x.png", "/etc/x.png", "s1.png", "a" * 300 + ".png", "s\udcff.png", ".png", "s."))
        label = change_value(b'{"label": "fear", "age": 3, "x": [1]}', "a.json", random_)
        kind = random_.choice((tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE))
        packed = pack(
            {
                name: picture(),
                "s9.png": picture(),
                "s9.json": label,
                "s10.png": b"",
                "s10.cls": random_.choice((b"9" * 50, b"\xff", b"-7", "१".encode())),
            },
            kind,
        )
        return {"test/0.tar": packed}

    read = lambda folder: touch_all(WebDataset.open(folder, "test"))  # noqa: E731
    files = {"test/0.tar": pack(members), "classnames.txt": b"angry\nhappy\n"}
    return [Seed(files, "test/0.tar", read, hostile), Seed(files, "classnames.txt", read)]


def zips() -> Sequence[Seed]:
    from interpfer.datasets.zipped import ZipDataset

    def hostile(random_: random.Random, _: str) -> Files:
        name = random_.choice(
            ("../../x.png", "/etc/x.png", "happy/\x00.png", "C:/x.png", "happy/" + "a" * 300 + ".png", "happyy/1.png")
        )
        bomb = random_.choice((bytes(2 * 2**20), picture(), b""))
        method = random_.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        return {"faces.zip": pack_zip({name: picture(), "happy/bomb.png": bomb, "sad/2.png": picture()}, method)}

    read = lambda folder: touch_all(ZipDataset.open(folder / "faces.zip", "test"))  # noqa: E731
    folders = {"happy/1.png": picture(), "sad/2.png": picture("JPEG"), "boredom/3.png": picture()}
    table = {"labels.csv": b"image,label\n1.png,happy\n2.png,sad\n", "images/1.png": picture(), "2.png": picture()}
    return [Seed({"faces.zip": pack_zip(each)}, "faces.zip", read, hostile) for each in (folders, table)]


def tables_of_pictures() -> Sequence[Seed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from interpfer.datasets.parquet import ParquetDataset

    stated = json.dumps(
        {
            "info": {
                "features": {"image": {"_type": "Image"}, "label": {"names": ["happy", "sad"], "_type": "ClassLabel"}}
            }
        }
    )
    cell = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "image": pa.array([{"bytes": picture(), "path": None}] * 3, cell),
        "label": [0, 1, -1],
        "age": [1.5, None, 3.0],
    }

    def parquet(metadata: bytes, changed: Mapping[str, Any]) -> bytes:
        out = io.BytesIO()
        pq.write_table(pa.table({**columns, **changed}).replace_schema_metadata({b"huggingface": metadata}), out)
        return out.getvalue()

    def arrow() -> bytes:
        out = io.BytesIO()
        table = pa.table(columns).replace_schema_metadata({b"huggingface": stated.encode()})
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        return out.getvalue()

    odd = (
        [None] * 3,
        ["x", "", "happy"],
        [[1], [2], []],
        [True, False, None],
        [0.5, 1.0, float("nan")],
        [2**62, -9, 1],
        [b"\xff", b"", None],
        [{"a": 1}] * 3,
    )

    def hostile(random_: random.Random, _: str) -> Files:
        metadata = change_value(stated.encode(), "a.json", random_) if random_.random() < 0.7 else random_.randbytes(20)
        changed = (
            {random_.choice(("image", "label", "age", "subject", "labels")): random_.choice(odd)}
            if random_.random() < 0.7
            else {}
        )
        return {"test.parquet": parquet(metadata, changed)}

    read = lambda folder: touch_all(ParquetDataset.open(folder, "test"))  # noqa: E731
    saved = {
        "test/data-00000-of-00001.arrow": arrow(),
        "test/state.json": b'{"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "test"}',
        "test/dataset_info.json": stated.encode()[9:-1],
        "dataset_dict.json": b'{"splits": ["test"]}',
    }
    return [
        Seed({"test.parquet": parquet(stated.encode(), {})}, "test.parquet", read, hostile),
        *(
            Seed(saved, target, read)
            for target in ("test/data-00000-of-00001.arrow", "test/state.json", "test/dataset_info.json")
        ),
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


def landmark_files() -> Sequence[Seed]:
    from interpfer.landmarks.files.provider import open_landmarks

    points = np.random.default_rng(0).uniform(0, 200, (68, 2)).round(2)
    header = ",".join(["image", *(f"x{i},y{i}" for i in range(1, 69))])
    own = "\n".join([header, *(",".join([name, *(f"{v:.2f}" for v in points.ravel())]) for name in ("a.png", "b.png"))])
    tool = ", ".join(
        ["frame", "face_id", "confidence", "success", *(f"x_{i}" for i in range(68)), *(f"y_{i}" for i in range(68))]
    )
    pts = "version: 1\nn_points:  68\n{\n" + "\n".join(f"{x} {y}" for x, y in points) + "\n}\n"
    files = {
        "own.csv": own,
        "own.txt": own,
        "face.csv": f"{tool}\n1, 0, 0.9, 1, {', '.join(map(str, points.T.ravel()))}\n",
        "a.pts": pts,
        "mesh.json": json.dumps(
            {"a.png": points.tolist(), "b.png": [{"x": x, "y": y} for x, y in points], "c.png": None}
        ),
    }
    return [
        Seed(
            {name: text.encode()},
            name,
            lambda folder, name=name: open_landmarks(folder / name).locate(["a.png", "b.png"], None),
        )
        for name, text in files.items()
    ]


def runs_and_configs() -> Sequence[Seed]:
    from interpfer.config import read_config
    from interpfer.results.run import load_run

    config = b"dataset: csv\ndata-root: faces\nmaps: [gradcam, attention]\nbatch_size: 8\nseed: 0\n"
    old = Path(__file__).parents[2] / "tests/results/old_run"
    run = {path.name: path.read_bytes() for path in sorted(old.iterdir()) if path.suffix in (".json", ".csv")}
    return [
        Seed({"config.yaml": config}, "config.yaml", lambda folder: read_config(folder / "config.yaml")),
        *(Seed(run, name, lambda folder: load_run(folder)) for name in run),
    ]


READERS: Mapping[str, Callable[[], Sequence[Seed]]] = {
    "checkpoints": checkpoints,
    "cards": cards,
    "codebooks": codebooks,
    "AU texts": texts_of_aus,
    "masks": masks,
    "csv lists": tables_of_images,
    "images": images,
    "clips": clips,
    "tars": tars,
    "zips": zips,
    "parquet": tables_of_pictures,
    "jsonl": json_lines,
    "landmarks": landmark_files,
    "runs and configs": runs_and_configs,
}
"""Name of what is read -> its valid files."""
