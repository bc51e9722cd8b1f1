import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from interpfer.cli import group
from interpfer.datasets.integrity import compare_counts
from interpfer.datasets.jaffe import COUNTS, JaffeDataset
from tests.replicas import picture, text


def check(*args: object) -> Result:
    return CliRunner().invoke(group, ["check-data", *map(str, args)])


@pytest.fixture
def jaffe(tmp_path: Path) -> Path:
    for code, count in zip(("AN", "DI", "FE", "HA", "NE", "SA", "SU"), COUNTS, strict=True):
        for i in range(count):
            picture(tmp_path / "jaffe" / f"{'KLMNRUYTVW'[i % 10]}A.{code}{i // 10 + 1}.{i}.tiff", (2, 2))
    return tmp_path


def row(output: str, name: str) -> list[str]:
    line = next(line for line in output.splitlines() if line.startswith(f"│ {name}"))
    return [cell for cell in line.replace("│", " ").replace(name, "").split() if cell]


def test_a_complete_data_set(jaffe: Path) -> None:
    done = check("--dataset", "jaffe", "--data-root", jaffe)
    assert done.exit_code == 0, done.output
    test, train, everything = (int(row(done.stdout, "images")[i]) for i in (1, 0, 2))
    assert test + train == everything == 213
    assert row(done.stdout, "disgust")[2] == "29"
    assert "read 213 images; compared the counts of all with the published ones" in done.stdout
    assert "no problems found" in done.stdout


def test_problems_are_listed_with_ten_lines_per_kind(jaffe: Path) -> None:
    for path in sorted((jaffe / "jaffe").glob("*.AN*"))[:12]:
        path.write_bytes(b"no picture")
    sad = sorted((jaffe / "jaffe").glob("*.SA*"))[0]
    sad.unlink()
    done = check("--dataset", "jaffe", "--data-root", jaffe)
    assert done.exit_code == 1
    assert "split all: 212 images where 213 are published (sadness 30 of 31)" in done.stdout
    assert "images not readable: 12" in done.stdout
    assert done.stdout.count("not a readable image") == 10
    assert "and 2 more" in done.stdout
    assert "13 problems found" in done.stdout
    assert "no problems found" not in done.stdout


def test_missing_images_and_one_split(tmp_path: Path) -> None:
    text(tmp_path / "EmoLabel" / "list_patition_label.txt", "test_0001.jpg 1", "test_0002.jpg 3", "train_00001.jpg 2")
    picture(tmp_path / "Image" / "aligned" / "test_0001_aligned.jpg")
    done = check("--dataset", "rafdb", "--data-root", tmp_path, "--split", "test")
    assert done.exit_code == 1
    assert "images missing: 1" in done.stdout
    assert "test_0002_aligned.jpg: no such image file" in done.stdout
    assert "split test: 2 images where 3068 are published (surprise 1 of 329" in done.stdout
    assert "train" not in done.stdout
    both = check("--dataset", "rafdb", "--data-root", tmp_path)
    assert row(both.stdout, "images") == ["1", "2"]
    assert "counts differ from the published ones: 2" in both.stdout


def test_a_split_that_cannot_be_opened(tmp_path: Path) -> None:
    picture(tmp_path / "Val" / "Angry" / "a.png")
    done = check("--dataset", "sfew", "--data-root", tmp_path)
    assert done.exit_code == 1
    assert "cannot be opened: 1" in done.stdout
    assert "split train: data set sfew: found neither Train/Angry" in done.stdout
    nothing = check("--dataset", "sfew", "--data-root", tmp_path / "Val" / "Angry")
    assert nothing.exit_code == 1
    assert nothing.stdout == ""
    assert nothing.stderr.startswith("error: data set sfew: found neither Train/Angry")


def test_left_out_images_and_classes_out_of_order(tmp_path: Path) -> None:
    pixels = " ".join(["7"] * 2304)
    votes = ["8,0,0,1,1,0,0,0,0,0", "0,0,0,0,0,0,0,0,10,0"]
    text(tmp_path / "fer2013.csv", "emotion,pixels,Usage", *[f"0,{pixels},Training"] * 2)
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    text(tmp_path / "fer2013new.csv", header, *(f"Training,{i}.png,{vote}" for i, vote in enumerate(votes)))
    done = check("--dataset", "ferplus", "--data-root", tmp_path, "--split", "train")
    assert done.exit_code == 0, done.output
    assert row(done.stdout, "left out: without agreement on an expression") == ["1"]
    assert "there are no published counts to compare" in done.stdout


@pytest.mark.parametrize("header", ["image,label", "image,label,split"])
def test_csv_and_folder(tmp_path: Path, header: str) -> None:
    rows = ["happy/a.png,happy,train", "happy/b.png,,test"]
    text(tmp_path / "labels.csv", header, *(row if "split" in header else row.rpartition(",")[0] for row in rows))
    picture(tmp_path / "happy" / "a.png")
    picture(tmp_path / "happy" / "b.png")
    done = check("--dataset", "csv", "--data-root", tmp_path)
    assert done.exit_code == 0, done.output
    assert row(done.stdout, "images") == (["1", "1"] if "split" in header else ["2"])
    assert "no label" in done.stdout
    folders = check("--dataset", "folder", "--data-root", tmp_path)
    assert folders.exit_code == 0, folders.output
    assert row(folders.stdout, "happiness") == ["2"]


def test_counts_are_compared_with_the_closest_release() -> None:
    published = JaffeDataset.published["all"]
    assert compare_counts(published[0], published) == ""
    assert compare_counts({"anger": 3}, ()) == ""
    assert compare_counts({"anger": 3}, ({"anger": 3}, {"anger": 9})) == ""
    assert compare_counts({"anger": 8, "fear": 1}, ({"anger": 3}, {"anger": 9})) == (
        "9 images where 9 are published (anger 8 of 9, fear 1 of 0)"
    )
    assert compare_counts({"anger": 430}, ({"": 436}, {"": 431})) == "430 images where 431 are published"


def test_a_wrong_call(tmp_path: Path) -> None:
    assert check().exit_code == 2
    done = check("--dataset", "jafe", "--data-root", tmp_path)
    assert done.exit_code == 1
    assert "Did you mean jaffe" in done.stderr
    assert "missing: --dataset NAME" in check().stderr
    lacking = check("--dataset", "jaffe")
    assert lacking.exit_code == 2
    assert "missing: --data-root DIR" in lacking.stderr


def test_everything_that_is_missing_is_named_at_once() -> None:
    def usage_error(*args: str) -> str:
        done = CliRunner().invoke(group, list(args))
        assert done.exit_code == 2
        return done.stderr.rpartition("Error: ")[2].strip()

    assert usage_error("prepare") == "missing: --dataset NAME, --out FILE"
    assert usage_error("prepare", "--dataset", "csv") == "missing: --out FILE, --data-root DIR"
    assert usage_error("prepare", "--dataset", "demo") == "missing: --out FILE"
    assert usage_error("prepare", "--dataset", "csv", "--out", "x") == "missing: --data-root DIR"
    assert usage_error("score") == "missing: MODEL, --dataset NAME"
    assert usage_error("score", "--dataset", "rafdb") == "missing: MODEL, --data-root DIR"


def test_images_with_the_same_pixels_are_named_and_are_no_problem(tmp_path: Path) -> None:
    lines = ["image,label,split"]
    for name, shade, split in (
        ("a", 1, "train"),
        ("b", 1, "train"),
        ("c", 2, "train"),
        ("d", 2, "test"),
        ("e", 3, "test"),
    ):
        Image.new("RGB", (8, 8), (shade,) * 3).save(tmp_path / f"{name}.png")
        lines.append(f"{name}.png,fear,{split}")
    text(tmp_path / "labels.csv", *lines)
    done = check("--dataset", "csv", "--data-root", tmp_path)
    assert done.exit_code == 0
    assert "groups of images with the same pixels within a split: 1\n  train: a.png, train: b.png\n" in done.stdout
    assert "groups of images with the same pixels across splits: 1\n  test: d.png, train: c.png\n" in done.stdout
    assert "no problems found" in done.stdout
    alone = check("--dataset", "csv", "--data-root", tmp_path, "--split", "test")
    assert "same pixels" not in alone.stdout


def test_classes_outside_the_expressions_are_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rows = {"a.png": "happy", "b.png": "Supprize", "c.png": "Boredom"}
    for place, name in enumerate(rows):
        Image.new("RGB", (8, 8), (place, 0, 0)).save(tmp_path / "images" / name)
    (tmp_path / "labels.csv").write_text("\n".join(["image,label", *(f"{a},{b}" for a, b in rows.items())]))
    done = CliRunner().invoke(group, ["check-data", "--dataset", "csv", "--data-root", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (
        "classes outside the eight expressions, matched with those of a model by name: boredom, supprize (is surprise "
        "meant?)"
    ) in done.output


def test_clips_are_counted_as_well_as_their_frames(tmp_path: Path) -> None:
    for clip, count in (("a", 2), ("b", 3), ("c", 1)):
        for frame in range(count):
            picture(tmp_path / "clips" / clip / f"{frame}.png", value=20 * frame + ord(clip))
    (tmp_path / "clips" / "empty").mkdir()
    text(tmp_path / "clips.csv", "clip,label,split", "a,happy,test", "b,happy,test", "c,fear,train", "empty,fear,train")
    done = check("--dataset", "clips", "--data-root", tmp_path)
    assert done.exit_code == 1
    columns = re.findall(r"(test|train), (clips|frames)", done.stdout.splitlines()[2])
    happy, total = (dict(zip(columns, row(done.stdout, name), strict=True)) for name in ("happiness", "total"))
    assert (happy["test", "clips"], happy["test", "frames"]) == ("2", "32")  # 16 of each, some of them twice
    assert (total["test", "clips"], total["train", "clips"], total["train", "frames"]) == ("2", "1", "16")
    assert row(done.stdout, "left out: clips that cannot be read") == ["0", "1"]
    assert "clips not readable: 1\n  empty: " in done.stdout
    assert "read 48 frames of 3 clips; there are no published counts" in done.stdout
