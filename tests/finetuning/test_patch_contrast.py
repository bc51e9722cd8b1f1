import itertools

import pytest
import torch

from interpfer.finetuning.patch_contrast import label_places, patch_contrast


def slow_contrast(features: torch.Tensor, labels: list[int]) -> float:
    near, far, alike, unlike = 0.0, 0.0, 0, 0
    for i, j in itertools.permutations(range(len(labels)), 2):
        if min(labels[i], labels[j]) < 0:
            continue
        a, b = features[:, i], features[:, j]
        value = abs(float(a @ b / a.norm() / b.norm()))
        if labels[i] == labels[j]:
            near, alike = near + value, alike + 1
        else:
            far, unlike = far + value, unlike + 1
    return 0.5 * (1 - near / (alike + 1)) + 0.5 * far / (unlike + 1)


def test_the_contrast_is_that_of_all_pairs() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(2, 5, 6), [[1, 0, -1, 1, 0, 0], [0, 0, 0, -1, -1, 0]]
    values = patch_contrast(features, torch.tensor(labels)).tolist()
    assert values == pytest.approx([slow_contrast(features[i], labels[i]) for i in range(2)], abs=1e-6)


def test_its_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(1)
    features = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1, 0, -1, 1], [0, 1, 0, 0]])
    assert torch.autograd.gradcheck(lambda x: patch_contrast(x, labels), features)


def test_places_are_labelled_by_the_mean_heat_of_their_cell() -> None:
    heat = torch.zeros(1, 4, 4)
    heat[0, :2, :2] = torch.tensor([[1.0, 1.0], [0.0, 0.0]])  # .5: inside
    heat[0, :2, 2:] = 0.3  # neither
    heat[0, 2:, :2] = 0.25  # outside
    assert label_places(heat, (2, 2)).tolist() == [[1, -1, 0, 0]]
    ignore = torch.zeros(1, 4, 4, dtype=torch.bool)
    ignore[0, 0, :2] = True
    assert label_places(heat, (2, 2), ignore).tolist() == [[-1, -1, 0, 0]]
