import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from interpfer.au.geometry import GEOMETRIES, INTER_OCULAR, TABLE, load_geometry, reference, scaled
from interpfer.errors import PluginError
from interpfer.landmarks.points import MIRRORED
from interpfer.types import CANVAS

# An upright face on whole and half pixels: the eye centres are 85.12 px apart, as on a usual 224 px crop.
POINTS = torch.zeros(68, 2, dtype=torch.float64)
for index, place in {
    6: (80.9, 190.9), 8: (112.4, 215.6), 10: (144.2, 190.3),
    18: (50.7, 70.9), 19: (60.2, 66.4), 20: (72.9, 67.0), 23: (150.3, 67.8), 24: (162.6, 70.4), 25: (172.0, 73.9),
    29: (112.8, 110.2), 31: (100.5, 130.0), 35: (124.9, 130.0),
    36: (55.6, 90.2), 37: (65.0, 84.9), 38: (75.0, 85.2), 39: (84.2, 91.0), 40: (75.0, 96.0), 41: (65.3, 95.8),
    42: (140.1, 91.0), 43: (149.0, 85.0), 44: (159.0, 84.1), 45: (168.9, 90.0), 46: (159.4, 96.7), 47: (149.0, 97.0),
    48: (85.9, 160.2), 50: (104.4, 152.7), 51: (112.2, 154.9), 52: (120.3, 152.1), 54: (140.7, 161.5),
    55: (124.3, 170.6), 57: (112.6, 175.2), 59: (100.8, 171.9),
}.items():  # fmt: skip
    POINTS[index] = torch.tensor(place)

BY_HAND: dict[int, list[tuple[float, float, float, float]]] = {
    1: [(72, 67, 28, 22), (150, 67, 28, 22)],
    2: [(50, 70, 28, 22), (172, 73, 28, 22)],
    4: [(111, 68, 51, 2)],
    5: [(69, 90, 14, 5), (154, 90, 14, 6)],
    6: [(65, 132, 22, 22), (159, 133, 22, 22)],
    7: [(69, 90, 14, 15), (154, 90, 14, 16)],
    9: [(100, 110, 20, 20), (124, 110, 20, 20)],
    10: [(85, 152, 20, 20), (120, 161, 20, 20)],
    12: [(85, 160, 20, 20), (140, 161, 20, 20)],
    14: [(65, 160, 20, 20), (160, 161, 20, 20)],
    15: [(85, 160, 20, 20), (140, 161, 20, 20)],
    16: [(100, 171, 20, 20), (124, 170, 20, 20)],
    17: [(106, 193, 6, 22)],
    20: [(82, 175, 20, 20), (124, 171, 20, 20)],
    23: [(112, 164, 27, 10)],
    24: [(112, 164, 27, 10)],
    25: [(112, 154, 25, 10), (112, 175, 25, 10)],
    26: [(112, 164, 27, 10)],
    27: [(112, 164, 27, 10)],
    43: [(69, 90, 14, 15), (154, 90, 14, 16)],
}


def ellipses(points: Tensor, au: int, geometry: str = "reference") -> list[tuple[float, ...]]:
    regions = GEOMETRIES[geometry](points[None].double())
    return [tuple(ellipse) for ellipse in regions.ellipses[0, regions.aus.index(au)].tolist()]


@pytest.mark.parametrize("au", sorted(BY_HAND))
def test_reference_follows_the_table(au: int) -> None:
    expected = BY_HAND[au]
    assert ellipses(POINTS, au) == (expected * 2)[:2]


def test_the_table_by_hand_is_complete() -> None:
    assert set(BY_HAND) == set(TABLE)


def test_a_box_that_vanishes_gets_its_least_half_axis_and_a_negative_one_counts_as_zero() -> None:
    points = POINTS.clone()
    points[24, 1] = points[19, 1] + 1
    assert ellipses(points, 4)[0][3] == 10
    points[24, 1] = points[19, 1] - 30
    assert ellipses(points, 4)[0][3] == 10
    points[41, 1] = points[38, 1] - 30
    assert ellipses(points, 5)[0][3] == 5
    assert ellipses(points, 7)[0][3] == 5
    assert ellipses(points, 43)[0][3] == 0  # no guard
    points[8, 0] = points[59, 0] + 1
    assert ellipses(points, 17)[0][2] == 5


def test_dimples_stay_on_the_canvas() -> None:
    points = POINTS.clone()
    points[48, 0], points[54, 0] = 12, 215
    assert [ellipse[0] for ellipse in ellipses(points, 14)] == [0, 224]


def test_truncation_goes_towards_zero_outside_the_picture() -> None:
    points = POINTS.clone()
    points[48] = torch.tensor([-3.9, -0.5])
    assert ellipses(points, 12)[0][:2] == (-3, 0)


def test_regions_that_coincide_are_named_once() -> None:
    regions = reference(POINTS[None])
    first = {au: regions.aus[regions.shared[column]] for column, au in enumerate(regions.aus)}
    assert [au for au in TABLE if first[au] == first[23]] == [23, 24, 26, 27]
    assert first[15] == 12
    assert first[7] == 7
    assert [au for au in TABLE if first[au] == first[43]] == [43]


def test_scaled_fixes_the_errors_of_the_reference() -> None:
    unit = float((POINTS[42:48].mean(0) - POINTS[36:42].mean(0)).norm()) / INTER_OCULAR
    assert ellipses(POINTS, 10, "scaled")[0][:2] == pytest.approx(POINTS[50].tolist())
    assert ellipses(POINTS, 10, "scaled")[1][:2] == pytest.approx(POINTS[52].tolist())
    assert ellipses(POINTS, 20, "scaled")[1][:2] == pytest.approx(((POINTS[54] + POINTS[10]) / 2).tolist())
    assert ellipses(POINTS, 12, "scaled")[0] == pytest.approx((*POINTS[48].tolist(), 20 * unit, 20 * unit))


def test_scaled_draws_both_lips() -> None:
    """The two regions of AU 25 lie on the midline, one above the other: a mirrored face has them in the same order."""
    upper, lower = ellipses(POINTS, 25, "scaled")
    assert upper[:2] == pytest.approx(POINTS[51].tolist())
    assert lower[:2] == pytest.approx(POINTS[57].tolist())


def test_scaled_reads_the_table_in_pixels_of_a_usual_crop() -> None:
    assert pytest.approx(85.12) == INTER_OCULAR
    upright = POINTS.clone()
    upright[42:48, 1] += (POINTS[36:42, 1].mean() - POINTS[42:48, 1].mean()).item()
    upright = upright * (INTER_OCULAR / (upright[42:48].mean(0) - upright[36:42].mean(0)).norm())
    (x, y, rx, ry), _ = ellipses(upright, 6, "scaled")
    assert (x, y, rx, ry) == pytest.approx((upright[41, 0].item(), upright[41, 1].item() + 37, 22, 22))


@given(
    turn=st.floats(-math.pi, math.pi),
    size=st.floats(0.2, 5),
    right=st.floats(-300, 300),
    down=st.floats(-300, 300),
)
def test_scaled_moves_along_with_the_face(turn: float, size: float, right: float, down: float) -> None:
    rotation = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]], dtype=torch.float64)
    shift = torch.tensor([right, down], dtype=torch.float64)
    before = scaled(POINTS[None])
    after = scaled((POINTS @ rotation.T * size + shift)[None])
    torch.testing.assert_close(after.ellipses[..., :2], before.ellipses[..., :2] @ rotation.T * size + shift)
    torch.testing.assert_close(after.ellipses[..., 2:], before.ellipses[..., 2:] * size)
    turned = after.roll - before.roll - turn
    assert torch.allclose(turned.cos(), torch.ones(1, dtype=torch.float64))


@given(st.integers(0, 2**32 - 1), st.floats(-0.6, 0.6))
def test_scaled_is_symmetric(seed: int, turn: float) -> None:
    """The regions of a mirrored face are the mirrored regions, however irregular the face."""
    noise = torch.randn(68, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rotation = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]], dtype=torch.float64)
    face = (POINTS + 4 * noise) @ rotation.T
    mirrored = face[list(MIRRORED)] * face.new_tensor([-1.0, 1.0]) + face.new_tensor([CANVAS, 0.0])
    seen, expected = scaled(mirrored[None]), scaled(face[None])
    apart = (face[42:48].mean(0) - face[36:42].mean(0)).norm()
    swapped = expected.ellipses[0].flip(1)
    lips = expected.aus.index(25)
    swapped[lips] = expected.ellipses[0, lips]  # upper and lower do not change places
    x, y, *radii = swapped.unbind(-1)
    torch.testing.assert_close(seen.ellipses[0] / apart, torch.stack([CANVAS - x, y, *radii], -1) / apart)
    torch.testing.assert_close(seen.roll, -expected.roll)


def test_scaled_draws_the_chin_between_lower_lip_and_chin_point() -> None:
    """AU 17: from point 57 down to point 8 and from 59 across to 55; the reference draws it from 59 to 8, one-sided."""
    face = torch.zeros(68, 2, dtype=torch.float64)
    face[36:42], face[42:48] = torch.tensor([80.0, 90.0]), torch.tensor([140.0, 90.0])
    for index, place in {8: (110.0, 210.0), 55: (122.0, 170.0), 57: (110.0, 174.0), 59: (98.0, 170.0)}.items():
        face[index] = torch.tensor(place)
    assert ellipses(face, 17, "scaled")[0] == pytest.approx((110, 192, 12, 18))
    assert ellipses(face, 17)[0] == (104, 190, 6, 20)


def test_a_geometry_is_found_by_name() -> None:
    assert load_geometry("scaled") is scaled
    with pytest.raises(PluginError, match=r"unknown geometry 'refrence'\. Did you mean reference\? Known"):
        load_geometry("refrence")
