"""The maps of the shared pass: formulas, head, sameness, targets, undefined maps, memory."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import interpfer.maps.compute
from interpfer.errors import ModelError, PluginError
from interpfer.maps import GROUPS, MAPS, named_maps, select_maps
from interpfer.maps.base import ONE_PASS, BaselineMap, LayerMap, ModelMap, layer_map
from interpfer.maps.batch_size import auto_batch_size, bytes_per_image
from interpfer.maps.canvas import to_canvas
from interpfer.maps.capture import LayerCapture, capture
from interpfer.maps.cf_cam import RANGE_SIGMA, SPATIAL_SIGMA, _bilateral
from interpfer.maps.compute import compute_maps
from interpfer.maps.engine import find_duplicates, run_maps
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.registry import Registry
from tests.oracles import map_engine as oracle

CLASSES = ["anger", "fear", "sadness", "surprise"]
SIZE = 32


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU(inplace=True))


class Net(nn.Module):
    """A convolutional classifier whose head pools and is linear, or is a convolution that is pooled."""

    def __init__(self, head: str = "linear") -> None:
        super().__init__()
        self.one, self.two, self.three = conv(3, 6, 2), conv(6, 8), conv(8, 10, 2)
        self.kind = head
        sizes = {"conv1": 1, "conv3": 3}
        self.head = nn.Conv2d(10, 4, sizes[head], padding=sizes[head] // 2) if head in sizes else nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.three(self.two(self.one(x)))
        if self.kind.startswith("conv"):
            return self.head(x).mean((2, 3))
        if self.kind == "max":
            return self.head(x.amax((2, 3)))
        return self.head(x.sum((2, 3)) if self.kind == "sum" else x.mean((2, 3)))


def make(head: str = "linear", seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return load_model(Net(head), classes=CLASSES, input_size=SIZE, layers=["one", "two", "three"])


def images(n: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


ORACLES = {
    "gradcam++compat": oracle.gradcam_compat,
    "xgradcam": oracle.xgradcam,
    "hirescam": oracle.hirescam,
    "gradcam-elementwise": oracle.gradcam_elementwise,
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("shape", [(5, 4, 4), (12, 3, 3), (2, 6, 5)])
def test_gradient_maps_are_their_plain_formulas(name: str, shape: tuple[int, int, int]) -> None:
    a, g = torch.randn(2, 2, *shape, generator=torch.Generator().manual_seed(1)).unbind()
    method = MAPS.get(name)
    assert isinstance(method, LayerMap)
    expected = [ORACLES[name](ai.double().numpy(), gi.double().numpy()) for ai, gi in zip(a, g, strict=True)]
    np.testing.assert_allclose(method(LayerCapture(a, g)), np.stack(expected), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 4, 4), (20, 3, 3), (2, 6, 5)])
def test_eigencam_is_the_svd_with_the_larger_extreme_positive(shape: tuple[int, int, int]) -> None:
    a, g = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(2)).unbind()
    kinds = {"eigencam": (a, False), "eigencam-centred": (a, True), "eigengradcam": (a * g, True)}
    for name, (features, centred) in kinds.items():
        method = MAPS.get(name)
        assert isinstance(method, LayerMap)
        for raw, one in zip(method(LayerCapture(a, g)), features, strict=True):
            signed = oracle.first_projection(one.double().numpy(), centred)
            expected = np.maximum(signed, 0) if centred else signed
            np.testing.assert_allclose(raw / raw.max(), expected / expected.max(), atol=1e-3)
            flipped = method(LayerCapture(-a, g))  # the sign of the features decides nothing
        assert torch.allclose(flipped, method(LayerCapture(a, g)), atol=1e-4)


def test_eigencam_of_activations_that_are_not_negative_is_not_negative() -> None:
    # of the raw matrix the first singular vector has one sign (Perron and Frobenius); centred, half the map is lost
    a = torch.randn(4, 20, 7, 7, generator=torch.Generator().manual_seed(0)).relu() + 0.01
    raw, centred = (MAPS.get(name).compute(LayerCapture(a, None)) for name in ("eigencam", "eigencam-centred"))
    assert (raw > 0).all()
    assert 0.3 < (centred == 0).float().mean() < 0.9


def test_attention_variants() -> None:
    a = torch.randn(2, 9, 3, 3)
    seen = LayerCapture(a, None, seeds=lambda: (1, 2))
    draw = {
        name: MAPS.get(name).compute(seen)
        for name in select_maps("all")
        if name.startswith("attention-") and name != "attention-rollout"
    }
    torch.testing.assert_close(draw["attention-first-half"], a[:, :4].mean(1))
    torch.testing.assert_close(draw["attention-fixed"], a[:, :4].mean(1))
    torch.testing.assert_close(draw["attention-second-half"], a[:, 4:].mean(1))
    for name in ("attention-random", "attention-random-half"):
        other = MAPS.get(name).compute(LayerCapture(a, None, seeds=lambda: (1, 3)))
        assert torch.equal(draw[name][0], other[0])
        assert not torch.equal(draw[name][1], other[1])


def test_attention_after_a_layer_norm_is_a_rounding_error_and_so_undefined() -> None:
    x = torch.nn.functional.layer_norm(torch.randn(2, 4, 4, 48), (48,)).permute(0, 3, 1, 2)
    whole = x + torch.tensor([0.0, 1e-4]).view(2, 1, 1, 1)
    raw = MAPS.get("attention").compute(LayerCapture(whole, None))
    assert raw[0].isnan().all()
    torch.testing.assert_close(raw[1], whole[1].mean(0))
    zero = MAPS.get("attention").compute(LayerCapture(torch.zeros(1, 3, 2, 2), None))
    assert (zero == 0).all()


def _chosen(name: str, n: int = 400, channels: int = 12) -> torch.Tensor:
    """Return which of the channels a map averages in each image: channel k is 1 at position k alone."""
    a = torch.eye(channels).reshape(channels, 3, 4).expand(n, -1, -1, -1)
    raw = MAPS.get(name).compute(LayerCapture(a, None, seeds=lambda: tuple(range(n)))).flatten(1)
    torch.testing.assert_close(raw.sum(1)[(raw > 0).any(1)], torch.ones(int((raw > 0).any(1).sum())))
    return raw > 0


def test_attention_random_keeps_each_channel_by_chance_and_random_half_exactly_half() -> None:
    bernoulli, half = _chosen("attention-random"), _chosen("attention-random-half")
    assert (half.sum(1) == 6).all()
    counts = bernoulli.sum(1).float()
    assert counts.mean().item() == pytest.approx(6, abs=0.3)
    assert counts.var().item() == pytest.approx(3, abs=0.7)  # binomial: 12 x 0.5 x 0.5
    for chosen in (bernoulli, half):
        np.testing.assert_allclose(chosen.float().mean(0), 0.5, atol=0.1)
    same = _chosen("attention-same-half", 5)
    assert (same == same[0]).all()
    assert same[0].sum() == 6
    assert not same[0, :6].all()


def test_attention_random_without_a_channel_is_zero_and_so_undefined() -> None:
    one = LayerCapture(torch.rand(20, 1, 3, 3), None, seeds=lambda: tuple(range(20)))
    raw = MAPS.get("attention-random").compute(one)
    empty = (raw == 0).flatten(1).all(1)
    assert 0 < empty.sum() < 20
    assert torch.equal(raw[~empty], one.activation[~empty, 0])


@pytest.mark.parametrize("head", ["linear", "sum", "conv1", "conv3"])
def test_cam_adds_up_to_the_logit_without_its_bias(head: str) -> None:
    model = make(head)
    shown = run_maps(model, model.preprocess(images()), {"cam": MAPS.get("cam")}, ["three"], torch.tensor([2, 0, -1]))
    raw, bias = shown.maps["cam", "three"], model.module.head.bias.detach()
    torch.testing.assert_close(raw[:2].sum((1, 2)), shown.logits[[0, 1], [2, 0]] - bias[[2, 0]])
    assert raw[2].isnan().all()  # no target


def test_cam_is_the_weighted_sum_of_channels() -> None:
    model = make()
    raw = compute_maps(model, images(), ["cam"], targets=[1, 1, 1])["cam", "three"]
    with torch.no_grad():
        a = capture(model, model.preprocess(images()), ["three"], gradients=False).layers["three"].activation
    weight = model.module.head.weight[1].detach().double().numpy()
    np.testing.assert_allclose(raw[0], oracle.cam(a[0].double().numpy(), weight), atol=1e-6)


@pytest.mark.parametrize(("head", "layer"), [("linear", "two"), ("max", "three")])
def test_cam_is_refused_with_a_reason_where_no_linear_head_follows(head: str, layer: str) -> None:
    with pytest.raises(ModelError, match="map 'cam' cannot be computed for model Net at .* needs a head of pooling"):
        compute_maps(make(head), images(), ["cam"], layers=[layer])
    assert ("cam", layer) not in compute_maps(make(head), images(), "all", layers=[layer])


def test_maps_of_a_pooled_linear_head_are_identical_and_marked() -> None:
    # trap: on GAP + linear ReLU(cam) = gradcam = hirescam = xgradcam, and a table would count four methods
    maps = compute_maps(make(seed=2), images(), "all", layers=["two", "three"])
    torch.testing.assert_close(maps["cam", "three"].relu(), maps["gradcam", "three"], atol=1e-6, rtol=1e-4)
    same = find_duplicates(maps)
    assert same["hirescam", "three"] == same["xgradcam", "three"] == ("gradcam", "three")
    assert same["gradcam-elementwise", "two"] == ("layercam", "two")  # activations are not negative
    assert ("hirescam", "two") not in same


def test_undefined_maps_are_no_evidence_of_sameness() -> None:
    one = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    nothing = torch.full_like(one, torch.nan)
    assert find_duplicates({("a", "l"): nothing, ("b", "l"): nothing, ("c", "l"): one, ("d", "m"): one}) == {}
    part = one.clone()
    part[1] = torch.nan
    assert find_duplicates({("a", "l"): part, ("b", "l"): part.clone()}) == {("b", "l"): ("a", "l")}


def test_cf_cam_filter_is_the_plain_double_loop() -> None:
    picture = torch.randn(4, 5)
    expected = oracle.bilateral_mean(picture.double().numpy(), SPATIAL_SIGMA, RANGE_SIGMA)
    assert _bilateral(picture).mean().item() == pytest.approx(expected, abs=1e-5)


def test_cf_cam_weights_are_not_uniform() -> None:
    # trap: the paper's softmax over raw pooled gradients is uniform to 0.1 %
    a, g = torch.rand(2, 1, 16, 4, 4, generator=torch.Generator().manual_seed(3)).unbind()
    method = MAPS.get("cf-cam")
    raw, scaled = method.compute(LayerCapture(a, g - 0.5)), method.compute(LayerCapture(a, (g - 0.5) * 1e-6))
    torch.testing.assert_close(raw, scaled, rtol=1e-4, atol=1e-5)
    loud = a[0].flatten(1).norm(dim=1) >= a[0].flatten(1).norm(dim=1).quantile(0.75)
    assert (raw[0] - a[0][loud].mean(0)).abs().max() > 0.01


def test_results_do_not_depend_on_the_batch() -> None:
    model, pictures = make(), images(5)
    together = compute_maps(model, pictures, "all", layers="all", batch_size=5)
    alone = compute_maps(model, pictures, "all", layers="all", batch_size=1)
    assert together.keys() == alone.keys()
    for key, raw in together.items():
        torch.testing.assert_close(raw, alone[key], rtol=1e-3, atol=1e-5 * float(raw.abs().max()))


def test_more_images_than_targets_is_an_error_and_no_map_of_zeros() -> None:
    # trap: pytorch-grad-cam's maps of images without a target are silently zero
    with pytest.raises(ModelError, match="2 targets for 3 images"):
        compute_maps(make(), images(3), ["gradcam"], targets=["fear", "anger"])


def test_targets_by_name_by_index_predicted_and_all() -> None:
    model, pictures = make(), images()
    every = compute_maps(model, pictures, ["gradcam", "attention", "saliency"], layers="all", targets="all")
    assert every["gradcam", "two"].shape == (3, 4, 16, 16)
    assert every["attention", "two"].shape == (3, 4, 16, 16)
    for index, name in enumerate(CLASSES):
        one = compute_maps(model, pictures, ["gradcam", "saliency"], layers="all", targets=name)
        for key, raw in one.items():
            torch.testing.assert_close(every[key][:, index], raw)
    predicted = model.logits(model.preprocess(pictures)).argmax(1)
    default, explicit = (compute_maps(model, pictures, ["layercam"], targets=t) for t in (None, predicted))
    torch.testing.assert_close(default["layercam", "three"], explicit["layercam", "three"])
    with pytest.raises(ModelError, match="has no class 'contempt'"):
        compute_maps(model, pictures, ["gradcam"], targets="contempt")
    with pytest.raises(ModelError, match="target must be between -1 and 3 for model Net, got 7"):
        compute_maps(model, pictures, ["gradcam"], targets=[7, 0, 0])


def test_all_classes_cost_one_forward_and_a_backward_each() -> None:
    model = make()
    passes = {"forward": 0, "backward": 0}

    def count(_: nn.Module, __: object, output: Tensor) -> None:
        passes["forward"] += 1
        if output.requires_grad:
            output.register_hook(lambda _: passes.update(backward=passes["backward"] + 1))

    model.layers("all")  # finding layers looks at the network, too
    model.module.head.register_forward_hook(count)
    compute_maps(model, images(), ["gradcam", "layercam", "attention", "cam"], "all", "all", batch_size=3)
    assert passes == {"forward": 1, "backward": 4}


@pytest.mark.parametrize("bad", [0.0, 1.0, torch.nan, torch.inf])
def test_undefined_maps_are_nan_in_every_family(bad: float) -> None:
    a = torch.full((2, 4, 3, 3), bad)
    a[1] = torch.rand(4, 3, 3)
    g = torch.rand(2, 4, 3, 3)
    g[0] = bad
    for name in select_maps("all"):
        method = MAPS.get(name)
        if isinstance(method, LayerMap) and name != "cam":
            seen = LayerCapture(a, g, seeds=lambda: (1, 2))
            large, defined = to_canvas(method(seen), method.attention)
            expected = [False, True]
            assert defined.tolist() == expected, name
            assert large.isnan().all(2).all(1).tolist() == [not value for value in expected], name


def test_a_face_without_a_target_has_no_map() -> None:
    maps = compute_maps(make(), images(2), ["gradcam", "saliency", "occlusion"], targets=[-1, 1])
    for (name, _), raw in maps.items():
        assert to_canvas(raw, MAPS.get(name).attention)[1].tolist() == [False, True]


def test_memory_is_bounded_and_batches_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    graph, plain = (bytes_per_image(model, ["one", "two", "three"], gradients) for gradients in (True, False))
    floats = 6 * 256 + 8 * 256 + 10 * 64
    assert graph > plain > 4 * floats
    assert graph < 4 * 20 * floats
    import interpfer.maps.batch_size as memory

    monkeypatch.setattr(memory, "free_memory", lambda _: int(3.5 * graph / memory.SHARE))
    assert auto_batch_size(model, ["one", "two", "three"], True, 20) == 3
    monkeypatch.setattr(memory, "free_memory", lambda _: 0)
    assert auto_batch_size(model, ["one"], True, 20) == 1
    maps = compute_maps(model, images(12), ["gradcam"], layers="all")
    assert maps["gradcam", "one"].shape[0] == 12


def test_a_package_adds_a_map_by_one_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    added = {"mine": f"{__name__}:loudest", "broken": "no.such:map"}
    plugins = Registry("map", "interpfer.maps", {**MAPS.builtin, **added})
    monkeypatch.setattr(interpfer.maps, "MAPS", plugins)
    monkeypatch.setattr(interpfer.maps.compute, "MAPS", plugins)
    monkeypatch.setattr(plugins, "origin", lambda name: "elsewhere" if name in added else "interpfer")
    maps = compute_maps(make(), images(), "all")
    assert ("mine", "three") in maps
    assert torch.equal(maps["mine", "three"].amax((1, 2)) > 0, torch.tensor([True] * 3))
    with pytest.raises(PluginError, match="map 'broken' .* No module named 'no'"):
        compute_maps(make(), images(), "broken")


@layer_map(source="a test")
def loudest(layer: LayerCapture) -> Tensor:
    """Largest channel."""
    return layer.activation.amax(1)


def test_groups_and_facts() -> None:
    quick, everything = select_maps("all"), select_maps("everything")
    assert set(quick) < set(everything) == set(MAPS)
    for name in MAPS:
        method = MAPS.get(name)
        assert (name in quick) == (method.cost == ONE_PASS)
        assert method.summary.endswith(".") or ";" in method.summary, name
        assert method.source
        assert method.provider in {"interpfer", "pytorch-grad-cam", "captum"}
        assert isinstance(method, LayerMap | ModelMap | BaselineMap)
        assert not (isinstance(method, LayerMap) and method.gradient and not method.class_specific)
    assert set(GROUPS) == {"all", "everything", "baselines"}
    assert named_maps("all, cam") == {"cam"}
    with pytest.raises(PluginError, match="Did you mean hirescam"):
        select_maps("hirecam")
