import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.drawn.actions import AUS_OF, DISPLACEMENT, HALLMARK, MIRROR, SIDED
from interpfer.datasets.drawn.drawing import DrawnFace, draw_face, paint_face
from interpfer.datasets.drawn.shape import FaceShape, Identity, move, shape_face
from interpfer.datasets.export import write_csv_layout
from interpfer.errors import DataError

SEEDS = st.integers(0, 2**32 - 1)
EXPRESSIONS = st.sampled_from(tuple(AUS_OF))


def face_at_rest(seed: int) -> np.ndarray:
    return Identity.sample(np.random.default_rng(seed)).landmarks()


def acted(seed: int, *aus: int) -> tuple[np.ndarray, np.ndarray]:
    """The same person at rest and with action units at full intensity; y turned upwards."""
    rest = face_at_rest(seed)
    return rest * (1, -1), move(rest, dict.fromkeys(aus, 1.0)) * (1, -1)


def opening(points: np.ndarray, upper: tuple[int, ...], lower: tuple[int, ...]) -> float:
    return float(points[list(upper), 1].mean() - points[list(lower), 1].mean())


def drawn(seed: int, expression: str, size: int = 112) -> tuple[FaceShape, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = shape_face(expression, rng, size)
    return shape, np.asarray(paint_face(shape, rng), dtype=float)


def around(pixels: np.ndarray, point: np.ndarray) -> np.ndarray:
    x, y = np.round(point).astype(int)
    return pixels[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].reshape(-1, 3).mean(0)


@given(seed=SEEDS, expression=EXPRESSIONS)
@settings(max_examples=10, deadline=None)
def test_the_generator_alone_decides_the_picture(seed: int, expression: str) -> None:
    one, two = (draw_face(expression, np.random.default_rng(seed), 64) for _ in range(2))
    assert isinstance(one, DrawnFace)
    assert one.image.tobytes() == two.image.tobytes()
    assert np.array_equal(one.points, two.points)
    assert one.aus == two.aus


def test_order_of_drawing_does_not_matter() -> None:
    dataset = DemoDataset("test", count=6)
    backwards = [dataset.image(index) for index in reversed(range(6))][::-1]
    fresh = DemoDataset.open(split="test")
    assert all(fresh.image(index).tobytes() == image.tobytes() for index, image in enumerate(backwards))


def test_splits_and_seeds_differ() -> None:
    pictures = {DemoDataset(split, seed, count=7).image(0).tobytes() for split in ("train", "test") for seed in (0, 1)}
    assert len(pictures) == 4


@given(seed=SEEDS, expression=EXPRESSIONS, size=st.sampled_from((48, 112, 224)))
@settings(max_examples=150, deadline=None)
def test_landmarks_lie_inside_and_in_anatomical_order(seed: int, expression: str, size: int) -> None:
    shape = shape_face(expression, np.random.default_rng(seed), size)
    points = shape.points
    assert points.shape == (68, 2)
    assert points.dtype == np.float64
    assert np.isfinite(points).all()
    assert (points >= 0).all()
    assert (points <= size - 1).all()

    upright = points @ np.linalg.inv(shape.pose.axes())
    x, y = upright.T
    for brow, eye in ((slice(17, 22), slice(36, 42)), (slice(22, 27), slice(42, 48))):
        assert y[brow].mean() < y[eye].min()
    levels = (y[36:48].mean(), y[30], y[31:36].mean(), y[48:55].mean(), y[55:60].mean(), y[8])
    assert list(levels) == sorted(levels)
    assert y[8] > y[48:68].max()
    left = np.arange(68) < MIRROR
    left[[36, 37, 38, 39, 40, 41, 48, 49, 50, 58, 59, 60, 61, 67]] = True
    left[[42, 43, 44, 45, 46, 47, 52, 53, 54, 55, 56, 62, 63, 64, 65, 66]] = False
    assert (x[left] < x[MIRROR[left]]).all()
    assert (np.diff(x[17:27]) > 0).all()
    assert (np.diff(x[31:36]) > 0).all()
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46), (61, 67), (62, 66), (63, 65), (51, 57)):
        assert y[upper] < y[lower]


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_neutral_face_is_symmetric(seed: int) -> None:
    face = face_at_rest(seed)
    assert np.allclose(face, face[MIRROR] * (-1, 1))


@pytest.mark.parametrize("au", DISPLACEMENT)
def test_an_action_unit_moves_both_sides_alike(au: int) -> None:
    assert np.abs(DISPLACEMENT[au]).max() > 0
    assert np.allclose(DISPLACEMENT[au], DISPLACEMENT[au][MIRROR] * (-1, 1))


def test_every_action_unit_of_an_expression_is_known() -> None:
    assert {au for aus in AUS_OF.values() for au in aus} == set(DISPLACEMENT)
    assert all(au in AUS_OF[expression] for expression, au in HALLMARK.items())


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_action_units_move_as_facs_says(seed: int) -> None:
    rest, smile = acted(seed, 6, 12, 25)
    assert (smile[[48, 54], 1] > rest[[48, 54], 1]).all()
    assert np.ptp(smile[[48, 54], 0]) > np.ptp(rest[[48, 54], 0])
    assert opening(smile, (37, 38), (40, 41)) < opening(rest, (37, 38), (40, 41))

    rest, surprise = acted(seed, 1, 2, 5, 26, 27)
    assert opening(surprise, (17, 18, 19, 20, 21), (36, 39)) > opening(rest, (17, 18, 19, 20, 21), (36, 39)) + 0.1
    assert opening(surprise, (62,), (66,)) > opening(rest, (62,), (66,)) + 0.2
    assert opening(surprise, (37, 38), (40, 41)) > opening(rest, (37, 38), (40, 41))
    assert surprise[8, 1] < rest[8, 1]

    rest, anger = acted(seed, 4, 7, 23, 24)
    assert (anger[[19, 20, 21, 22, 23, 24], 1] < rest[[19, 20, 21, 22, 23, 24], 1]).all()
    assert np.ptp(anger[[21, 22], 0]) < np.ptp(rest[[21, 22], 0])
    assert opening(anger, (50, 51, 52), (56, 57, 58)) < opening(rest, (50, 51, 52), (56, 57, 58))

    rest, sadness = acted(seed, 1, 4, 15, 17)
    assert (sadness[[48, 54], 1] < rest[[48, 54], 1]).all()
    assert (sadness[[21, 22], 1] - sadness[[18, 25], 1] > rest[[21, 22], 1] - rest[[18, 25], 1]).all()

    rest, disgust = acted(seed, 9, 10)
    assert (disgust[[31, 35, 50, 52], 1] > rest[[31, 35, 50, 52], 1]).all()

    rest, stretched = acted(seed, 20)
    assert np.ptp(stretched[[48, 54], 0]) > np.ptp(rest[[48, 54], 0])


def test_one_person_shows_two_expressions() -> None:
    calm, smiling = (
        shape_face(expression, np.random.default_rng(5), person=np.random.default_rng(9))
        for expression in ("neutral", "happiness")
    )
    assert calm.aus == ()
    assert 12 in smiling.aus
    assert np.allclose(calm.head[27:31], smiling.head[27:31])
    assert (smiling.head[[48, 54], 1] < calm.head[[48, 54], 1]).all()
    assert np.ptp(smiling.head[[48, 54], 0]) > np.ptp(calm.head[[48, 54], 0])


def test_neutral_moves_nothing_and_the_rest_moves_its_hallmark() -> None:
    for expression, aus in AUS_OF.items():
        face = shape_face(expression, np.random.default_rng(3))
        assert set(face.aus) <= set(aus)
        assert list(face.aus) == sorted(face.aus)
        assert expression == "neutral" or HALLMARK[expression] in face.aus


@pytest.mark.parametrize(
    ("au", "moved"),
    [(2, range(17, 27)), (4, range(17, 27)), (5, range(36, 48)), (15, range(48, 68)), (25, range(48, 68))],
)
def test_the_picture_changes_where_the_landmarks_move(au: int, moved: range) -> None:
    for seed in range(5):
        rest = shape_face("neutral", np.random.default_rng(seed))
        head = move(rest.head, {au: 1.0})
        acting = replace(rest, head=head, points=rest.pose.place(head))
        before, after = (
            np.asarray(paint_face(shape, np.random.default_rng(seed)), dtype=float) for shape in (rest, acting)
        )
        change = np.abs(after - before).sum(2)
        low, high = (f(acting.points[list(moved)], axis=0) for f in (np.min, np.max))
        y, x = np.mgrid[0:112, 0:112]
        near = (x > low[0] - 6) & (x < high[0] + 6) & (y > low[1] - 6) & (y < high[1] + 6)
        assert change.max() > 15
        assert change[near].sum() > 0.8 * change.sum()


def test_the_picture_shows_eyes_where_the_landmarks_say() -> None:
    for seed in range(8):
        shape, pixels = drawn(seed, "surprise", 224)
        for eye in (slice(36, 42), slice(42, 48)):
            points = shape.points[eye]
            low, high = points.min(0).astype(int), points.max(0).astype(int) + 1
            grey = pixels[low[1] : high[1] + 1, low[0] : high[0] + 1].mean(2)
            assert grey.max() - grey.min() > 60


def test_the_picture_is_dark_or_white_inside_an_open_mouth() -> None:
    for seed in range(8):
        rest = shape_face("neutral", np.random.default_rng(seed))
        head = move(rest.head, {26: 1.0, 27: 1.0})
        acting = replace(rest, head=head, points=rest.pose.place(head))
        pixels = np.asarray(paint_face(acting, np.random.default_rng(seed)), dtype=float)
        mouth, nose = around(pixels, acting.points[60:68].mean(0)), around(pixels, acting.points[29])
        assert np.abs(mouth - nose).max() > 20


def test_the_picture_keeps_its_layout_at_any_size() -> None:
    small, large = (shape_face("fear", np.random.default_rng(1), size) for size in (112, 224))
    assert np.allclose((small.points + 0.5) * 2, large.points + 0.5, atol=1.5)


def test_open_lists_balanced_classes() -> None:
    for split, count in (("train", 700), ("test", 210)):
        dataset = DemoDataset.open(None, split, seed=3)
        assert len(dataset) == count
        assert set(Counter(sample.label for sample in dataset.samples).values()) == {count // 7}
        assert set(dataset.classes) == set(AUS_OF)
    assert dataset.samples[0].id == "test_0001.png"
    assert dataset.size(0) == dataset.image(0).size == (112, 112)
    assert dataset.image(0).mode == "RGB"


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(DataError, match="no split 'tests'.*test"):
        DemoDataset.open(None, "tests")


def test_one_sided_units_move_one_side_only() -> None:
    neutral = face_at_rest(3)
    for side, still, moved in (("left", 54, 48), ("right", 48, 54)):
        points = move(neutral, {12: 1.0}, sides={12: side})
        assert np.array_equal(points[still], neutral[still])
        assert np.array_equal(points[moved], move(neutral, {12: 1.0})[moved])
    left, right = (move(neutral, {12: 0.7, 4: 0.4}, sides={12: side}) for side in ("left", "right"))
    assert np.allclose(left, right[MIRROR] * (-1, 1))


def test_some_faces_are_one_sided_and_most_leave_something_out() -> None:
    names = [name for name in AUS_OF if AUS_OF[name]]
    shapes = [shape_face(names[seed % 6], np.random.default_rng(seed)) for seed in range(180)]
    one_sided = [shape for shape in shapes if shape.sides]
    sides = Counter(side for shape in one_sided for side in shape.sides.values())
    assert 0.08 < len(one_sided) / len(shapes) < 0.28
    assert set(sides) == {"left", "right"}
    assert all(set(shape.sides) <= set(shape.aus) & SIDED for shape in shapes)
    assert np.mean([len(shape.aus) < len(AUS_OF[shape.expression]) for shape in shapes]) > 0.5
    for shape in one_sided:
        (au, side), *_ = shape.sides.items()
        assert shape.strength(au, side=side) == shape.intensity[au] == shape.strength(au)
        assert shape.strength(au, side={"left": "right", "right": "left"}[side]) == 0.0


def test_landmarks_need_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interpfer.datasets.demo.paint_face", None)
    dataset = DemoDataset("test", seed=2, count=14)
    provider = dataset.landmarks()
    assert provider is not None
    assert not provider.needs_images
    found = provider.locate(["test_0005.png", "test_0002.png"], None)
    assert found.found.all()
    assert np.allclose(found.points[0].numpy(), dataset.shape(4).points, atol=1e-4)
    assert np.allclose(found.points[1].numpy(), dataset.shape(1).points, atol=1e-4)
    assert provider.digest != DemoDataset("test", seed=3, count=14).landmarks().digest
    with pytest.raises(DataError, match="no image 'someone.png'"):
        provider.locate(["someone.png"], None)


def test_the_csv_layout_can_be_read_back(tmp_path: Path) -> None:
    dataset = DemoDataset("train", count=7, size=64)
    write_csv_layout(dataset, tmp_path)
    with (tmp_path / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["label"]) for row in rows] == [(s.id, s.label) for s in dataset.samples]
    again = CsvDataset.open(tmp_path, "train", 0)
    for read, sample in zip(again.samples, dataset.samples, strict=True):
        assert read.aus is not None
        assert sample.aus is not None
        assert [(u.au, u.side) for u in read.aus.active] == [(u.au, u.side) for u in sample.aus.active]
        for one, two in zip(read.aus.active, sample.aus.active, strict=True):
            assert one.intensity == pytest.approx(two.intensity, abs=0.1001)
    lines = (tmp_path / "landmarks.txt").read_text().splitlines()
    assert len(lines) == 7
    for index, line in enumerate(lines):
        name, *numbers = line.split(",")
        assert name == dataset.samples[index].id
        points = np.array(numbers, dtype=float).reshape(2, 68).T
        assert np.allclose(points, dataset.shape(index).points, atol=1e-3)
        with Image.open(tmp_path / "images" / name) as image:
            assert image.tobytes() == dataset.image(index).tobytes()
