import numpy as np
import pytest
import torch

from interpfer.truth.base import Truth
from interpfer.truth.means import TruthMeans
from interpfer.types import CANVAS


def faces() -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Eight heatmaps; one is undefined, one of an unknown class, one alone in its class."""
    heat = torch.rand(8, CANVAS, CANVAS)
    valid = torch.ones(8, dtype=torch.bool)
    valid[3] = False
    heat[3] = torch.nan
    return heat, valid, [0, 1, 0, 1, 1, 2, 0, 1]


def mean_of_others(rows: list[int], own: int, heat: torch.Tensor) -> np.ndarray:
    others = [heat[row].numpy().astype(np.float64) for row in rows if row != own]
    return np.mean(others, axis=0) if others else np.full((CANVAS, CANVAS), np.nan)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_means_leave_the_image_at_hand_out(batch: int) -> None:
    heat, valid, classes = faces()
    means = TruthMeans(4)
    for start in range(0, 8, batch):
        part = slice(start, start + batch)
        means.add(Truth(heat[part], valid[part]), classes[part])
    defined = [row for row in range(8) if valid[row]]
    everybody = means.mean_of_others(Truth(heat, valid))
    classmates = means.class_mean_of_others(Truth(heat, valid), classes)
    for row in range(8):
        same = [other for other in defined if classes[other] == classes[row]]
        np.testing.assert_allclose(everybody[row], mean_of_others(defined, row, heat), atol=1e-6)
        np.testing.assert_allclose(classmates[row], mean_of_others(same, row, heat), atol=1e-6)
    assert classmates[5].isnan().all()  # nobody else shows it
    assert means.counts.tolist() == [3, 3, 1, 0, 0]


def test_the_order_of_batches_does_not_show() -> None:
    heat, valid, classes = faces()
    forward, backward = TruthMeans(3), TruthMeans(3)
    for row in range(8):
        forward.add(Truth(heat[row : row + 1], valid[row : row + 1]), classes[row : row + 1])
    for row in reversed(range(8)):
        backward.add(Truth(heat[row : row + 1], valid[row : row + 1]), classes[row : row + 1])
    assert torch.equal(*(means.mean_of_others(Truth(heat, valid)) for means in (forward, backward)))


def test_an_unknown_class_has_no_classmates() -> None:
    heat, valid, classes = faces()
    means = TruthMeans(3)
    means.add(Truth(heat, valid), classes)
    unlabelled = torch.full((1, CANVAS, CANVAS), torch.nan)
    nobody = torch.zeros(1, dtype=torch.bool)
    assert means.class_mean_of_others(Truth(unlabelled, nobody), [-1]).isnan().all()
    assert means.mean_of_others(Truth(unlabelled, nobody)).isfinite().all()


def test_means_are_sums_in_double_precision_rounded_once() -> None:
    heat, valid, classes = faces()
    means = TruthMeans(3)
    means.add(Truth(heat, valid), classes)
    found = means.class_mean_of_others(Truth(heat, valid), classes)
    others = heat[[0, 2]].double().sum(0)
    assert torch.equal(found[6], ((others + heat[6].double() - heat[6].double()) * (1 / 2)).float())


def test_the_first_truths_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    heat, valid, classes = faces()
    monkeypatch.setattr("interpfer.truth.means.KEPT_BYTES", 5 * CANVAS**2 * 4)
    means = TruthMeans(3)
    for start in (0, 4):  # the second four would be more than five
        part = slice(start, start + 4)
        means.add(Truth(heat[part], valid[part]), classes[part], range(10 + start, 14 + start))
    kept = means.kept_truth([13, 10])
    assert kept is not None
    torch.testing.assert_close(kept.maps, heat[[3, 0]], rtol=0, atol=0, equal_nan=True)
    assert kept.valid.tolist() == [False, True]
    assert means.leaving_out({}).kept_truth([11]) is not None
    assert means.kept_truth([10, 14]) is None
    assert means.kept_truth([]) is None


def test_truths_with_pixels_to_ignore_are_not_kept() -> None:
    heat, valid, classes = faces()
    means = TruthMeans(3)
    means.add(Truth(heat, valid, torch.zeros_like(heat, dtype=torch.bool)), classes, range(8))
    assert means.kept_truth([0]) is None
