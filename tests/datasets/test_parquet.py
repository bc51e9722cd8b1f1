import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import interpfer
from interpfer.datasets import DATASETS
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.parquet import ParquetDataset
from interpfer.errors import DataError
from interpfer.models.small import SmallCNN

NAMES = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]


def png(value: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((6, 5, 3), value, np.uint8)).save(out, "png")
    return out.getvalue()


def metadata(names: list[str] | None = NAMES) -> dict[bytes, bytes]:
    features: dict[str, Any] = {"image": {"_type": "Image"}, "label": {"dtype": "int64", "_type": "Value"}}
    if names is not None:
        features["label"] = {"names": names, "_type": "ClassLabel"}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def table(count: int = 10, paths: bool = True, names: list[str] | None = NAMES) -> pa.Table:
    """Return pictures of one grey value each, with the label in a column of numbers."""
    return pa.table(
        {
            "image": pa.array(
                [{"bytes": png(row), "path": f"{row}.png" if paths else None} for row in range(count)],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
            "label": pa.array([row % 7 if row else -1 for row in range(count)], pa.int64()),
            "age": pa.array([20 + row for row in range(count)]),
            "subject": pa.array([f"s{row // 2}" for row in range(count)]),
        }
    ).replace_schema_metadata(metadata(names))


def replica(root: Path) -> None:
    """Write a table for each split."""
    for split in ParquetDataset.splits:
        pq.write_table(table(7), root / f"{split}-00000-of-00001.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    pq.write_table(table(), tmp_path / "data/test-00000-of-00001.parquet", row_group_size=3)
    pq.write_table(table(4, paths=False), tmp_path / "data/train-00000-of-00002.parquet")
    pq.write_table(table(2, paths=False), tmp_path / "data/train-00001-of-00002.parquet")
    return tmp_path


def test_rows_of_hugging_face(folder: Path) -> None:
    faces = ParquetDataset.open(folder, "test")
    assert len(faces) == 10
    assert [sample.label for sample in faces.samples[:4]] == ["", "disgust", "fear", "happiness"]
    assert (faces.samples[3].id, faces.samples[3].subject, faces.samples[3].attributes) == (
        "3.png",
        "s1",
        {"age": "23"},
    )
    for row in (9, 0, 4, 3):
        assert np.asarray(faces.image(row)).max() == row
    assert faces.size(2) == (5, 6)
    train = ParquetDataset.open(folder, "training")
    assert [sample.id for sample in train.samples] == [f"training_{row:07d}" for row in range(6)]
    assert np.asarray(train.image(5)).max() == 1
    assert ParquetDataset.available_splits(folder) == ("test", "train")
    with pytest.raises(DataError, match="val"):
        ParquetDataset.open(folder, "val")


def test_save_to_disk(tmp_path: Path) -> None:
    part = tmp_path / "test"
    part.mkdir()
    with pa.OSFile(str(part / "data-00000-of-00001.arrow"), "wb") as sink:
        rows = table().replace_schema_metadata(None)
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=4)
    stated = json.loads(metadata()[b"huggingface"])["info"]
    (part / "dataset_info.json").write_text(json.dumps(stated))
    (part / "state.json").write_text(json.dumps({"_data_files": []}))
    faces = ParquetDataset.open(tmp_path, "test")
    assert [sample.label for sample in faces.samples[:3]] == ["", "disgust", "fear"]
    assert np.asarray(faces.image(7)).max() == 7
    (part / "state.json").write_text(json.dumps({"_indices_files": [{"filename": "indices.arrow"}]}))
    with pytest.raises(DataError, match=r"holds a selection of its rows .* flatten_indices"):
        ParquetDataset.open(tmp_path, "test")


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    with pytest.raises(DataError, match=r"found neither \*.parquet nor data-00000"):
        ParquetDataset.open(tmp_path, "test")
    pq.write_table(table(names=None), path)
    with pytest.raises(DataError, match="classes of the column 'label' are numbers, and the schema does not name them"):
        ParquetDataset.open(tmp_path, "test")
    pq.write_table(table(names=NAMES[:3]), path)
    with pytest.raises(DataError, match="row 3: class 3 is none of the 3 that are named"):
        ParquetDataset.open(tmp_path, "test")
    pq.write_table(pa.table({"label": ["happy"]}), path)
    with pytest.raises(DataError, match="no column holds pictures; it has label"):
        ParquetDataset.open(tmp_path, "test")
    path.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DataError, match="not a readable table"):
        ParquetDataset.open(tmp_path, "test")


def test_texts_as_labels_and_damaged_pictures(tmp_path: Path) -> None:
    rows = pa.table({"img_bytes": [png(1), b"no image", None], "emotion": ["Happy", "fear", "fear"]})
    pq.write_table(rows, tmp_path / "faces.parquet")
    faces = ParquetDataset.open(tmp_path, "val")
    assert "name no split: all 3 images are used instead of the split 'val'" in faces.notes[0]
    assert [sample.label for sample in faces.samples] == ["happiness", "fear", "fear"]
    with pytest.raises(DataError, match="val_0000001: not a readable image"):
        faces.image(1)
    with pytest.raises(DataError, match="holds no picture"):
        faces.image(2)


def test_scores_are_those_of_the_files(tmp_path: Path) -> None:
    """The same pictures, landmarks and labels score the same from a table and from files."""
    drawn = DemoDataset("test", count=8, size=48)
    rows, lines = [], ["image,label"]
    (tmp_path / "files/images").mkdir(parents=True)
    for place, sample in enumerate(drawn.samples):
        out = io.BytesIO()
        drawn.image(place).save(out, "png")
        (tmp_path / "files/images" / sample.id).write_bytes(out.getvalue())
        rows.append({"bytes": out.getvalue(), "path": sample.id})
        lines.append(f"{sample.id},{sample.label}")
    (tmp_path / "files/labels.csv").write_text("\n".join(lines))
    (tmp_path / "table").mkdir()
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = [sample.label for sample in drawn.samples]
    pq.write_table(pa.table({"image": pa.array(rows, kind), "label": labels}), tmp_path / "table/test.parquet")
    torch.manual_seed(0)
    model = interpfer.load_model(SmallCNN(7, width=4), classes=list(drawn.classes), input_size=48)
    runs = [
        interpfer.score(model, faces, landmarks=drawn.landmarks(), metrics="cosine", device="cpu", report=False)
        for faces in (
            CsvDataset.open(tmp_path / "files", "test"),
            DATASETS.get("parquet").open(tmp_path / "table", "test"),
        )
    ]
    assert runs[0].per_image.equals(runs[1].per_image)


def write_arrow(path: Path, rows: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)


def test_splits_of_save_to_disk_are_those_that_it_lists(tmp_path: Path) -> None:
    """The layout that datasets 5.2 writes for a DatasetDict of train (2 files) and fold_a."""
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "fold_a"]}')
    names = {
        "train": ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"],
        "fold_a": ["data-00000-of-00001.arrow"],
    }
    for split, files in names.items():
        for name in files:
            write_arrow(tmp_path / split / name, table(3))
        state = {"_data_files": [{"filename": name} for name in files], "_split": None}
        (tmp_path / split / "state.json").write_text(json.dumps(state))
    write_arrow(tmp_path / "train/cache-1.arrow", table(1))
    assert ParquetDataset.available_splits(tmp_path) == ("fold_a", "train")
    assert len(ParquetDataset.open(tmp_path, "fold_a")) == 3
    assert len(ParquetDataset.open(tmp_path, "training")) == 6
    (tmp_path / "train/data-00001-of-00002.arrow").unlink()
    with pytest.raises(DataError, match=r"data-00001-of-00002.arrow is missing, which state.json lists"):
        ParquetDataset.open(tmp_path, "train")
    (tmp_path / "train/state.json").write_text("{")
    with pytest.raises(DataError, match=r"state.json: not readable JSON"):
        ParquetDataset.open(tmp_path, "train")


def test_files_of_a_split_must_agree(folder: Path) -> None:
    second = folder / "data/train-00001-of-00002.parquet"
    pq.write_table(table(2, names=NAMES[::-1]), second)
    with pytest.raises(DataError, match=r"the names of its classes are not those of .*train-00000"):
        ParquetDataset.open(folder, "train")
    second.unlink()
    notes = ParquetDataset.open(folder, "train").notes
    assert "only 1 of the 2 parts of" in notes[0]
    assert notes[0].endswith("train-*-of-00002.parquet is there, and the others are not scored")
    pq.write_table(table(2), folder / "more.parquet")
    assert "1 files name no split and are not read, such as" in ParquetDataset.open(folder, "train").notes[0]
    (folder / "other").mkdir()
    pq.write_table(table(2), folder / "other/test.parquet")
    with pytest.raises(DataError, match="both hold rows of the split 'test'; pass one of them"):
        ParquetDataset.open(folder, "test")


def test_names_in_the_readme(tmp_path: Path) -> None:
    pq.write_table(table(names=None), tmp_path / "test.parquet")
    names = "\n".join(f"          '{i}': {name}" for i, name in enumerate(NAMES))
    head = "dataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n"
    (tmp_path / "README.md").write_text(f"---\n{head}{names}\n---\n# Faces\n")
    assert ParquetDataset.open(tmp_path, "test").samples[1].label == "disgust"
    pq.write_table(pa.table({"image": [png(1)], "label": [[1, 2]]}), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"the column 'label' must hold texts or numbers of classes, got list"):
        ParquetDataset.open(tmp_path, "test")


def test_a_file_that_shrinks_while_it_is_read(folder: Path) -> None:
    faces = ParquetDataset.open(folder, "test")
    pq.write_table(table(2), folder / "data/test-00000-of-00001.parquet")
    assert np.asarray(faces.image(1)).max() == 1
    with pytest.raises(DataError, match=r"holds no picture|not a readable table"):
        faces.image(2)
    with pytest.raises(DataError, match="not a readable table"):
        faces.image(9)
