from pathlib import Path

import numpy as np
from PIL import Image

from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.duplicates import describe_groups, find_copies, read_contents
from interpfer.datasets.fer2013 import Fer2013Dataset


def test_files_of_other_names_and_formats_have_the_same_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.bmp")
    Image.fromarray(pixels[::-1].copy()).save(tmp_path / "c.png")
    Image.fromarray(pixels.reshape(8, 6, 3)).save(tmp_path / "d.png")  # the same bytes in another shape
    (tmp_path / "e.png").write_bytes(b"no image")
    (tmp_path / "labels.csv").write_text(
        "image,label\n" + "".join(f"{n},fear\n" for n in ("a.png", "b.bmp", "c.png", "d.png", "e.png"))
    )
    contents = read_contents(CsvDataset.open(tmp_path, "all"), range(5))
    assert list(contents) == [0, 1, 2, 3]
    assert contents[0] == contents[1]
    assert len(set(contents.values())) == 3
    assert find_copies({1: contents[1], 2: contents[2]}, {contents[0]: "a.png"}) == {1: "a.png"}


def test_pictures_of_a_table_are_compared_too(tmp_path: Path) -> None:
    one, two = (" ".join([str(value)] * 48 * 48) for value in (1, 2))
    rows = [f"0,{one},Training", f"0,{two},Training", f"3,{two},PrivateTest"]
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "\n".join(rows) + "\n")
    train, test = (Fer2013Dataset.open(tmp_path, split) for split in ("train", "test"))
    names = {key: train.samples[row].id for row, key in read_contents(train, range(2)).items()}
    assert find_copies(read_contents(test, range(1)), names) == {0: train.samples[1].id}


def test_large_groups_are_cut_short() -> None:
    images = [("k", "train", f"{i}.png") for i in range(5)] + [("other", "test", "x.png")]
    assert list(describe_groups(images)) == [(False, "train: 0.png, train: 1.png, train: 2.png and 2 more")]
