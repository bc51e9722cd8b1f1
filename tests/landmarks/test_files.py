import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interpfer.errors import DataError
from interpfer.landmarks import PROVIDERS
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.files import COLUMNS, FileLandmarks, parse_landmarks


def face(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-5, 300, (68, 2)).round(3)


def line(name: str, points: np.ndarray | None) -> str:
    """One line as the reference writes it: all x, then all y."""
    values = ["inf"] * 136 if points is None else [str(value) for value in points.T.ravel()]
    return ",".join([name, *values])


def parsed(text: str) -> dict[str, np.ndarray]:
    rows, points = parse_landmarks(text.splitlines(), "F")
    return {name: points[row] for name, row in rows.items()}


def read(path: Path, text: str, ids: Sequence[str]) -> torch.Tensor:
    path.write_text(text, encoding="utf-8")
    return FileLandmarks(path).locate(ids, None).points


def test_the_format_of_the_reference(tmp_path: Path) -> None:
    text = f"{line('a.jpg', face(1))}\n{line('b.jpg', None)}\n{line('c.jpg', face(3))}\n"
    points = read(tmp_path / "l.txt", text, ["c.jpg", "a.jpg", "b.jpg", "nobody.jpg"])
    np.testing.assert_array_equal(points[0], face(3))
    np.testing.assert_array_equal(points[1], face(1))
    assert points[2:].isnan().all()
    notes = FileLandmarks(tmp_path / "l.txt").locate(["c.jpg", "b.jpg", "nobody.jpg"], None).notes
    assert notes == ("", "no face: according to l.txt", "not in the landmark file: l.txt has names such as a.jpg")


@given(seed=st.integers(0, 2**32 - 1))
def test_a_header_in_any_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["image", "path", *COLUMNS[1:], "remark"]
    order = [0, *(1 + rng.permutation(len(names) - 1))]  # the name of the image comes first
    header = [names[index] for index in order]
    header = [name.upper().replace("X", "x_") if rng.random() < 0.5 else name for name in header]
    rows = []
    for who in (1, 2):
        points = face(who)
        cells = [f"{who}.png", "somewhere", *map(str, points.T.ravel()), "fine"]
        rows.append(", ".join(cells[index] for index in order))
    found = parsed("\n".join([",".join(header), *rows]))
    assert list(found) == ["1.png", "2.png"]
    np.testing.assert_array_equal(found["1.png"], face(1))
    np.testing.assert_array_equal(found["2.png"], face(2))


@pytest.mark.parametrize("word", ["inf", "-inf", "nan", "NaN", "", " ", "None"])
def test_words_for_a_face_that_was_not_found(tmp_path: Path, word: str) -> None:
    text = f"{line('a.jpg', face(1))}\nb.jpg,{','.join([word] * 136)}\n"
    landmarks = FileLandmarks(_written(tmp_path, text)).locate(["a.jpg", "b.jpg"], None)
    assert landmarks.found.tolist() == [True, False]
    assert landmarks.points[1].isnan().all()


def test_one_missing_coordinate_is_a_missing_face(tmp_path: Path) -> None:
    cells = line("a.jpg", face(1)).split(",")
    cells[77] = "inf"
    assert not FileLandmarks(_written(tmp_path, ",".join(cells))).locate(["a.jpg"], None).found.any()


def test_blank_lines_windows_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_bytes(b"\xef\xbb\xbf" + f"\r\n{line('ä b.jpg', face(1))}\r\n\r\n\r\n".encode())
    np.testing.assert_array_equal(FileLandmarks(path).locate(["ä b.jpg"], None).points[0], face(1))


def test_names_with_folders_come_before_bare_names(tmp_path: Path) -> None:
    path = _written(tmp_path, f"{line('1.jpg', face(1))}\n{line('sad/1.jpg', face(2))}\n")
    points = FileLandmarks(path).locate(["happy/1.jpg", "sad/1.jpg"], None).points
    np.testing.assert_array_equal(points[0], face(1))
    np.testing.assert_array_equal(points[1], face(2))


@pytest.mark.parametrize("listed", ["happy/1.jpg", "happy\\1.jpg", "./happy/1.jpg", "1.jpg", "/x/y/happy/1.jpg"])
@pytest.mark.parametrize("name", ["happy/1.jpg", "happy\\1.jpg", "C:\\data\\happy\\1.jpg", "images/happy/1.jpg"])
def test_names_with_more_or_fewer_folders_and_with_backslashes(tmp_path: Path, listed: str, name: str) -> None:
    path = _written(tmp_path, f"{line('sad/1.jpg', face(2))}\n{line(listed, face(1))}\n")
    longer_on_both_sides = listed.startswith("/x") and name.startswith(("C:", "images"))
    landmarks = FileLandmarks(path).locate([name], None)
    if longer_on_both_sides:
        assert landmarks.notes[0].startswith("not in the landmark file: ")
    else:
        np.testing.assert_array_equal(landmarks.points[0], face(1))


def test_a_name_that_several_longer_ones_end_in_is_not_found(tmp_path: Path) -> None:
    path = _written(tmp_path, f"{line('a/1.jpg', face(1))}\n{line('b/1.jpg', face(2))}\n{line('b/2.jpg', face(3))}\n")
    landmarks = FileLandmarks(path).locate(["1.jpg", "2.jpg"], None)
    assert landmarks.found.tolist() == [False, True]
    np.testing.assert_array_equal(landmarks.points[1], face(3))


def test_names_of_several_images_and_equal_points(tmp_path: Path) -> None:
    text = "\n".join([line("1.jpg", face(1)), line("a/2.jpg", face(1)), line("b/2.jpg", face(2)), line("c.jpg", None)])
    provider = FileLandmarks(_written(tmp_path, text))
    provider.require_unambiguous(["x/1.jpg", "a/2.jpg", "b/2.jpg", "gone.jpg"])
    with pytest.raises(DataError) as error:
        provider.require_unambiguous(["x/1.jpg", "a/2.jpg", "y/1.jpg"])
    assert str(error.value) == (
        f"landmark file {tmp_path / 'landmarks.txt'}: '1.jpg' stands for several images, such as x/1.jpg and y/1.jpg; "
        "name the images with their folders."
    )
    assert provider.equal_points(["b/2.jpg", "a/2.jpg", "c.jpg", "gone.jpg", "1.jpg"]) == [[1, 4]]


def test_a_large_file_is_read_line_by_line() -> None:
    """Memory is that of the coordinates: 8 bytes each, and little more."""
    text = ",".join(["1.25"] * 136)

    def lines() -> Iterator[str]:
        yield from (f"{i}.jpg,{text}\n" for i in range(2000))

    tracemalloc.start()
    rows, points = parse_landmarks(lines(), "F")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(rows), points.shape, float(points.sum())) == (2000, (2000, 68, 2), 2000 * 136 * 1.25)
    assert peak < 1.7 * points.nbytes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "landmark file F is empty."),
        ("\n  \n", "landmark file F is empty."),
        ("a.jpg,1,2,3", "landmark file F, line 1: expected 137 values (image, 68 x, 68 y), got 4."),
        (
            f"{line('a.jpg', face(1))}\n\nb.jpg,1",
            "landmark file F, line 3: expected 137 values (image, 68 x, 68 y), got 2.",
        ),
        (
            "image,x1,y1\na,1,2",
            "landmark file F: the header must name image, x1..x68, y1..y68; it lacks x2, x3, x4, x5.",
        ),
        (
            f"\n{line('a.jpg', face(1))}\nb.jpg,left{',7' * 135}",
            "landmark file F, line 3: 'left' is not a coordinate.",
        ),
        (
            f"{line('a.jpg', face(1))}\n{line('a.jpg', face(2))}",
            "landmark file F, line 2: 'a.jpg' has different landmarks on line 1.",
        ),
        (f"{line('a.jpg', face(1))},7", "landmark file F, line 1: expected 137 values (image, 68 x, 68 y), got 138."),
    ],
)
def test_the_message_names_the_faulty_line(text: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        parsed(text)
    assert str(error.value) == message


def test_a_line_may_be_there_twice_or_end_in_a_comma() -> None:
    text = f"{line('a.jpg', face(1))}\n{line('a.jpg', face(1))},\n{line('b.jpg', None)}\n{line('b.jpg', None)}"
    found = parsed(text)
    np.testing.assert_array_equal(found["a.jpg"], face(1))
    assert np.isnan(found["b.jpg"]).all()


def test_a_header_and_nothing_else() -> None:
    assert parsed(",".join(COLUMNS)) == {}


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    one = FileLandmarks(_written(tmp_path, line("a.jpg", face(1)))).digest
    assert FileLandmarks(_written(tmp_path, line("a.jpg", face(1)))).digest == one
    assert FileLandmarks(_written(tmp_path, line("a.jpg", face(2)))).digest != one


def test_the_provider(tmp_path: Path) -> None:
    provider = FileLandmarks(_written(tmp_path, line("a.jpg", face(1))))
    assert PROVIDERS.get("file") is FileLandmarks
    assert isinstance(provider, LandmarkProvider)
    assert not provider.needs_images
    assert provider.locate([], None).points.shape == (0, 68, 2)
    with pytest.raises(DataError, match=r"landmark file not found: .*nothing\.txt"):
        FileLandmarks(tmp_path / "nothing.txt")


def _written(folder: Path, text: str) -> Path:
    path = folder / "landmarks.txt"
    path.write_text(text, encoding="utf-8")
    return path
