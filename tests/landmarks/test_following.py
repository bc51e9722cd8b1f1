"""Points over the frames of a clip."""

import math

import torch

from interpfer.landmarks.following import MAX_GAP, follow, smooth_points
from interpfer.types import Landmarks


def moving(frames: list[int], noise: float = 0.0) -> torch.Tensor:
    """Return 68 points that move by (2, -1) per frame."""
    base = torch.arange(136.0).reshape(68, 2)
    steps = torch.tensor(frames)[:, None, None] * torch.tensor([2.0, -1.0])
    return base + steps + noise * torch.randn(len(frames), 68, 2, generator=torch.Generator().manual_seed(0))


def test_uniform_motion_is_left_as_it_is() -> None:
    frames = [0, 1, 2, 5, 6, 20]
    followed = follow(Landmarks.of(moving(frames)), frames, smooth=True)
    torch.testing.assert_close(followed.points, moving(frames))
    assert set(followed.notes) == {""}


def test_jitter_is_smoothed_and_distant_frames_are_not() -> None:
    near, far = list(range(40)), list(range(0, 400, 10))
    truth = moving(near)
    smoothed = follow(Landmarks.of(moving(near, 1.0)), near, smooth=True).points
    ratio = (smoothed - truth)[3:-3].std() / (moving(near, 1.0) - truth)[3:-3].std()
    weights = torch.tensor([math.exp(-0.5 * d * d) for d in (-2, -1, 0, 1, 2)])
    expected = (weights / weights.sum()).square().sum().sqrt()  # in the middle of a clip the line is the mean
    assert abs(ratio - expected) < 0.05
    assert torch.equal(follow(Landmarks.of(moving(near, 1.0)), near, smooth=False).points, moving(near, 1.0))
    torch.testing.assert_close(follow(Landmarks.of(moving(far, 1.0)), far, smooth=True).points, moving(far, 1.0))


def test_three_frames_by_hand() -> None:
    points = torch.tensor([0.0, 3.0, 0.0], dtype=torch.float64)[:, None, None].expand(3, 1, 2)
    side = math.exp(-0.5)
    smoothed = smooth_points(points, torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64))
    assert math.isclose(smoothed[1, 0, 0], 3 / (1 + 2 * side))
    far = math.exp(-2)  # the weighted line of (0, 0), (1, 3), (2, 0) at 0
    moments = [1 + side + far, side + 2 * far, side + 4 * far]
    line = (side * (moments[2] - moments[1]) * 3) / (moments[0] * moments[2] - moments[1] ** 2)
    assert math.isclose(smoothed[0, 0, 0], line)


def test_short_gaps_are_bridged_and_long_ones_are_not() -> None:
    frames = [0, 1, 2, 4, 4 + MAX_GAP + 1, 4 + MAX_GAP + 2, 40]
    points = moving(frames)
    points[[1, 2, 4, 6]] = torch.nan
    notes = ("", "no face", "no face", "", "low confidence: 0.1", "", "no face")
    followed = follow(Landmarks.of(points, notes), frames, smooth=True)
    assert followed.found.tolist() == [True, True, True, True, False, True, False]
    torch.testing.assert_close(followed.points[1:3], moving(frames)[1:3])
    bridged = "interpolated: between frames 0 and 4"
    assert followed.notes == ("", bridged, bridged, "", "low confidence: 0.1", "", "no face")


def test_one_frame_and_none() -> None:
    assert torch.equal(follow(Landmarks.of(moving([7], 1.0)), [7], smooth=True).points, moving([7], 1.0))
    lost = follow(Landmarks.of(torch.full((2, 68, 2), torch.nan)), [0, 1], smooth=True)
    assert not lost.found.any()
