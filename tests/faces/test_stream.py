from dataclasses import replace
from pathlib import Path
from threading import current_thread

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.faces.stream import FaceStream, to_tensor
from interpfer.landmarks.files import FileLandmarks
from interpfer.landmarks.points import MEAN_FACE
from interpfer.models.input import InputSpec
from interpfer.models.preparation import prepare_pixels
from interpfer.types import CANVAS

SIZES = [(40, 20), (30, 30), (10, 50)]
FACE = np.array(MEAN_FACE) / 250  # in heights or widths of the picture, around its centre


def line(name: str, points: np.ndarray) -> str:
    return ",".join([name, *map(str, points.T.ravel())])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of unlike sizes with landmarks, a broken one and a missing one."""
    rng = np.random.default_rng(0)
    lines = []
    for index, (width, height) in enumerate(SIZES):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(tmp_path / f"{index}.png")
        lines.append(line(f"{index}.png", np.array([width / 2, height / 2]) + FACE * min(width, height)))
    (tmp_path / "broken.png").write_bytes(b"no image")
    lines += [line.replace("0.png", f"{name}.png") for name in ("broken", "gone") for line in lines[:1]]
    (tmp_path / "points.txt").write_text("\n".join(lines))
    names = ["0", "broken", "1", "gone", "2"]
    (tmp_path / "labels.csv").write_text("image,label\n" + "".join(f"{name}.png,fear\n" for name in names))
    return tmp_path


@pytest.fixture
def stream(folder: Path) -> FaceStream:
    return FaceStream(CsvDataset.open(folder, "test"), FileLandmarks(folder / "points.txt"), 16)


def test_a_bad_image_is_skipped_and_named(stream: FaceStream) -> None:
    batch = stream.read(range(5))
    assert batch.rows == (0, 2, 4)
    assert list(batch.skipped) == [1, 3]
    assert "broken.png: not a readable image" in batch.skipped[1]
    assert "gone.png: no such image file" in batch.skipped[3]
    assert batch.faces.images.shape == (3, 3, 16, 16)
    assert len(set(batch.digests)) == 3


def test_images_and_points_are_scaled_alike(stream: FaceStream, folder: Path) -> None:
    batch = stream.read(range(5))
    for row, image in zip((0, 1, 2), batch.faces.images, strict=True):
        pixels = torch.from_numpy(np.array(Image.open(folder / f"{row}.png"))).permute(2, 0, 1)[None] / 255
        expected = F.interpolate(pixels, size=(16, 16), mode="bilinear", antialias=True, align_corners=False)[0]
        torch.testing.assert_close(image, expected)
    assert batch.landmarks.found.all()
    for (width, height), points in zip(SIZES, batch.landmarks.points, strict=True):
        share = min(width, height) / np.array([width, height])
        np.testing.assert_allclose(points, CANVAS * (0.5 + FACE * share), rtol=1e-6)


def test_an_implausible_face_has_no_landmarks_with_and_without_decoding(folder: Path) -> None:
    upside_down = np.array([15, 15]) - FACE * 30
    lines = (folder / "points.txt").read_text().splitlines()
    (folder / "points.txt").write_text("\n".join([lines[0], line("1.png", upside_down), *lines[2:]]))
    stream = FaceStream(CsvDataset.open(folder, "test"), FileLandmarks(folder / "points.txt"), 16)
    assert stream.landmarks([0, 2, 4]).notes == ("", "implausible landmarks: upside down", "")
    batch = stream.read([0, 2, 4])
    assert batch.landmarks.notes == ("", "implausible landmarks: upside down", "")
    assert batch.landmarks.found.tolist() == [True, False, True]


def test_landmarks_alone_need_no_decoding_and_an_unreadable_image_has_none(stream: FaceStream) -> None:
    landmarks = stream.landmarks(range(5))
    assert landmarks.found.tolist() == [True, False, True, False, True]
    torch.testing.assert_close(landmarks.points[[0, 2, 4]], stream.read(range(5)).landmarks.points)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 9])
def test_batches_cover_every_row_in_order(stream: FaceStream, batch_size: int) -> None:
    batches = list(stream.batches(range(5), batch_size))
    assert [sorted([*batch.rows, *batch.skipped]) for batch in batches] == [
        list(range(5))[start : start + batch_size] for start in range(0, 5, batch_size)
    ]
    whole = stream.read(range(5))
    assert torch.equal(torch.cat([batch.faces.images for batch in batches]), whole.faces.images)
    assert sum((batch.digests for batch in batches), ()) == whole.digests


def test_several_readers_give_what_one_gives(stream: FaceStream) -> None:
    several, chunks = replace(stream, readers=3), [[0, 1], [2], [3, 4]]
    for one, other in zip(stream.read_batches(chunks), several.read_batches(chunks), strict=True):
        assert one.rows == other.rows
        assert one.skipped == other.skipped
        assert torch.equal(one.faces.images, other.faces.images)
    for rows, found in zip(chunks, several.find_landmarks(chunks), strict=True):
        torch.testing.assert_close(found.points, stream.landmarks(rows).points, equal_nan=True)


def test_pictures_of_one_file_are_read_by_one_thread() -> None:
    dataset, threads = DemoDataset("test", count=6, size=48), set()
    dataset.image = lambda row: (threads.add(current_thread()), DemoDataset.image(dataset, row))[1]
    stream = FaceStream(dataset, dataset.landmarks(), 48, readers=3)
    assert len(list(stream.read_batches([[row] for row in range(6)]))) == 6
    assert len(threads) == 1


def test_no_rows(stream: FaceStream) -> None:
    assert list(stream.batches([], 4)) == []


def test_only_unreadable_images(stream: FaceStream) -> None:
    batch = stream.read([1, 3])
    assert batch.rows == ()
    assert batch.faces.images.shape == (0, 3, 16, 16)
    assert batch.landmarks.points.shape == (0, 68, 2)


def test_drawn_faces_have_their_own_landmarks() -> None:
    dataset = DemoDataset("test", count=3, size=56)
    stream = FaceStream(dataset, dataset.landmarks(), 32)
    points = stream.read([2, 0]).landmarks.points
    np.testing.assert_allclose(points[0], dataset.shape(2).points * CANVAS / 56, rtol=1e-5)
    assert torch.equal(stream.landmarks([2, 0]).points, points)


def test_pixels_become_numbers_between_zero_and_one() -> None:
    pixels = np.array([[[0, 51, 255], [255, 255, 255]], [[0, 0, 0], [102, 0, 0]]], np.uint8)
    tensor = to_tensor(pixels, 2)
    assert tensor[:, 0, 0].tolist() == pytest.approx([0, 0.2, 1])
    assert tensor[:, 1, 1].tolist() == pytest.approx([0.4, 0, 0])


INPUTS = [
    InputSpec(60, crop=60, resize=72),
    InputSpec(60, crop=60, resize=72, interpolation="bicubic", rounded="pillow", crop_corner="floor"),
    InputSpec(60, pad=(0, 0, 0)),
    InputSpec(48, crop=70),
]


@pytest.mark.parametrize("spec", INPUTS)
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("shape", [(110, 90), (90, 110)])
def test_landmarks_stay_on_the_spots_that_the_network_sees(
    tmp_path: Path, spec: InputSpec, align: bool, shape: tuple[int, int]
) -> None:
    width, height = shape
    points = np.array([width / 2, height / 2]) + FACE * 80
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    tip = points[30]
    spot = 255 * np.exp(-((columns - tip[0]) ** 2 + (rows - tip[1]) ** 2) / 8)
    Image.fromarray(np.repeat(spot.round().astype(np.uint8)[..., None], 3, 2)).save(tmp_path / "0.png")
    (tmp_path / "points.txt").write_text(line("0.png", points))
    (tmp_path / "labels.csv").write_text("image,label\n0.png,fear\n")
    dataset, provider = CsvDataset.open(tmp_path, "test"), FileLandmarks(tmp_path / "points.txt")
    for size in (spec.size, 80, CANVAS):
        stream = FaceStream(dataset, provider, size, align, spec)
        batch = stream.read([0])
        image = batch.faces.images[0, 0]
        places = torch.arange(size) + 0.5
        seen = torch.stack([(image.sum(0) * places).sum(), (image.sum(1) * places).sum()]) / image.sum()
        expected = batch.landmarks.points[0, 30].float() * size / CANVAS
        torch.testing.assert_close(seen, expected, atol=0.5, rtol=0)
        torch.testing.assert_close(stream.landmarks([0]).points, batch.landmarks.points)
        if not align:
            torch.testing.assert_close(stream.picture(0), batch.faces.images[0])
            prepared = prepare_pixels(np.array(dataset.image(0)), spec.at(size))
            torch.testing.assert_close(prepared, batch.faces.images[0])


def test_faces_that_a_crop_cuts_are_named(folder: Path) -> None:
    dataset, provider = CsvDataset.open(folder, "test"), FileLandmarks(folder / "points.txt")
    assert FaceStream(dataset, provider, 16).read(range(5)).partly_seen == ()
    whole = FaceStream(dataset, provider, 16, input=InputSpec(16, resize=17, crop=16)).read(range(5))
    found = [row for row, is_found in zip(whole.rows, whole.landmarks.found.tolist(), strict=True) if is_found]
    narrow = FaceStream(dataset, provider, 16, input=InputSpec(16, resize=48, crop=16)).read(range(5))
    assert narrow.partly_seen == tuple(found)
