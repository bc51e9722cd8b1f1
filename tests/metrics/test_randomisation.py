"""Sanity checks leave the model as found and see what they should."""

from pathlib import Path

import pytest
import torch

from interpfer.metrics.randomisation import cascading_randomisation, weights_restored
from interpfer.metrics.robustness import noise_sensitivity
from interpfer.models.loading import load_model
from interpfer.models.model import Model


@pytest.fixture
def model(checkpoint: Path) -> Model:
    return load_model(checkpoint)


def test_cascade_starts_at_one_ends_lower_and_restores(model: Model) -> None:
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    images = torch.rand(6, 3, 48, 48)
    table = cascading_randomisation(model, images, ["attention", "layercam"], stages=4)
    assert table["shuffled"].iloc[0] == 0
    assert table["shuffled"].iloc[-1] == 1
    for _, rows in table.groupby("map"):
        assert rows["similarity"].iloc[0] == pytest.approx(1)
        assert rows["similarity"].iloc[-1] < 0.9
    assert all(torch.equal(before[name], value) for name, value in model.module.state_dict().items())


def test_weights_come_back_when_something_raises(model: Model) -> None:
    first = next(model.module.parameters())
    kept = first.detach().clone()
    with pytest.raises(RuntimeError, match="expand"), weights_restored(model.module):
        first.data.zero_().expand(-1, -7)
    assert torch.equal(next(model.module.parameters()), kept)


def test_no_noise_no_change_and_more_noise_more_change(model: Model) -> None:
    images = torch.rand(4, 3, 48, 48)
    still = noise_sensitivity(model, images, ["attention"], noise=0.0)
    little = noise_sensitivity(model, images, ["attention"], noise=0.01)
    much = noise_sensitivity(model, images, ["attention"], noise=0.3)
    for key, values in still.items():
        torch.testing.assert_close(values, torch.zeros(4), atol=1e-5, rtol=0)
        assert much[key].mean() > little[key].mean()
