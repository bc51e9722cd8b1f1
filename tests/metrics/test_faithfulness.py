"""Faithfulness on a model whose reasons are known: it looks at the top left quarter alone."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from interpfer.metrics import METRICS, metric_groups
from interpfer.metrics.faithfulness import STEPS, blur, ranks_from_top, smooth
from interpfer.metrics.queries import ModelProbe, zero_color
from interpfer.models.card import ModelCard
from interpfer.models.input import InputSpec
from interpfer.models.model import Model

SIZE = 32
CURVES = ("deletion", "insertion", "deletion_blur", "insertion_blur")


def striped(n: int = 2) -> torch.Tensor:
    """Fine stripes, which blurring turns grey."""
    line = (torch.arange(SIZE) % 2).float()
    return line.expand(n, 3, SIZE, SIZE).clone()


def looks_at_top_left(images: torch.Tensor) -> torch.Tensor:
    part = images[:, 0, : SIZE // 2, : SIZE // 2]
    contrast = (part[..., 1:] - part[..., :-1]).abs().mean((1, 2))
    return torch.stack([6 * contrast - 3, torch.zeros_like(contrast)], 1).softmax(1)


def quarter(top: bool, left: bool, n: int = 2, size: int = 224) -> torch.Tensor:
    maps = torch.full((n, size, size), 0.1)
    half = size // 2
    maps[:, slice(0, half) if top else slice(half, size), slice(0, half) if left else slice(half, size)] = 1
    return maps


def probe(heat: torch.Tensor | None = None, targets: tuple[int, ...] = (0, 0)) -> ModelProbe:
    heat = quarter(True, True, len(targets)) if heat is None else heat
    rows = tuple(range(len(targets)))
    return ModelProbe(looks_at_top_left, striped(len(targets)), heat, torch.tensor(targets), rows, 0, (0.5, 0.4, 0.3))


@pytest.mark.parametrize("name", [*CURVES, "pixel_flipping", "average_drop"])
def test_the_map_of_what_the_model_needs_beats_the_opposite(name: str) -> None:
    metric = METRICS.get(name)
    right, wrong = (metric(quarter(corner, corner), probe()) for corner in (True, False))
    assert ((right - wrong > 0.1) if metric.facts.higher_is_better else (wrong - right > 0.1)).all()
    for found in (right, wrong):
        assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("name", CURVES)
def test_each_curve_against_a_plain_loop(name: str) -> None:
    maps, one = torch.rand(2, SIZE, SIZE), probe()
    kind, _, hides_by_blur = name.partition("_")
    expected = []
    for face in range(2):
        order = np.argsort(-maps[face].flatten().numpy(), kind="stable")
        picture = one.images[face].clone()
        if hides_by_blur:
            other = blur(picture[None])[0]
        elif kind == "deletion":
            other = torch.tensor(one.zero)[:, None, None].expand_as(picture)
        else:
            other = blur_of_rise(picture, one.zero)
        now, final = (picture, other) if kind == "deletion" else (other, picture)
        curve = []
        for step in range(STEPS + 1):
            changed = now.clone()
            rows, columns = np.unravel_index(order[: round(SIZE * SIZE * step / STEPS)], (SIZE, SIZE))
            changed[:, rows, columns] = final[:, rows, columns]
            curve.append(looks_at_top_left(changed[None])[0, 0].item())
        expected.append(np.trapezoid(curve) / STEPS)
    np.testing.assert_allclose(METRICS.get(name)(maps, one).numpy(), expected, atol=2e-3)


def blur_of_rise(picture: torch.Tensor, zero: tuple[float, ...], length: int = 3) -> torch.Tensor:
    """The kernel as the authors make it, over the normalised picture; 11 of 224 pixels are 3 of 32, as 5 are."""
    impulse = np.zeros((length, length))
    impulse[length // 2, length // 2] = 1
    kernel = gaussian_filter(impulse, 5 * picture.shape[-1] / 224)
    color = np.array(zero)[:, None, None]
    wide = np.pad(picture.numpy() - color, ((0, 0), (length // 2, length // 2), (length // 2, length // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (length, length), axis=(1, 2))
    return torch.from_numpy((windows * kernel).sum((3, 4)) + color).float()


def test_the_kernel_at_224_pixels_is_that_of_the_source() -> None:
    picture = torch.rand(1, 3, 224, 224)
    zero = (0.485, 0.456, 0.406)
    torch.testing.assert_close(smooth(picture, zero)[0], blur_of_rise(picture[0], zero, 11), atol=1e-5, rtol=0)


def test_the_colour_that_is_zero_is_zero_after_normalisation() -> None:
    cards = [
        InputSpec(8, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        InputSpec(8, "bgr", scale=255.0, mean=(91.0, 103.0, 131.0)),
        InputSpec(8, "gray", mean=(0.5,), std=(0.5,)),
        InputSpec(8, "rgb"),
    ]
    for spec in cards:
        model = Model("none", nn.Identity(), ModelCard(None, ("anger", "fear"), input=spec))
        pictures = torch.tensor(zero_color(spec))[None, :, None, None].expand(1, 3, 8, 8)
        assert model.normalise(pictures).abs().max() < 1e-4


def test_increase_and_drop_of_a_map_that_keeps_everything() -> None:
    everything = torch.ones(2, 224, 224)
    assert (METRICS.get("average_drop")(everything, probe()) == 0).all()
    assert (METRICS.get("increase")(everything, probe()) == 0).all()
    for_the_other = probe(targets=(1, 1))
    assert (METRICS.get("increase")(quarter(False, False), for_the_other) == 1).all()


def test_hiding_au_regions_hurts_where_the_model_uses_them() -> None:
    maps = torch.ones(2, 224, 224)
    used = METRICS.get("au_occlusion")(maps, probe(quarter(True, True)))
    unused = METRICS.get("au_occlusion")(maps, probe(quarter(False, False)))
    assert (used > 0.3).all()
    assert (unused < 0.05).all()
    everywhere = METRICS.get("au_occlusion")(maps, probe(torch.ones(2, 224, 224)))
    assert everywhere.isnan().all()


@pytest.mark.parametrize("name", metric_groups()["faithfulness"])
def test_undefined_is_nan_and_the_batch_does_not_show(name: str) -> None:
    maps, heat = torch.rand(3, 224, 224), quarter(True, True, 3)
    together = METRICS.get(name)(maps, probe(heat, (0, -1, 0)))
    assert together[1].isnan()
    maps[2] = math.nan
    apart = ModelProbe(looks_at_top_left, striped(1), heat[:1], torch.tensor([0]), (0,), 0, (0.5, 0.4, 0.3))
    torch.testing.assert_close(METRICS.get(name)(maps[:1], apart), together[:1])
    assert METRICS.get(name)(maps, probe(heat, (0, 0, 0)))[2].isnan()


def test_places_count_from_the_highest() -> None:
    assert ranks_from_top(torch.tensor([[[0.2, 0.9], [0.5, 0.1]]])).tolist() == [[[2, 0], [1, 3]]]
