"""Named regions of a face partition the picture, follow the face, and mirror with it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask
from torch import Tensor

from interpfer.au.face_regions import FACE_REGIONS, SHAPES, locate_face_regions
from interpfer.landmarks.points import MEAN_FACE, MIRRORED

SIZE = 96


def face(seed: int, size: int = SIZE) -> Tensor:
    """Return landmarks of a random face: moved points, rolled, scaled and shifted, partly off the picture."""
    rng = np.random.default_rng(seed)
    points = np.array(MEAN_FACE, float) + rng.normal(0, 3, (68, 2))
    roll, scale = rng.uniform(-0.6, 0.6), rng.uniform(0.15, 0.7) * size / 96
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    return torch.from_numpy(scale * points @ turn.T + size / 2 + rng.uniform(-15, 15, 2) * size / 96)[None]


def by_loop(points: Tensor, size: int) -> list[list[str]]:
    """Return the region of every pixel, pixel by pixel and edge by edge."""
    corners = points[0].tolist()
    unit = math.dist(np.mean(corners[36:42], 0), np.mean(corners[42:48], 0))

    def to_edge(x: float, y: float, a: list[float], b: list[float]) -> float:
        length = math.dist(a, b)
        at = ((x - a[0]) * (b[0] - a[0]) + (y - a[1]) * (b[1] - a[1])) / length**2
        at = min(max(at, 0), 1)
        return math.hypot(x - a[0] - at * (b[0] - a[0]), y - a[1] - at * (b[1] - a[1]))

    def winding(x: float, y: float, outline: list[list[float]]) -> bool:
        angles = [math.atan2(b - y, a - x) for a, b in outline]
        turns = [(end - start + math.pi) % (2 * math.pi) - math.pi
                 for start, end in zip(angles, angles[1:] + angles[:1], strict=True)]  # fmt: skip
        return round(sum(turns) / (2 * math.pi)) % 2 == 1

    def has(name: str, x: int, y: int) -> bool:
        shape = SHAPES[name]
        for side in (shape.points, tuple(MIRRORED[point] for point in shape.points))[: 1 + shape.is_paired]:
            outline = [corners[point] for point in side]
            edges = list(zip(outline, outline[1:] + outline[:1], strict=True))[: None if shape.is_closed else -1]
            if shape.margin and min(to_edge(x, y, *edge) for edge in edges) <= shape.margin * unit:
                return True
            if shape.is_closed and winding(x, y, outline):
                return True
        return False

    return [[next((name for name in SHAPES if has(name, x, y)), "outside") for x in range(size)] for y in range(size)]


@pytest.mark.parametrize("seed", range(3))
def test_every_pixel_is_in_the_region_of_a_plain_loop(seed: int) -> None:
    points = face(seed, 40)
    names = by_loop(points, 40)
    assert {name for row in names for name in row} == set(FACE_REGIONS)
    assert [[FACE_REGIONS[index] for index in row] for row in locate_face_regions(points, 40)[0].tolist()] == names


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_regions_partition_the_picture_and_mirror_with_the_face(seed: int) -> None:
    points = face(seed)
    regions = locate_face_regions(points, SIZE)
    assert int(regions.min()) >= 0
    assert int(regions.max()) < len(FACE_REGIONS)
    mirrored = points[:, list(MIRRORED)] * torch.tensor([-1.0, 1.0]) + torch.tensor([SIZE - 1.0, 0])
    assert torch.equal(locate_face_regions(mirrored, SIZE).flip(2), regions)


def test_an_eye_has_a_margin_of_the_stated_share_of_the_inter_ocular_distance() -> None:
    points = torch.tensor(MEAN_FACE).double()[None] + 112
    inside = locate_face_regions(points)[0] == FACE_REGIONS.index("eyes")
    left, right = points[0, 36:42].mean(0), points[0, 42:48].mean(0)
    margin = 0.12 * float((right - left).norm())
    row = round(float(points[0, 36, 1]))
    columns = inside[row].nonzero()[:, 0]
    assert abs(float(columns.min()) - (float(points[0, 36, 0]) - margin)) <= 1
    assert abs(float(columns.max()) - (float(points[0, 45, 0]) + margin)) <= 1


def test_the_chin_is_the_polygon_of_scikit_image_less_the_regions_before_it() -> None:
    points = torch.tensor(MEAN_FACE).double()[None] + 112.3
    regions = locate_face_regions(points)[0].numpy()
    outline = points[0, list(SHAPES["chin"].points)].flip(1).numpy()
    expected = polygon2mask((224, 224), outline) & ~np.isin(regions, [0, 1, 2, 3, 4])
    assert np.array_equal(regions == FACE_REGIONS.index("chin"), expected)


def test_a_face_without_landmarks_has_no_regions_and_one_off_the_picture_is_outside() -> None:
    points = torch.cat([face(0), face(1), face(2) + 1e4])
    points[0, 5, 0] = torch.nan
    regions = locate_face_regions(points, SIZE)
    assert bool((regions[0] == -1).all())
    assert torch.equal(regions[1:2], locate_face_regions(face(1), SIZE))
    assert bool((regions[2] == FACE_REGIONS.index("outside")).all())


def test_faces_of_a_batch_do_not_depend_on_each_other() -> None:
    points = torch.cat([face(seed) for seed in range(5)])
    together = locate_face_regions(points, SIZE)
    assert all(torch.equal(together[i : i + 1], locate_face_regions(points[i : i + 1], SIZE)) for i in range(5))
