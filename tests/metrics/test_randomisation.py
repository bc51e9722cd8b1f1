"""Sanity checks leave the model as found and see what they should."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.compute import compute_maps
from interpfer.metrics.randomisation import (
    cascading_randomisation,
    compare_random_maps,
    compute_random_maps,
    permuted_modules,
    predict_classes,
    randomised,
    reinitialise,
    weights_restored,
)
from interpfer.metrics.robustness import noise_sensitivity
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "fear"]


@pytest.fixture
def model(checkpoint: Path) -> Model:
    return load_model(checkpoint)


def test_cascade_starts_at_one_ends_lower_and_restores(model: Model) -> None:
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    images = torch.rand(6, 3, 48, 48)
    table = cascading_randomisation(model, images, ["attention", "layercam"], stages=4)
    assert table["randomised"].iloc[0] == 0
    assert table["randomised"].iloc[-1] == 1
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


def test_new_weights_follow_the_initialiser_and_leave_the_global_generator_alone() -> None:
    conv, linear = nn.Conv2d(8, 64, 3), nn.Linear(50, 400)
    state = torch.get_rng_state()
    for layer, fan_in in ((conv, 72), (linear, 50)):
        layer.weight.data += 3
        reinitialise(layer, torch.Generator().manual_seed(1))
        bound = fan_in**-0.5  # uniform: the standard deviation is bound / sqrt(3)
        for values in (layer.weight, layer.bias):
            assert float(values.detach().abs().max()) <= bound
        assert float(layer.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(1))))
    assert torch.equal(nn.Linear(50, 400).weight, linear.weight)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_starts_anew_with_its_statistics(affine: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=affine), nn.Flatten(), nn.Linear(4 * 64, 2))
    with torch.no_grad():
        for _ in range(3):
            network(5 + torch.randn(8, 3, 8, 8))
        if affine:
            network[1].weight.fill_(2), network[1].bias.fill_(3)
    model = load_model(network.eval(), classes=CLASSES, input_size=8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with randomised(model, 3):
        fresh = nn.BatchNorm2d(4, affine=affine).state_dict()
        assert all(torch.equal(value, fresh[name]) for name, value in network[1].state_dict().items())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not torch.equal(before["1.running_mean"], fresh["running_mean"])


class Bare(nn.Module):
    """A network whose scale is a parameter that no module can reset."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.arange(1.0, 13.0).reshape(12, 1, 1))
        self.conv, self.head = nn.Conv2d(3, 12, 3), nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.scale * self.conv(x).relu()).mean((2, 3)))


def test_bare_parameters_are_permuted_and_named() -> None:
    model = load_model(Bare(), classes=CLASSES, input_size=16)
    assert permuted_modules(model) == ("Bare",)
    with randomised(model, 1):
        scale = model.module.scale.detach().flatten()
        assert not torch.equal(scale, torch.arange(1.0, 13.0))
        assert torch.equal(scale.sort().values, torch.arange(1.0, 13.0))
    assert torch.equal(model.module.scale.flatten(), torch.arange(1.0, 13.0))


def test_random_networks_are_compared_pair_by_pair() -> None:
    model = load_model(Bare(), classes=CLASSES, input_size=16)
    images = torch.rand(4, 3, 16, 16)
    trained = {("attention", "conv"): torch.rand(4, 14, 14)}
    drawn = compute_random_maps(model, images, "attention", "conv", None, networks=4, seed=2)
    comparison = compare_random_maps(trained, drawn)["attention", "conv"]

    def correlation(a: Tensor, b: Tensor) -> float:
        return float(np.mean([spearmanr(x.flatten(), y.flatten())[0] for x, y in zip(a, b, strict=True)]))

    maps = [each["attention", "conv"] for each in drawn]
    pairs = [correlation(maps[i], maps[j]) for i in range(4) for j in range(i + 1, 4)]
    np.testing.assert_allclose(comparison.pairs, pairs, atol=2e-3)  # ranks among 1,000 levels
    ordered = sorted(comparison.pairs)
    assert comparison.threshold == pytest.approx(ordered[4] + 0.75 * (ordered[5] - ordered[4]))  # 95 % of 5 steps
    expected = np.mean([correlation(trained["attention", "conv"], each) for each in maps])
    assert comparison.similarity == pytest.approx(expected, abs=2e-3)


def test_a_random_network_seldom_exceeds_the_threshold_of_five_others() -> None:
    model = load_model(Bare(), classes=CLASSES, input_size=16)
    drawn = compute_random_maps(model, torch.rand(8, 3, 16, 16), "attention", "conv", None, networks=240)
    exceeding = []
    for start in range(0, 240, 6):
        comparison = compare_random_maps(drawn[start], drawn[start + 1 : start + 6])["attention", "conv"]
        exceeding.append(comparison.similarity > comparison.threshold)
    assert np.mean(exceeding) <= 0.05


def test_the_last_stage_of_the_cascade_is_the_first_random_network(model: Model) -> None:
    images = torch.rand(3, 3, 48, 48)
    table = cascading_randomisation(model, images, "attention", stages=3, seed=5)
    targets = predict_classes(model, images)
    (drawn,) = compute_random_maps(model, images, "attention", "last", targets, networks=1, seed=5)
    (key,) = drawn
    comparison = compare_random_maps(compute_maps(model, images, "attention", targets=targets), [drawn])[key]
    assert table["similarity"].iloc[-1] == pytest.approx(comparison.similarity, abs=1e-6)
    assert np.isnan(comparison.threshold)


def test_a_network_without_weights_cannot_be_randomised() -> None:
    class Still(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool2d(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.pool(x).mean((2, 3))[:, :2]

    model = load_model(Still(), classes=CLASSES, input_size=16)
    with pytest.raises(ModelError, match=r"model Still has no accessible weights to randomise; leave out --sanity\."):
        cascading_randomisation(model, torch.rand(1, 3, 16, 16), "attention", "pool")
