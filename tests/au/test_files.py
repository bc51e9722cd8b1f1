"""Files of action units: what other programs write, and FACS text, say the same."""

import math
from pathlib import Path

import pytest

from interpfer.au.files import read_aus
from interpfer.errors import DataError
from interpfer.types import CodedAUs

OPENFACE = (
    "frame, face_id, timestamp, confidence, success, AU01_r, AU04_r, AU12_r, AU01_c, AU04_c, AU12_c, AU28_c\n"
    "1, 0, 0.0, 0.98, 1, 2.50, 0.30, 0.10, 1.00, 0.00, 1.00, 0.00\n"
)


def numbers(codes: CodedAUs | None) -> list[int]:
    assert codes is not None
    return [unit.au for unit in codes.active]


def test_openface_presence_decides_and_intensity_is_a_fifth(tmp_path: Path) -> None:
    folder = tmp_path / "openface"
    folder.mkdir()
    (folder / "face_1.csv").write_text(OPENFACE)
    codes = read_aus(folder).find("anger/face_1.png")
    assert codes is not None
    assert [(unit.au, unit.intensity) for unit in codes.active] == [(1, 0.5), (12, pytest.approx(0.02))]
    assert codes.coded == {1, 4, 12, 28}
    assert [codes.is_present(au) for au in (1, 4, 28, 6)] == [True, False, False, None]


def test_a_threshold_replaces_the_presence_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "face.csv").write_text(OPENFACE)
    assert numbers(read_aus(tmp_path, threshold=0.4).find("face.png")) == [1]
    assert numbers(read_aus(tmp_path, threshold=0.05).find("face.png")) == [1, 4]


def test_a_failed_face_is_not_coded(tmp_path: Path) -> None:
    (tmp_path / "face.csv").write_text(OPENFACE.replace("0.98, 1,", "0.10, 0,"))
    assert read_aus(tmp_path).find("face.png") is None


def test_pyfeat_takes_the_surest_face_and_no_number_is_not_coded(tmp_path: Path) -> None:
    path = tmp_path / "feat.csv"
    path.write_text(
        "FaceScore,AU01,AU04,AU12,input\n"
        "0.7,0.9,0.9,0.9,/data/x/a.png\n"
        "0.9,0.1,,0.6,/data/x/a.png\n"
        "0.9,,,,/data/x/b.png\n"
    )
    table = read_aus(path)
    codes = table.find("a.png")
    assert codes is not None
    assert (numbers(codes), codes.coded) == ([12], {1, 12})
    assert table.find("b.png") is None
    assert table.find("c.png") is None


def test_libreface_has_presence_and_intensity_of_other_units(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("au_1,au_1_intensity,au_7,au_5_intensity\n1,3.5,0,0.4\n")
    codes = read_aus(tmp_path).find("a.jpg")
    assert codes is not None
    assert [(unit.au, unit.intensity) for unit in codes.active] == [(1, 0.7)]
    assert codes.coded == {1, 5, 7}


def test_text_and_programs_agree(tmp_path: Path) -> None:
    (tmp_path / "text.csv").write_text("image,aus\nf.png,1+12\ng.png,?\nh.png,\n")
    (tmp_path / "feat.tsv").write_text("image\tAU01\tAU04\tAU12\nf.png\t1\t0\t1\n")
    text = read_aus(tmp_path / "text.csv")
    assert numbers(text.find("f.png")) == numbers(read_aus(tmp_path / "feat.tsv").find("f.png")) == [1, 12]
    assert text.find("g.png") is None
    assert text.find("h.png") == CodedAUs(())
    assert all(math.isnan(unit.intensity) for unit in text.find("f.png").active)  # type: ignore[union-attr]


def test_a_name_of_two_images_stands_for_neither(tmp_path: Path) -> None:
    (tmp_path / "text.csv").write_text("image,aus\na/f.png,1\nb/f.png,2\n")
    table = read_aus(tmp_path / "text.csv")
    assert numbers(table.find("a/f.png")) == [1]
    assert numbers(table.find("b\\f.png")) == [2]
    assert table.find("f.png") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,x\na.png,1\n", "has no action units: no column aus (FACS text), AU01_r and AU01_c (OpenFace 2)"),
        ("frame,AU01_r\n1,2\n", "names no image: it has no column image, input, file"),
        ("image,AU01\na.png,high\n", "line 2: AU01 must be a number, got 'high'"),
        ("image,aus\na.png,1\na.png,2\n", "line 3: the image stands on several lines"),
        ("image,aus\n ,1\n", "line 2: the name of the image is missing"),
        ("image,aus\n", "has no rows"),
        ("image,aus\na.png,99\n", "line 2: AU 99 must be between 1 and 79"),
        ("", "is empty"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "aus.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_aus(path)
    assert message in str(caught.value)
    assert "aus.csv" in str(caught.value)


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file of action units not found"):
        read_aus(tmp_path / "none.csv")
    with pytest.raises(DataError, match="holds no CSV of action units"):
        read_aus(tmp_path)
