"""Landmark files proven on the pictures: units, place, numbering, names, equal points."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.folder import FolderDataset
from interpfer.errors import DataError
from interpfer.faces.check import check_landmarks
from interpfer.landmarks.embedded import EmbeddedLandmarks
from interpfer.landmarks.files import FileLandmarks

SIDE = 72
Form = Callable[[np.ndarray], np.ndarray]


def write(path: Path, points: dict[str, np.ndarray]) -> FileLandmarks:
    path.write_text("".join(f"{name},{','.join(map(str, face.T.ravel()))}\n" for name, face in points.items()))
    return FileLandmarks(path)


@pytest.fixture(scope="module")
def dataset(faces: Path) -> CsvDataset:
    return CsvDataset.open(faces, "test")


@pytest.fixture(scope="module")
def points(faces: Path, dataset: CsvDataset) -> dict[str, np.ndarray]:
    ids = [sample.id for sample in dataset.samples]
    return dict(zip(ids, FileLandmarks(faces / "landmarks.txt").locate(ids, None).points.numpy(), strict=True))


def test_right_landmarks_are_returned_as_they_are(faces: Path, dataset: CsvDataset) -> None:
    provider = FileLandmarks(faces / "landmarks.txt")
    assert check_landmarks(provider, dataset) is provider
    embedded = EmbeddedLandmarks()
    assert check_landmarks(embedded, dataset) is embedded
    drawn = DemoDataset("test", count=14)
    own = drawn.landmarks()
    assert check_landmarks(own, drawn) is own


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda face: face / SIDE, "coordinates between 0 and 1, in 42 of 42 faces checked, such as test_0001.png; "
         "they look like fractions of the picture: multiply x by its width and y by its height."),
        (lambda face: face[:, ::-1], "y before x, in 42 of 42 faces checked"),
        (lambda face: face * [1, -1] + [0, SIDE], "y counted upwards, in 42 of 42 faces checked"),
        (lambda face: face.ravel().reshape(2, 68).T, "x and y interleaved, in 42 of 42 faces checked"),
        (lambda face: face * 5, "they look like pixels of pictures of about 3"),
        (lambda face: face * 1.33, "they look like pixels of pictures of about 9"),
        (lambda face: face * 100 / SIDE, "or percentages: scale them to the size of each."),
        (lambda face: face + [14, 9], "they are shifted by about (1"),
        (lambda face: np.roll(face, 1, 0), "they look like points of other pictures, or numbered otherwise: "),
    ],
)  # fmt: skip
def test_a_file_is_refused_with_its_likely_cause(
    dataset: CsvDataset, points: dict[str, np.ndarray], tmp_path: Path, form: Form, message: str
) -> None:
    provider = write(tmp_path / "l.txt", {name: form(face) for name, face in points.items()})
    with pytest.raises(DataError) as error:
        check_landmarks(provider, dataset)
    assert str(error.value).startswith(f"landmark file {tmp_path / 'l.txt'}: ")
    assert message in str(error.value)


def test_the_estimate_of_a_larger_picture_is_right(
    dataset: CsvDataset, points: dict[str, np.ndarray], tmp_path: Path
) -> None:
    provider = write(tmp_path / "l.txt", {name: face * [640 / SIDE, 480 / SIDE] for name, face in points.items()})
    with pytest.raises(DataError, match=r"pictures of about (\d+) x (\d+): scale") as error:
        check_landmarks(provider, dataset)
    width, height = (int(word) for word in str(error.value).partition("about ")[2].partition(":")[0].split(" x "))
    assert (width, height) == (pytest.approx(640, rel=0.03), pytest.approx(480, rel=0.03))


def test_a_fault_of_a_few_faces_is_no_fault_of_the_file(
    dataset: CsvDataset, points: dict[str, np.ndarray], tmp_path: Path
) -> None:
    few = {name: face / SIDE if i % 3 == 0 else face for i, (name, face) in enumerate(points.items())}
    provider = write(tmp_path / "l.txt", few)
    assert check_landmarks(provider, dataset) is provider


def test_faces_with_the_points_of_another_picture_are_left_out_and_copies_are_kept(tmp_path: Path) -> None:
    drawn = DemoDataset("test", count=14, size=SIDE)
    ids = [sample.id for sample in drawn.samples]
    own = dict(zip(ids, drawn.landmarks().locate(ids).points.numpy(), strict=True))
    for i, name in enumerate(ids):
        drawn.image(i).save(tmp_path / name)
    drawn.image(0).save(tmp_path / "copy.png")
    own |= {"copy.png": own[ids[0]], ids[3]: own[ids[5]]}
    (tmp_path / "labels.csv").write_text("image,label\n" + "".join(f"{name},fear\n" for name in own))
    dataset = CsvDataset.open(tmp_path, "test")
    landmarks = check_landmarks(write(tmp_path / "l.txt", own), dataset).locate(list(own), None)
    lost = {name: landmarks.note(i) for i, name in enumerate(own) if not landmarks.found[i]}
    assert lost == dict.fromkeys((ids[3], ids[5]), "implausible landmarks: the same points as another picture")
    same = write(tmp_path / "l.txt", dict.fromkeys(own, own[ids[0]]))
    with pytest.raises(DataError, match=r"about 100% of the images have the same points as another picture, such as "):
        check_landmarks(same, dataset)


def test_a_bare_name_of_several_images_is_refused(tmp_path: Path) -> None:
    drawn = DemoDataset("test", count=14, size=SIDE)
    first = drawn.landmarks().locate([drawn.samples[0].id]).points[0].numpy()
    for name in ("angry/0.png", "happy/0.png", "happy/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        drawn.image(0).save(tmp_path / name)
    dataset = FolderDataset.open(tmp_path, "test")
    bare = write(tmp_path / "l.txt", {"0.png": first, "1.png": first})
    with pytest.raises(DataError) as error:
        check_landmarks(bare, dataset)
    assert str(error.value) == (
        f"landmark file {tmp_path / 'l.txt'}: '0.png' stands for several images, such as angry/0.png and happy/0.png; "
        "name the images with their folders."
    )
    full = write(tmp_path / "l.txt", dict.fromkeys(("angry/0.png", "happy/0.png", "1.png"), first))
    assert check_landmarks(full, dataset) is full  # one picture under three names


def test_nothing_to_check(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("image,label\na.png,fear\nb.png,fear\n")
    provider = write(tmp_path / "l.txt", {"other.png": np.zeros((68, 2)), "b.png": np.zeros((68, 2))})
    assert check_landmarks(provider, CsvDataset.open(tmp_path, "test")) is provider
