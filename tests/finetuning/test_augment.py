import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from interpfer.errors import InterpferError
from interpfer.finetuning.augment import (
    AUGMENTS,
    Augment,
    augment_geometry,
    augment_pixels,
    draw_transforms,
    mix,
)
from interpfer.landmarks.alignment import transform_points
from interpfer.landmarks.points import MIRRORED
from interpfer.truth.base import Truth
from interpfer.truth.codebook import CodebookTruth
from interpfer.types import CANVAS, Landmarks, Sample


def spot(x: float, y: float, size: int) -> torch.Tensor:
    """A Gaussian with its centre at a point of the canvas."""
    at = (torch.arange(size) + 0.5) * CANVAS / size
    return torch.exp(-((at[None, :] - x) ** 2 + (at[:, None] - y) ** 2) / (2 * 8**2)).expand(1, 3, size, size)


def centre(image: torch.Tensor) -> tuple[float, float]:
    size = image.shape[-1]
    at = (torch.arange(size) + 0.5) * CANVAS / size
    weight = image[0, 0].double() / image[0, 0].double().sum()
    return float((weight.sum(0) * at).sum()), float((weight.sum(1) * at).sum())


@given(
    x=st.floats(85, 139),
    y=st.floats(85, 139),
    seed=st.integers(0, 10_000),
    degrees=st.floats(0, 40),
    crop=st.floats(0.6, 1),
    size=st.sampled_from([48, 64, 112]),
)
def test_points_move_with_the_pixels(x: float, y: float, seed: int, degrees: float, crop: float, size: int) -> None:
    augment = Augment(degrees=degrees, rotate=1, crop=crop)
    points = torch.tensor([[[x, y]]]).expand(1, 68, 2)
    random = torch.Generator().manual_seed(seed)
    image, landmarks, _ = augment_geometry(spot(x, y, 96), Landmarks.of(points), size, augment, random)
    moved = landmarks.points
    assert image.shape == (1, 3, size, size)
    if moved[0, 0].min() > 30 and moved[0, 0].max() < CANVAS - 30:
        assert centre(image) == pytest.approx(moved[0, 0].tolist(), abs=0.6)


@given(seed=st.integers(0, 10_000))
def test_transforms_stay_within_what_is_allowed(seed: int) -> None:
    transform, flipped = draw_transforms(
        20, Augment(degrees=10, rotate=1, crop=0.5), torch.Generator().manual_seed(seed)
    )
    scale = transform[:, :, :2].det().abs().sqrt()
    assert ((scale >= 1 - 1e-9) & (scale <= 0.5**-0.5 + 1e-9)).all()
    assert ((transform[:, :, :2].det() < 0) == flipped).all()
    angle = torch.atan2(transform[:, 1, 0], transform[:, 1, 1])
    assert (angle.abs() <= math.radians(10) + 1e-9).all()


def test_a_crop_without_rotation_shows_nothing_from_outside() -> None:
    transform, _ = draw_transforms(200, Augment(rotate=0, crop=0.6), torch.Generator().manual_seed(0))
    corners = torch.tensor([[0.0, 0], [CANVAS, 0], [0, CANVAS], [CANVAS, CANVAS]], dtype=torch.float64)
    moved = transform_points(corners.repeat(17, 1).expand(200, 68, 2), transform)
    low, high = moved.amin(1), moved.amax(1)
    assert (low <= 1e-6).all()
    assert (high >= CANVAS - 1e-6).all()


def test_mirroring_swaps_the_sides_of_the_face(demo_points: torch.Tensor) -> None:
    assert sorted(MIRRORED) == list(range(68))
    assert all(MIRRORED[MIRRORED[i]] == i for i in range(68))
    assert (MIRRORED[0], MIRRORED[8], MIRRORED[17], MIRRORED[36], MIRRORED[48], MIRRORED[60]) == (16, 8, 26, 45, 54, 64)
    images = torch.rand(len(demo_points), 3, 32, 32)
    always = Augment(flip=1, rotate=0, crop=1)
    moved, landmarks, flipped = augment_geometry(images, Landmarks.of(demo_points), 32, always, torch.Generator())
    points = landmarks.points
    assert flipped.all()
    torch.testing.assert_close(moved, images.flip(3), atol=1e-4, rtol=0)
    left_eye, right_eye = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
    assert (left_eye[:, 0] < right_eye[:, 0]).all()
    torch.testing.assert_close(left_eye[:, 0], CANVAS - demo_points[:, 42:48].mean(1)[:, 0])


def test_no_augmentation_leaves_all_as_it_was(demo_points: torch.Tensor) -> None:
    images = torch.rand(len(demo_points), 3, 40, 40)
    given = Landmarks.of(demo_points)
    moved, landmarks, flipped = augment_geometry(images, given, 40, AUGMENTS["none"], torch.Generator())
    assert not flipped.any()
    torch.testing.assert_close(moved, images, atol=1e-4, rtol=0)
    torch.testing.assert_close(landmarks.points, demo_points)
    torch.testing.assert_close(augment_pixels(images, AUGMENTS["none"], torch.Generator()), images)


def test_missing_landmarks_stay_missing() -> None:
    absent = Landmarks.of(torch.full((2, 68, 2), torch.nan))
    _, moved, _ = augment_geometry(torch.rand(2, 3, 16, 16), absent, 16, Augment(), torch.Generator())
    assert moved.points.isnan().all()


def test_a_one_sided_action_unit_changes_sides(demo_points: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("{name: mine, citation: x, classes: {contempt: [{au: 14, side: left}]}}")
    truth = CodebookTruth(str(path)).draw(
        [Sample("a", "contempt"), Sample("b", "contempt")],
        Landmarks.of(demo_points[:2].float()),
        torch.tensor([False, True]),
    )
    assert truth.valid.all()
    half = CANVAS // 2
    assert truth.maps[0, :, :half].sum() > 10 * truth.maps[0, :, half:].sum()
    assert truth.maps[1, :, half:].sum() > 10 * truth.maps[1, :, :half].sum()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"flip": 1.5}, "augmentation: flip must be between 0 and 1, got 1.5."),
        ({"jitter_chance": -1}, "augmentation: jitter chance must be between 0 and 1, got -1."),
        ({"crop": 0}, "augmentation: crop must be above 0 and at most 1, got 0."),
        ({"mixup": 3}, "mixup must be between 0 and 1, got 3."),
        ({"cutmix": 0.75, "mixup": 0.75}, "cutmix + mixup must be between 0 and 1, got 1.5."),
    ],
)
def test_numbers_out_of_range_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InterpferError) as raised:
        Augment(**values)
    assert str(raised.value) == message


def test_colours_change_and_rectangles_go_but_chance_is_only_the_generator() -> None:
    images = torch.rand(8, 3, 32, 32)
    strong = Augment(grey=0.5, jitter=0.4, erase=1)
    first, again = (augment_pixels(images, strong, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, augment_pixels(images, strong, torch.Generator().manual_seed(4)))
    grey = augment_pixels(images, Augment(grey=1), torch.Generator())
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert ((first >= 0) & (first <= 1)).all()


@pytest.mark.parametrize("augment", [Augment(cutmix=1), Augment(mixup=1)])
@pytest.mark.parametrize("seed", range(8))
def test_heatmaps_move_along_with_what_is_mixed(augment: Augment, seed: int) -> None:
    n, side = 6, 56
    images = (torch.arange(n).float()[:, None, None, None] / 10 + 0.1).expand(n, 3, side, side).contiguous()
    heat = (torch.arange(n).float()[:, None, None] / 10 + 0.1).expand(n, side, side).contiguous()
    heat[2] = torch.nan
    valid = heat[:, 0, 0].isfinite()
    random = torch.Generator().manual_seed(seed)
    mixed = mix(images, torch.arange(n), Truth(heat, valid), augment, random)
    assert 0.5 <= mixed.share <= 1
    for i in range(n):
        main, other = int(mixed.targets[i]), int(mixed.others[i])
        own = mixed.images[i, 0] == images[main, 0]
        assert bool(mixed.truth.valid[i]) == bool(valid[main])
        if valid[main] and valid[other]:
            torch.testing.assert_close(mixed.truth.maps[i], mixed.images[i, 0])
        if valid[main] and augment.cutmix and other != main:
            assert float(own.float().mean()) == pytest.approx(mixed.share, abs=1e-6)
            assert torch.equal(mixed.cam_truth.maps[i] > 0, own)
            assert not mixed.truth.maps[i].isnan().any()
    assert torch.equal(mixed.truth.valid, mixed.cam_truth.valid)


def test_the_boxes_of_cutmix_are_as_published() -> None:
    # Yun et al. 2019, algorithm 1, restated with whole pixels; both ways draw 1,500 boxes
    side, draws = 64, 1500
    random, chance = torch.Generator().manual_seed(0), np.random.default_rng(0)
    images = torch.zeros(2, 3, side, side)
    images[1] = 1
    heat = torch.ones(2, side, side)
    seen, expected, borders = [], [], 0
    for _ in range(draws):
        mixed = mix(images, torch.arange(2), Truth(heat, torch.ones(2, dtype=torch.bool)), Augment(cutmix=1), random)
        pasted = mixed.images[0, 0] == 1
        if mixed.targets[0] != mixed.others[0]:
            seen.append(float(pasted.float().mean()))
            share = 1 - seen[-1] if mixed.targets[0] == 0 else seen[-1]
            assert mixed.share == pytest.approx(share, abs=1e-6)
            borders += bool(pasted[0].any() or pasted[-1].any())
        ratio = (1 - chance.beta(1, 1)) ** 0.5
        centre, half = chance.uniform(0, side, 2), side * ratio / 2
        low, high = np.clip(centre - half, 0, side), np.clip(centre + half, 0, side)
        expected.append(np.prod(np.floor(high + 0.5) - np.floor(low + 0.5)) / side**2)
    assert ks_2samp(seen, expected).pvalue > 0.01
    assert np.mean(seen) == pytest.approx(np.mean(expected), abs=0.02)
    assert borders > 0.4 * len(seen)  # the former box never left the picture
