"""Maps with refiners, computed with the others: names, passes, classes, layers, transformers, baselines."""

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError, PluginError
from interpfer.maps import MAPS, REFINERS, select_maps
from interpfer.maps.base import MANY_PASSES, ONE_PASS, BaselineContext, BaselineMap
from interpfer.maps.capture import capture
from interpfer.maps.compute import compute_maps
from interpfer.maps.engine import run_maps
from interpfer.maps.gradient import gradcam, layercam
from interpfer.maps.refined import control_names, with_controls
from interpfer.maps.refiners.affinity import mean_attention, spread
from interpfer.maps.refiners.base import Seen, unit
from interpfer.maps.refiners.contrast import less_projection, surgery
from interpfer.maps.refiners.layers import product_of_layers
from interpfer.maps.refiners.rank_gaussian import rank_filter
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN

CLASSES = ["anger", "fear", "sadness", "surprise"]
SIZE, N = 48, 3
LAYERS = ["stages.1", "stages.2", "stages.3"]
TARGETS = [1, 0, 3]


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    network = SmallCNN(len(CLASSES), width=6)
    network.head.weight.data *= 20
    return load_model(network, classes=CLASSES, input_size=SIZE)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def vit() -> Model:
    torch.manual_seed(0)
    small = {"img_size": SIZE, "patch_size": 12, "depth": 3, "embed_dim": 32, "num_heads": 2, "num_classes": 4}
    network = timm.create_model("vit_tiny_patch16_224", **small)
    for block in network.blocks:
        block.attn.qkv.weight.data *= 20  # attention that is not uniform
    return load_model(network, classes=CLASSES, input_size=SIZE)


def class_maps(model: Model, x: Tensor, layer: str, method: Callable[..., Tensor]) -> Tensor:
    """Return the maps of all classes, each from its own forward and backward."""
    of_class = []
    for index in range(len(CLASSES)):
        values = capture(model, x, [layer], torch.full((len(x),), index)).layers[layer]
        of_class.append(method(values))
    return torch.stack(of_class, 1)


def contrasted(model: Model, x: Tensor, layer: str, method: Callable[..., Tensor]) -> Tensor:
    maps, rows = class_maps(model, x, layer, method), torch.arange(N)
    weights = model.probabilities(model.predict_logits(x)).clone()
    weights[rows, TARGETS] = 0
    weights = weights / weights.sum(1, keepdim=True)
    return less_projection(maps[rows, TARGETS], torch.einsum("nk,nkhw->nhw", weights, maps))


@pytest.mark.parametrize("layer", ["stages.2", "stages.3"])
def test_contrast_takes_the_maps_of_the_other_classes(model: Model, images: Tensor, layer: str) -> None:
    """At stages.3 a linear head follows, so that the gradients of all classes are known without a backward."""
    x, names = model.preprocess(images), ["gradcam.contrast", "layercam.contrast", "gradcam.contrast-surgery"]
    found = compute_maps(model, images, names, layer, TARGETS)
    for method, name in ((gradcam, "gradcam.contrast"), (layercam, "layercam.contrast")):
        expected = contrasted(model, x, layer, method)
        assert torch.allclose(found[name, layer], expected, atol=1e-5 * float(expected.max()))
    expected = surgery(class_maps(model, x, layer, gradcam), model.predict_logits(x))[torch.arange(N), TARGETS]
    size = float(expected.abs().max())
    assert torch.allclose(found["gradcam.contrast-surgery", layer], expected, atol=1e-5 * size)


def count_passes(model: Model, run: Callable[[], object]) -> tuple[int, int]:
    forwards: list[int] = []
    backwards: list[int] = []

    def count(_: nn.Module, __: object, output: Tensor) -> None:
        forwards.append(1)
        if output.requires_grad:
            output.register_hook(lambda _: backwards.append(1))

    handle = model.module.register_forward_hook(count)
    run()
    handle.remove()
    return len(forwards), len(backwards)


@pytest.mark.parametrize(
    ("names", "layers", "passes"),
    [
        (["gradcam", "attention.blur", "layercam.layers", "gradcam.eigen", "gradcam.blur.par"], LAYERS, (1, 1)),
        (["gradcam.contrast", "layercam.contrast.blur", "cam.contrast"], ["stages.3"], (1, 1)),
        (["cam.contrast", "attention.best-layer"], LAYERS, (1, 0)),
        (["gradcam.contrast", "layercam.contrast"], LAYERS, (1, 1 + len(CLASSES))),
        (["gradcam.flip", "layercam.flip", "attention.flip3"], LAYERS, (6, 2)),
        (["attention.noise8", "attention.noise8-var"], LAYERS, (9, 0)),
    ],
)  # fmt: skip
def test_passes_are_shared(
    model: Model, images: Tensor, names: list[str], layers: list[str], passes: tuple[int, int]
) -> None:
    methods, x = {name: MAPS.get(name) for name in names}, model.preprocess(images)
    assert count_passes(model, lambda: run_maps(model, x, methods, layers)) == passes


def test_refiners_are_applied_from_the_left(model: Model, images: Tensor) -> None:
    names = ["gradcam", "gradcam.rank-gaussian", "gradcam.rank-gaussian.flip.layers", "gradcam.contrast.rank-gaussian"]
    found = compute_maps(model, images, names, LAYERS, TARGETS)
    mirrored = compute_maps(model, images.flip(-1), "gradcam", LAYERS, TARGETS)
    averaged = []
    for layer in LAYERS:
        own = rank_filter(found["gradcam", layer])
        assert torch.allclose(found["gradcam.rank-gaussian", layer], own)
        averaged.append((unit(own) + unit(rank_filter(mirrored["gradcam", layer]).flip(-1))) / 2)
    expected = product_of_layers(averaged)
    assert torch.allclose(found["gradcam.rank-gaussian.flip.layers", "input"], expected, atol=1e-4)
    x = model.preprocess(images)
    expected = rank_filter(contrasted(model, x, "stages.2", gradcam))
    own = found["gradcam.contrast.rank-gaussian", "stages.2"]
    assert torch.allclose(own, expected, atol=1e-4 * float(expected.max()))


def test_other_classes_are_refined_before_the_contrast(model: Model, images: Tensor) -> None:
    name = "gradcam.rank-gaussian.contrast"
    found = compute_maps(model, images, name, "stages.2", TARGETS)[name, "stages.2"]
    expected = contrasted(model, model.preprocess(images), "stages.2", lambda values: rank_filter(gradcam(values)))
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize("names", [[f"gradcam.{name}" for name in REFINERS if not name.startswith("affinity")]])
def test_refined_maps_depend_on_their_image_alone(model: Model, images: Tensor, names: list[str]) -> None:
    layers = LAYERS[1:]
    together = compute_maps(model, images[:2], names, layers, TARGETS[:2])
    alone = compute_maps(model, images[1:2], names, layers, TARGETS[1:2])
    assert len(together) == 2 * (len(names) - 2) + 2
    for key, maps in together.items():
        assert maps.isfinite().all(), key
        assert torch.allclose(maps[1:], alone[key], atol=1e-4 * float(maps.abs().max())), key


def test_a_face_without_a_target_has_no_refined_map(model: Model, images: Tensor) -> None:
    names = ["gradcam.contrast", "gradcam.contrast-surgery", "gradcam.blur", "gradcam.flip", "attention.blur"]
    found = compute_maps(model, images, names, "stages.3", [1, -1, 0])
    for name in names:
        is_undefined = found[name, "stages.3"].isnan().flatten(1).all(1).tolist()
        assert is_undefined == [False, name != "attention.blur", False], name


def test_all_classes_are_refined_each(model: Model, images: Tensor) -> None:
    names = ["gradcam.contrast", "layercam.flip", "attention.blur", "gradcam.layers"]
    together = compute_maps(model, images, names, LAYERS, "all")
    for index in (0, 2):
        one = compute_maps(model, images, names, LAYERS, [index] * N)
        for key, maps in one.items():
            assert torch.allclose(together[key][:, index], maps, atol=1e-5 * float(maps.abs().max())), key


@pytest.mark.parametrize("layer", ["last"])
def test_affinity_takes_the_attention_of_the_pass(vit: Model, images: Tensor, layer: str) -> None:
    names = ["gradcam", "gradcam.affinity", "gradcam.affinity-qkv", "layercam.affinity.flip"]
    found = compute_maps(vit, images, names, layer, TARGETS)
    last = vit.layers(layer)[0]
    recorded: list[Tensor] = []
    blocks = vit.module.get_submodule("blocks")
    handles = []
    for block in blocks.children():
        attn = block.get_submodule("attn")

        def record(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            tokens = inputs[0]
            q, k, _ = module.get_submodule("qkv")(tokens).reshape(N, 17, 3, 2, 16).permute(2, 0, 3, 1, 4)
            recorded.append((q @ k.mT / 4).softmax(-1))

        handles.append(attn.register_forward_hook(record))
    vit.predict_logits(images)
    for handle in handles:
        handle.remove()
    expected = spread(found["gradcam", last], mean_attention(recorded, 16))
    assert torch.allclose(found["gradcam.affinity", last], expected, atol=1e-5 * float(expected.max()))
    assert not torch.allclose(found["gradcam.affinity-qkv", last], expected, atol=1e-3 * float(expected.max()))
    assert found["gradcam.affinity-qkv", last].isfinite().all()


def test_attention_is_kept_beside_a_contrast(vit: Model, images: Tensor) -> None:
    names = ["gradcam.affinity", "gradcam.contrast", "gradcam.affinity-qkv.contrast"]
    together = compute_maps(vit, images, names, "last", TARGETS)
    for key, maps in together.items():
        alone = compute_maps(vit, images, key[0], "last", TARGETS)[key]
        assert maps.isfinite().all()
        assert torch.allclose(maps, alone, atol=1e-5 * float(maps.max())), key


def test_maps_of_attention_are_contrasted(images: Tensor) -> None:
    torch.manual_seed(0)
    small = {"img_size": SIZE, "patch_size": 12, "depth": 2, "embed_dim": 32, "num_heads": 2, "num_classes": 4}
    fresh = load_model(timm.create_model("vit_tiny_patch16_224", **small), classes=CLASSES, input_size=SIZE)
    key = ("gradient-attention", "input")
    of_classes = compute_maps(fresh, images, key[0], "last", "all")[key]
    name = f"{key[0]}.contrast-surgery"
    own = compute_maps(fresh, images, [name, "gradcam.affinity"], "last", TARGETS)[name, "input"]
    expected = surgery(of_classes, fresh.predict_logits(images))[torch.arange(N), TARGETS]
    assert torch.allclose(own, expected, atol=1e-5 * float(expected.abs().max()))


def test_affinity_needs_a_transformer(model: Model, images: Tensor) -> None:
    with pytest.raises(ModelError, match=r"gradcam\.affinity.*refiner affinity needs a transformer whose attention"):
        compute_maps(model, images, "gradcam.affinity", "last")


def test_scales_needs_a_network_of_any_size(vit: Model, images: Tensor) -> None:
    with pytest.raises(ModelError, match="the network does not run on the picture 'size times 0.5'"):
        compute_maps(vit, images, "gradcam.scales", "last")


def test_layers_needs_two_layers(model: Model, images: Tensor) -> None:
    with pytest.raises(ModelError, match=r"gradcam\.layers joins layers, and gradcam has 1: pass --layers all"):
        compute_maps(model, images, "gradcam.layers", "last")
    with pytest.raises(ModelError, match=r"cam\.layers joins layers, and cam has 1 \(cam needs a head"):
        compute_maps(model, images, "cam.layers", "all")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gradcam.contrst", r"unknown refiner 'contrst' in 'gradcam\.contrst'\. Did you mean contrast"),
        ("gradcam.flip.nois8", r"unknown refiner 'nois8' in 'gradcam\.flip\.nois8'\. Did you mean noise8"),
        ("grdcam.flip", r"unknown map or group of maps 'grdcam\.flip'\. Did you mean gradcam"),
        ("all.flip", r"'all\.flip': refiners are applied to maps, and all is a group; name the maps"),
        ("attention.contrast", "by refiner contrast: attention is the same for every class"),
        ("gradcam.contrast.contrast-surgery", "by refiner contrast-surgery: a map is contrasted once"),
        ("rise.layers", "by refiner layers: rise is no map of a layer"),
        ("gradcam.layers.best-layer", "by refiner best-layer: its layers are joined already"),
        ("eigencam.eigen", "by refiner eigen: the summands of eigencam are not known"),
        ("gradcam.layers.eigen", "by refiner eigen: its layers are joined already"),
        ("baseline:random.contrast", "refiner contrast needs the network; a baseline has none"),
        ("baseline:mean-au.blur", "baseline:mean-au is the truth, which no refiner sees"),
    ],
)
def test_names_that_are_no_map_are_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        MAPS.get(select_maps(name)[0])


def test_names_are_found_as_papers_write_them() -> None:
    assert select_maps("Grad-CAM++.Rank_Gaussian, attention map.BLUR") == (
        "gradcam++.rank-gaussian",
        "attention.blur",
    )
    assert select_maps("rise-50.blur") == ("rise-50.blur",)
    assert not any("." in name for name in select_maps("everything"))


def test_facts_of_a_refined_map() -> None:
    method = MAPS.get("gradcam.flip.rank-gaussian")
    assert (method.cost, method.gradient, method.class_specific, method.needs) == (
        MANY_PASSES,
        True,
        True,
        "backward, 1 more",
    )
    assert "1610.02391" in method.source
    assert "TAM" in method.source
    costs = {name: MAPS.get(name).cost for name in ("gradcam.blur", "cam.contrast", "gradcam.contrast")}
    assert costs == {"gradcam.blur": ONE_PASS, "cam.contrast": ONE_PASS, "gradcam.contrast": MANY_PASSES}
    assert MAPS.origin("gradcam.blur") == "interpfer"


def test_controls_are_the_same_refiners_on_baselines() -> None:
    names = ["gradcam.blur", "layercam.blur", "gradcam.contrast.blur", "attention.layers.flip", "baseline:random.par"]
    assert control_names(names) == (
        "baseline:random",
        "baseline:uniform",
        "baseline:random.blur",
        "baseline:uniform.blur",
        "baseline:random.layers.flip",
        "baseline:uniform.layers.flip",
    )
    assert with_controls(["attention", "gradcam"]) == ("attention", "gradcam")


def test_refined_baselines_begin_with_the_baseline(model: Model, images: Tensor) -> None:
    names = ["baseline:random.blur", "baseline:uniform.flip", "baseline:random.rank-gaussian", "baseline:random.flip"]
    methods = {name: MAPS.get(name) for name in names}
    results = run_maps(model, model.preprocess(images), methods, LAYERS, None, 5, rows=(4, 7, 9))
    random = MAPS.get("baseline:random")
    assert isinstance(random, BaselineMap)
    grid = model.layer("stages.3").grid[0]
    plain = random.compute(BaselineContext(torch.zeros(N, grid, grid), None, None, (4, 7, 9), 5))
    seen = Seen(images, torch.zeros(N, 2), torch.full((N, 2), 0.5), torch.zeros(N, dtype=torch.long))
    for name in ("blur", "rank-gaussian"):
        expected = REFINERS.get(name)(plain, seen)
        assert torch.allclose(results.maps[f"baseline:random.{name}", "-"], expected, atol=1e-6)
    symmetric = results.maps["baseline:random.flip", "-"]
    assert torch.allclose(symmetric, (unit(plain) + unit(plain).flip(-1)) / 2, atol=1e-6)
    assert torch.equal(results.maps["baseline:uniform.flip", "-"], torch.ones(N, grid, grid))


def test_maps_that_run_the_model_are_refined_too(model: Model, images: Tensor) -> None:
    names = ["saliency", "saliency.flip", "rise-20.blur", "attention.blur"]
    found = compute_maps(model, images, names, "last", TARGETS)
    mirrored = compute_maps(model, images.flip(-1), "saliency", "last", TARGETS)["saliency", "input"]
    expected = (unit(found["saliency", "input"]) + unit(mirrored.flip(-1))) / 2
    assert torch.allclose(found["saliency.flip", "input"], expected, atol=1e-4)
    assert found["rise-20.blur", "input"].isfinite().all()
