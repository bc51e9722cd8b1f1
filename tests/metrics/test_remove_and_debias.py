"""ROAD against the imputation as its authors wrote it, as a sparse system that is solved exactly."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, neighbors_weights
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from interpfer.metrics import METRICS
from interpfer.metrics.imputation import impute
from tests.metrics.test_faithfulness import probe, quarter

NEIGHBOURS = ((1 / 12, 1 / 6, 1 / 12), (1 / 6, 0.0, 1 / 6), (1 / 12, 1 / 6, 1 / 12))


def solved(image: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """One channel, pixel by pixel."""
    holes = {place: index for index, place in enumerate(zip(*np.nonzero(gone), strict=True))}
    matrix, right = lil_matrix((len(holes), len(holes))), np.zeros(len(holes))
    for (row, column), index in holes.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                weight, place = NEIGHBOURS[down + 1][across + 1], (row + down, column + across)
                if not (weight and 0 <= place[0] < gone.shape[0] and 0 <= place[1] < gone.shape[1]):
                    continue
                matrix[index, index] += weight
                if place in holes:
                    matrix[index, holes[place]] -= weight
                else:
                    right[index] += weight * image[place]
    filled = image.copy()
    filled[gone] = spsolve(matrix.tocsc(), right)
    return filled


@pytest.mark.parametrize("share", [0.2, 0.8])
@pytest.mark.parametrize("blob", [True, False])
def test_imputation_solves_the_system(share: float, blob: bool) -> None:
    images = torch.rand(2, 3, 32, 32)
    field = torch.nn.functional.interpolate(torch.rand(2, 1, 4, 4), size=(32, 32), mode="bilinear")[:, 0]
    field = field if blob else torch.rand(2, 32, 32)
    gone = field < torch.quantile(field.flatten(1), share, dim=1)[:, None, None]
    found = impute(images, gone)
    for picture, hole, filled in zip(images, gone, found, strict=True):
        expected = [solved(channel.double().numpy(), hole.numpy()) for channel in picture]
        np.testing.assert_allclose(filled.numpy(), expected, atol=2e-3)


@pytest.mark.parametrize(("size", "share"), [(112, 0.4), (112, 0.8), (100, 0.6)])
def test_large_holes_in_noise_are_solved_as_by_pytorch_grad_cam(size: int, share: float) -> None:
    generator = torch.Generator().manual_seed(size)
    image = torch.rand(1, 3, size, size, generator=generator)
    field = F.interpolate(torch.rand(1, 1, 4, 4, generator=generator), size=(size, size), mode="bilinear")[:, 0]
    gone = field < torch.quantile(field.flatten(1), share, dim=1)[:, None, None]
    kept = (~gone[0]).float().numpy()
    matrix, right = NoisyLinearImputer.setup_sparse_system(kept, image[0].numpy(), neighbors_weights)
    expected = image[0].clone()
    expected[:, gone[0]] = torch.from_numpy(spsolve(matrix.tocsc(), right)).float().T
    torch.testing.assert_close(impute(image, gone)[0], expected, atol=2e-3, rtol=0)


def test_the_batch_and_the_threads_do_not_change_a_picture() -> None:
    images, gone = torch.rand(9, 3, 100, 100), torch.rand(9, 100, 100) < torch.linspace(0.1, 0.9, 9)[:, None, None]
    together = impute(images, gone)
    for index in (0, 4, 8):
        alone = impute(images[index : index + 1], gone[index : index + 1])
        torch.testing.assert_close(alone, together[index : index + 1], atol=1e-6, rtol=0)
    assert impute(images[:0], gone[:0]).shape == (0, 3, 100, 100)


@given(seed=st.integers(0, 1000), level=st.floats(0, 1))
def test_a_plain_picture_stays_and_what_is_known_is_kept(seed: int, level: float) -> None:
    gone = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(seed)) < 0.5
    plain = torch.full((1, 3, 16, 16), level)
    torch.testing.assert_close(impute(plain, gone), plain, atol=2e-3, rtol=0)
    images = torch.rand(1, 3, 16, 16)
    filled = impute(images, gone)
    assert torch.equal(filled.movedim(1, 3)[~gone], images.movedim(1, 3)[~gone])
    assert filled.amin() >= -2e-3
    assert filled.amax() <= 1 + 2e-3


def test_one_pixel_is_the_mean_of_its_neighbours() -> None:
    images = torch.zeros(1, 3, 3, 3)
    images[..., 0, 1] = 1  # above
    images[..., 2, 2] = 1  # diagonal
    gone = torch.zeros(1, 3, 3, dtype=torch.bool)
    gone[:, 1, 1] = True
    torch.testing.assert_close(impute(images, gone)[0, :, 1, 1], torch.full((3,), 1 / 6 + 1 / 12))


def test_the_map_of_what_the_model_needs_scores_high_and_the_opposite_low() -> None:
    metric = METRICS.get("road")
    right, wrong, blind = (
        metric(maps, probe()) for maps in (quarter(True, True), quarter(False, False), torch.ones(2, 224, 224))
    )
    assert (right > 0.15).all()
    assert (wrong < 0).all()
    assert (blind.abs() < 0.1).all()


def test_turning_a_map_upside_down_turns_the_sign() -> None:
    maps: Tensor = torch.rand(2, 32, 32)
    metric = METRICS.get("road")
    torch.testing.assert_close(metric(1 - maps, probe()), -metric(maps, probe()), atol=2e-2, rtol=0)
