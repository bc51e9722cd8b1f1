"""The baselines that need no AU heatmaps."""

import numpy as np
import torch
from skimage.filters import sobel

from interpfer.maps import MAPS
from interpfer.maps.base import BaselineContext, RawMap
from interpfer.maps.canvas import resize


def draw(name: str, images: torch.Tensor, rows: tuple[int, ...], seed: int = 0) -> RawMap:
    return MAPS.get(f"baseline:{name}").compute(
        BaselineContext(torch.zeros(len(rows), 224, 224), None, None, rows, seed, images)
    )


def test_center_peaks_in_the_middle_and_is_symmetric() -> None:
    found = draw("center", torch.zeros(2, 3, 8, 8), (0, 1))
    torch.testing.assert_close(found, found.flip(1, 2))
    assert found[0].argmax() in (111 * 224 + 111, 111 * 224 + 112, 112 * 224 + 111, 112 * 224 + 112)
    assert abs(found[0, 112, 112 + 56] / found[0, 112, 112] - np.exp(-0.5)) < 0.01


def test_random_depends_on_seed_and_place_alone() -> None:
    images = torch.zeros(3, 3, 8, 8)
    together = draw("random", images, (4, 7, 9))
    torch.testing.assert_close(draw("random", images[:1], (7,))[0], together[1])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(draw("random", images, (4, 7, 9), seed=1), together)
    assert together.min() >= 0
    assert together.max() <= 1


def test_edges_are_those_of_scikit_image() -> None:
    images = torch.rand(2, 3, 56, 56)
    found = draw("edges", images, (0, 1))
    for picture, image in zip(found, images, strict=True):
        expected = sobel(resize(image.mean(0, keepdim=True), 224)[0].double().numpy(), mode="nearest")
        np.testing.assert_allclose(picture.numpy(), expected / expected.max(), atol=1e-4)


def test_a_blank_picture_has_no_edges() -> None:
    assert draw("edges", torch.full((1, 3, 8, 8), 0.5), (0,)).isnan().all()
