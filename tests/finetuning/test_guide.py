import math

import pytest
import torch

import interpfer
from interpfer.errors import InterpferError
from interpfer.finetuning.guide import Guide, alignment_loss
from interpfer.finetuning.losses import DISTANCES, barrier_temperature, log_barrier
from interpfer.maps.canvas import to_canvas
from interpfer.metrics.agreement import cosine
from interpfer.truth.base import Truth
from interpfer.truth.options import TruthOptions
from tests.conftest import Golden
from tests.oracles.alignment import alignment


def test_golden_values(golden: Golden) -> None:
    table = golden("loss")
    names = [key for key in table if key.startswith("name_")]
    assert names
    for key in names:
        number = key.removeprefix("name_")
        heat = torch.from_numpy(table[f"hm_{number}"].astype("float32"))
        features = torch.from_numpy(table[f"feat_{number}_0"])
        value = interpfer.alignment_loss([features], heat, str(table[key]).replace("_", "-"))
        assert 9 * float(value) == pytest.approx(float(table[f"loss_{number}"]), abs=1e-4)


@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("seed", range(3))
def test_kinds_are_the_plain_formulas(kind: str, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    features = torch.rand(4, 3, 5, 5, generator=random)
    heat = torch.rand(4, 1, 20, 20, generator=random)
    heat[1] = torch.inf
    assert float(alignment_loss([features], heat, kind)) == pytest.approx(alignment(kind, features, heat), abs=1e-5)


@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("resize", ["grid", "canvas"])
def test_gradients_are_those_of_finite_differences(kind: str, resize: str) -> None:
    features = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    heat = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    guide = Guide(loss=kind, loss_resize=resize, truth_options=TruthOptions(protocol="corrected"))

    def loss(x: torch.Tensor) -> torch.Tensor:
        maps = x.mean(1)
        if resize == "grid":
            small = torch.nn.functional.interpolate(heat, size=(4, 4), mode="area")[:, 0]
            return guide.distance(maps.flatten(1), small.flatten(1)).mean()
        large = torch.nn.functional.interpolate(maps[:, None], size=(8, 8), mode="bilinear")[:, 0]
        return guide.distance(large.flatten(1), heat.flatten(1)).mean()

    assert torch.autograd.gradcheck(loss, features.requires_grad_())


def test_alignment_loss_goes_down_its_gradient() -> None:
    features = torch.rand(3, 6, 7, 7, requires_grad=True)
    heat = torch.rand(3, 1, 56, 56)
    for resize in ("grid", "canvas"):
        loss = alignment_loss([features], heat, resize=resize)
        (slope,) = torch.autograd.grad(loss, features)
        direction = torch.randn_like(features)
        step = 1e-2
        base = features.detach()
        ahead, behind = (alignment_loss([base + s * step * direction], heat, resize=resize) for s in (1, -1))
        assert float((ahead - behind) / (2 * step)) == pytest.approx(
            float((slope * direction).sum()), rel=2e-2, abs=1e-4
        )


def test_faces_without_a_heatmap_take_no_part() -> None:
    features = torch.rand(3, 2, 4, 4, requires_grad=True)
    heat = torch.rand(3, 1, 16, 16)
    heat[0], heat[2] = torch.nan, torch.inf
    loss = alignment_loss([features], heat)
    assert float(loss.detach()) == pytest.approx(float(alignment_loss([features[1:2].detach()], heat[1:2])))
    loss.backward()
    assert features.grad is not None
    assert not features.grad[0].any()
    assert features.grad[1].any()
    assert float(alignment_loss([features.detach()], torch.full_like(heat, torch.nan))) == 0


def test_layers_are_averaged_and_a_dead_map_is_no_nan() -> None:
    heat = torch.rand(2, 1, 16, 16)
    a, b = torch.rand(2, 3, 4, 4), torch.rand(2, 5, 8, 8)
    both = alignment_loss([a, b], heat)
    assert float(both) == pytest.approx(float(alignment_loss([a], heat) + alignment_loss([b], heat)) / 2)
    dead = torch.zeros(2, 3, 4, 4, requires_grad=True)
    loss = alignment_loss([dead], heat)
    loss.backward()
    assert dead.grad is not None
    assert float(loss.detach()) == 0
    assert dead.grad.isfinite().all()


def test_attention_of_half_the_channels() -> None:
    features, heat = torch.rand(2, 4, 4, 4), torch.rand(2, 1, 16, 16)
    half = alignment_loss([features], heat, attention_map="attention-first-half")
    assert float(half) == pytest.approx(float(alignment_loss([features[:, :2]], heat)))
    draws = {float(alignment_loss([features], heat, attention_map="attention-random", seed=seed)) for seed in range(9)}
    assert len(draws) > 2


def test_the_shift_is_that_of_the_metric() -> None:
    features, heat = torch.randn(2, 3, 7, 7), torch.rand(2, 1, 224, 224)
    score = cosine(to_canvas(features.mean(1), attention=True)[0], heat[:, 0])
    shifted = alignment_loss([features], heat, resize="canvas", shift=True)
    assert float(shifted) == pytest.approx(1 - float(score.mean()), abs=1e-5)
    assert float(alignment_loss([features], heat, resize="canvas")) != pytest.approx(float(shifted), abs=1e-3)


@pytest.mark.parametrize("kind", ["cosine", "log-barrier"])
@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@pytest.mark.parametrize("attention", [True, False])
def test_the_short_way_to_an_angle_is_the_long_one(kind: str, protocol: str, attention: bool) -> None:
    raw = torch.rand(3, 7, 7, requires_grad=True)
    heat, valid = torch.rand(3, 224, 224), torch.tensor([True, False, True])
    options = TruthOptions(protocol=protocol)
    short = Guide(loss=kind, truth_options=options)
    long = Guide(loss=lambda maps, heat: DISTANCES[kind](maps, heat), truth_options=options)
    values = [guide.align(raw, Truth(heat, valid), attention) for guide in (short, long)]
    slopes = [torch.autograd.grad(value, raw)[0] for value in values]
    torch.testing.assert_close(values[0], values[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(slopes[0], slopes[1], atol=1e-5, rtol=1e-3)


def test_log_barrier_is_continuous_and_grows_steeper() -> None:
    assert barrier_temperature(0) == 1
    assert barrier_temperature(1) == pytest.approx(1.01)
    assert barrier_temperature(1000) == 10
    t = 3.0
    heat = torch.tensor([[1.0, 0.0]])
    at = [math.acos(1 / t**2 + side) for side in (1e-5, -1e-5)]
    values = [float(log_barrier(torch.tensor([[math.cos(x), math.sin(x)]]), heat, t)) for x in at]
    assert values[0] == pytest.approx(values[1], abs=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"loss": "cosin"},
            "loss must be one of cosine, std-cosine, l1, l2, kl, log-barrier, got 'cosin'. "
            "Did you mean cosine or std-cosine?",
        ),
        ({"loss_resize": "x"}, "loss resize must be one of canvas, grid, got 'x'."),
        ({"weight": -1}, "weight must be at least 0, got -1."),
        ({"weight": float("nan")}, "weight must be at least 0, got nan."),
        ({"cam_weight": -1}, "cam weight must be at least 0, got -1."),
    ],
)
def test_wrong_choices_are_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(InterpferError) as raised:
        Guide(**values)
    assert str(raised.value) == message


def test_what_cannot_be_aligned_is_refused() -> None:
    with pytest.raises(
        InterpferError, match="map 'gradcam' cannot be aligned: it must be a map of a layer's activations alone"
    ):
        alignment_loss([torch.rand(1, 2, 4, 4)], torch.rand(1, 1, 8, 8), attention_map="gradcam")
    with pytest.raises(InterpferError, match="alignment_loss needs the features of at least one layer"):
        alignment_loss([], torch.rand(1, 1, 8, 8))


def test_heatmaps_and_features_may_have_any_of_the_usual_shapes(demo_points: torch.Tensor) -> None:
    features = torch.rand(3, 4, 7, 7)
    maps, valid = interpfer.au_heatmaps(demo_points[:3], ["happiness", "neutral", "anger"])
    assert valid.tolist() == [True, False, True]
    expected = alignment_loss([features[[0, 2]]], maps[[0, 2], None])
    for heat in ((maps, valid), maps, maps[:, None]):
        for given in (features, [features], (features,), {"last": features}):
            torch.testing.assert_close(alignment_loss(given, heat), expected)
    filled = maps.nan_to_num(0.5)
    torch.testing.assert_close(alignment_loss(features, (filled, valid)), expected)


def test_no_features_are_refused() -> None:
    for nothing in ([], {}):
        with pytest.raises(InterpferError, match="^alignment_loss needs the features of at least one layer.$"):
            alignment_loss(nothing, torch.ones(1, 2, 2))
