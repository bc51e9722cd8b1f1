import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpfer.au.codebook import ActionUnit
from interpfer.au.drawing import au_heatmaps
from interpfer.datasets.demo import DemoDataset
from interpfer.rationales.baselines import MeanBoxes, draw_random, ground_means
from interpfer.rationales.grounding import (
    BOTH,
    LEFT,
    RIGHT,
    ground,
    intersection_over_union,
    region_boxes,
)

AUS = (4, 12, 25)


@pytest.fixture(scope="module")
def points() -> torch.Tensor:
    faces = DemoDataset("test", count=6, size=224)
    return faces.landmarks().locate([sample.id for sample in faces.samples], None).points.double()


@pytest.fixture(scope="module")
def boxes(points: torch.Tensor) -> np.ndarray:
    return region_boxes(points, [[ActionUnit(au) for au in AUS]] * len(points), AUS)


@pytest.mark.parametrize("au", [1, 4, 6, 9, 12, 17, 25])
def test_boxes_are_those_of_the_drawn_region(points: torch.Tensor, au: int) -> None:
    """A heatmap is drawn on cells of 8 px and blurred by two; where it is strong is inside the box, within that."""
    maps, _ = au_heatmaps(points, aus=[{au: 1.0}] * len(points), geometry="scaled")
    found = region_boxes(points, [[ActionUnit(au)]] * len(points), [au])[:, 0, BOTH] * 224
    for heat, box in zip(maps, found, strict=True):
        rows, columns = np.nonzero((heat > 0.5).numpy())
        drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert np.abs(drawn - box).max() <= 16


def test_sides(points: torch.Tensor) -> None:
    units = [[ActionUnit(12, side="left")], [ActionUnit(12, side="right")], [ActionUnit(12)], [ActionUnit(25)]]
    found = region_boxes(points[:4], units, [12])
    known = np.isfinite(found[:, 0, :, 0]).tolist()
    assert known == [[True, False, True], [False, True, True], [True, True, True], [False, False, False]]
    single = region_boxes(points[:1], [[ActionUnit(4, side="right")]], [4])
    assert np.isfinite(single[0, 0, :, 0]).tolist() == [True, False, True]
    none = region_boxes(torch.full_like(points[:1], torch.nan), [[ActionUnit(12)]], [12])
    assert np.isnan(none).all()


def given_boxes(boxes: np.ndarray, slots: dict[int, tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cells = [(row, column, slot) for row in range(len(boxes)) for column, each in slots.items() for slot in each]
    rows, columns, places = (np.array(each, np.intp) for each in zip(*cells, strict=True))
    return rows, columns, boxes[rows, columns, places]


@pytest.mark.parametrize(
    "slots",
    [
        {0: (LEFT,), 1: (LEFT, RIGHT), 2: (LEFT, RIGHT)},
        {0: (BOTH,), 1: (BOTH,), 2: (BOTH,)},
        {0: (LEFT,), 1: (RIGHT, LEFT), 2: (RIGHT,)},
    ],
)
def test_true_boxes_score_one(boxes: np.ndarray, slots: dict[int, tuple[int, ...]]) -> None:
    sums = ground(boxes, *given_boxes(boxes, slots))
    assert sums.boxes.sum(1).tolist() == [sum(map(len, slots.values()))] * len(boxes)
    for each in (sums.iou, sums.hits, sums.pointing):
        assert each == pytest.approx(sums.boxes)


def test_boxes_moved_by_half_their_width_score_a_third(boxes: np.ndarray) -> None:
    rows, columns, own = given_boxes(boxes, {1: (LEFT, RIGHT)})
    moved = own + np.outer((own[:, 2] - own[:, 0]) / 2, [1, 0, 1, 0])
    sums = ground(boxes[:, 1:2], rows, columns - 1, moved)
    assert sums.iou.sum() / sums.boxes.sum() == pytest.approx(1 / 3)
    assert sums.hits.sum() == 0


def test_what_is_not_there_and_what_has_no_box_count_as_nothing(points: torch.Tensor) -> None:
    boxes = region_boxes(points[:1], [[ActionUnit(12), ActionUnit(25)]], AUS)
    sums = ground(boxes, np.zeros(1, np.intp), np.zeros(1, np.intp), np.array([[0.0, 0, 1, 1]]))
    assert sums.boxes.tolist() == [[1, 1, 1]]
    assert sums.iou.sum() == 0
    more = ground(boxes, np.zeros(3, np.intp), np.ones(3, np.intp), boxes[0, 1, [LEFT, LEFT, RIGHT]])
    assert more.boxes[0, 1] == 3
    assert more.iou[0, 1] == pytest.approx(2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_intersection_over_union_by_counting(numbers: list[float]) -> None:
    grid = 32
    pairs = np.sort(np.round(np.array(numbers).reshape(2, 2, 2) * grid), 1)
    first, second = (pair.reshape(-1) for pair in pairs)
    y, x = np.mgrid[:grid, :grid] + 0.5
    inside = [(x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3]) for box in (first, second)]
    union = (inside[0] | inside[1]).sum()
    wanted = (inside[0] & inside[1]).sum() / union if union else 0
    assert intersection_over_union(first, second) == pytest.approx(wanted)


def test_mean_boxes_leave_the_face_itself_out(boxes: np.ndarray) -> None:
    means = MeanBoxes(len(AUS))
    means.add(boxes[:4])
    means.add(boxes[4:])
    others = means.of_others(boxes)
    wanted = np.delete(boxes, 2, 0)[:, 1, LEFT].mean(0)
    assert others[2, 1, LEFT] == pytest.approx(wanted)
    sums = ground_means(boxes, others, np.ones((len(boxes), len(AUS)), bool))
    plain = intersection_over_union(boxes[2, 1, LEFT], others[2, 1, LEFT])
    plain += intersection_over_union(boxes[2, 1, RIGHT], others[2, 1, RIGHT])
    assert sums.iou[2, 1] == pytest.approx(plain)
    assert sums.boxes.tolist() == [[1, 2, 1 + np.isfinite(boxes[0, 2, RIGHT, 0])]] * len(boxes)


def test_random_units_are_as_many_as_are_named() -> None:
    named = np.array([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 0]] * 200, bool)
    pool = np.array([True, True, True, True, False])
    drawn = draw_random(named, pool, 0)
    assert (drawn.sum(1) == named.sum(1)).all()
    assert not drawn[:, 4].any()
    assert drawn[::3, :4].mean(0) == pytest.approx(np.full(4, 0.5), abs=0.12)
    assert (draw_random(named, pool, 0) == drawn).all()
    assert (draw_random(named, pool, 1) != drawn).any()
