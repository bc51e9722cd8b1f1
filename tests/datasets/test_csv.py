from pathlib import Path

import pytest
from PIL import Image

from interpfer.datasets import DATASETS
from interpfer.datasets.csv import CsvDataset
from interpfer.errors import DataError


def listed(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "labels.csv").write_bytes(text.encode(encoding))
    return folder


def rows(dataset: CsvDataset) -> list[tuple[str, str]]:
    return [(sample.id, sample.label) for sample in dataset.samples]


def test_without_a_split_every_row_belongs_to_every_split(tmp_path: Path) -> None:
    root = listed(tmp_path, "image,label\nb.png,Happy\na.png,su\n")
    for split in ("train", "test", "val"):
        dataset = CsvDataset.open(root, split)
        assert rows(dataset) == [("b.png", "happiness"), ("a.png", "surprise")]
        assert dataset.classes == ("happiness", "surprise")
        assert dataset.split == "all"
        reason = f"{root / 'labels.csv'} has no column split"
        note = f"{reason}: all 2 images are used instead of the split '{split}'."
        assert dataset.notes == (() if split == "test" else (note,))  # test is the default
    assert repr(dataset) == "csv, split all: 2 images of 2 classes"


def test_splits(tmp_path: Path) -> None:
    root = listed(tmp_path, "image,label,split\na,fear,train\nb,fear, test\nc,anger,train\n")
    assert [name for name, _ in rows(CsvDataset.open(root, "train"))] == ["a", "c"]
    assert [name for name, _ in rows(CsvDataset.open(root, "test"))] == ["b"]
    with pytest.raises(DataError, match=r"labels\.csv has no split 'tset'\. Did you mean test\? Known: test, train\."):
        CsvDataset.open(root, "tset")


def test_columns_in_any_order_case_and_with_spaces_and_a_byte_order_mark(tmp_path: Path) -> None:
    root = listed(
        tmp_path, "Label , Subject, extra ,IMAGE\r\nsad, p1,,Bücher/ä b.png\r\nanger,,,c.png\r\n", "utf-8-sig"
    )
    dataset = CsvDataset.open(root, "test")
    assert rows(dataset) == [("Bücher/ä b.png", "sadness"), ("c.png", "anger")]
    assert [sample.subject for sample in dataset.samples] == ["p1", None]


def test_names_that_look_like_numbers_or_nothing_stay_text(tmp_path: Path) -> None:
    root = listed(tmp_path, "image,label\n0001,sad\nNA,fear\nnull,\n")
    assert rows(CsvDataset.open(root, "test")) == [("0001", "sadness"), ("NA", "fear"), ("null", "")]


def test_short_lines_and_trailing_commas(tmp_path: Path) -> None:
    assert rows(CsvDataset.open(listed(tmp_path, "image,label\na,sad,\nb,fear,\n"), "test"))[1] == ("b", "fear")
    assert rows(CsvDataset.open(listed(tmp_path, "image,label,split\na\n\n\nb,fear\n\n"), "")) == [
        ("a", ""),
        ("b", "fear"),
    ]


def test_images_lie_in_images_or_beside_the_list(tmp_path: Path) -> None:
    Image.new("RGB", (5, 3), "red").save(tmp_path / "ä.png")
    root = listed(tmp_path, "image,label\nä.png,sad\n")
    dataset = CsvDataset.open(root, "test")
    assert (dataset.image(0).getpixel((0, 0)), dataset.size(0), len(dataset)) == ((255, 0, 0), (5, 3), 1)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (2, 2), "blue").save(tmp_path / "images" / "ä.png")
    assert CsvDataset.open(root, "test").image(0).getpixel((0, 0)) == (0, 0, 255)


def shades(dataset: CsvDataset) -> list[int]:
    return [dataset.image(i).getpixel((0, 0))[0] for i in range(len(dataset))]


@pytest.mark.parametrize("name", ["{}.png", "images/{}.png", "images\\{}.png", "./images/{}.png", ".\\images\\{}.png"])
def test_names_may_begin_with_the_folder_of_the_images(tmp_path: Path, name: str) -> None:
    (tmp_path / "images").mkdir()
    for shade in (10, 20, 30):
        Image.new("RGB", (2, 2), (shade, 0, 0)).save(tmp_path / "images" / f"{shade}.png")
    text = "image,label\n" + "".join(f"{name.format(shade)},sad\n" for shade in (30, 10, 20))
    dataset = CsvDataset.open(listed(tmp_path, text), "test")
    assert shades(dataset) == [30, 10, 20]
    assert dataset.notes == ()
    assert dataset.samples[0].id == name.format(30)


def test_paths_of_another_machine_are_found_by_their_longest_end_and_this_is_noted(tmp_path: Path) -> None:
    for place, shade in (("images/angry/0.png", 10), ("images/happy/0.png", 20), ("images/1.png", 30)):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (shade, 0, 0)).save(tmp_path / place)
    names = ["C:\\faces\\angry\\0.png", "/home/me/faces/images/happy/0.png", "D:/1.png", "/gone/2.png"]
    root = listed(tmp_path, "image,label\n" + "".join(f"{name},sad\n" for name in names))
    dataset = CsvDataset.open(root, "test")
    assert [sample.path for sample in dataset.samples[:3]] == [
        tmp_path / place for place in ("images/angry/0.png", "images/happy/0.png", "images/1.png")
    ]
    assert dataset.samples[3].path == Path("/gone/2.png")
    assert dataset.notes == (
        f"{root / 'labels.csv'}: 3 images were found by the ends of their names, such as C:\\faces\\angry\\0.png as "
        f"{tmp_path / 'images/angry/0.png'}.",
    )
    root = listed(tmp_path, "image,label\n/x/1.png,sad\n/y/1.png,fear\n")
    with pytest.raises(DataError) as error:
        CsvDataset.open(root, "test")
    assert str(error.value) == (
        f"{root / 'labels.csv'}: /x/1.png and /y/1.png both end in {tmp_path / 'images/1.png'}; "
        f"give names below {tmp_path}."
    )


def test_no_landmarks_are_brought(tmp_path: Path) -> None:
    assert CsvDataset.open(listed(tmp_path, "image,label\na,sad\n"), "test").landmarks() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na,sad\nb,suprise\n", "labels.csv, line 3: unknown expression 'suprise'. Did you mean surprise?"),
        ("image,label\na,sad\nb,3\n", "labels.csv, line 3: '3' is a number, not the name of a class; write names"),
        ("image,label\na,sad\nb,macro\n", "labels.csv, line 3: a class cannot be called 'macro'"),
        (
            "image,label,split\na,sad,x\nb,sad,test\n\nc,saad,test\n",
            "labels.csv, line 5: unknown expression 'saad'.",
        ),
        ("image,lable\na,sad\n", "labels.csv: the column 'label' is missing; it has image, lable."),
        ("a.png,sad\nb.png,sad\n", "labels.csv: the column 'image' is missing; it has a.png, sad."),
        ("image,label\na,sad\na,fear\n", "data set csv: 'a' is listed twice in"),
        ("image,label\n", "labels.csv has no rows; it needs the columns image and label"),
        ("image,label\n,sad\n", "labels.csv, line 2: the name of the image is missing."),
        ("", "labels.csv: not a CSV table"),
        ("image,label\na,sad,7\nb,sad,8\n", "labels.csv: not a CSV table"),
        ('image,label\n"a,sad\n', "labels.csv: not a CSV table"),
        ("image,label\na,sad\nb,sad,fear,1\n", "labels.csv: not a CSV table"),
    ],
)
def test_the_message_names_line_and_problem(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        CsvDataset.open(listed(tmp_path, text), "test")
    assert message in str(error.value)


def test_not_text(tmp_path: Path) -> None:
    listed(tmp_path, "image,label\n\u00e4,sad\n", "latin-1")
    with pytest.raises(DataError, match=r"labels\.csv: not a CSV table"):
        CsvDataset.open(tmp_path, "test")


def test_no_folder_and_no_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data set csv needs its folder: pass --data-root DIR"):
        CsvDataset.open(None, "test")
    with pytest.raises(DataError, match="data set csv: folder not found: .*gone"):
        CsvDataset.open(tmp_path / "gone", "test")
    with pytest.raises(DataError, match=r"file not found: .*labels\.csv; it needs the columns image and label"):
        CsvDataset.open(tmp_path, "test")


def test_it_is_registered() -> None:
    assert DATASETS.get("csv") is CsvDataset
