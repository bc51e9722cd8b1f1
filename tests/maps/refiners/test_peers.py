"""Refiners beside those of pytorch-grad-cam, torchcam and captum."""

import warnings
from collections.abc import Iterator

import pytest
import pytorch_grad_cam as peer
import torch
import torchcam.methods
from captum.attr import NoiseTunnel, Saliency
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import Tensor, nn

from interpfer.maps import MAPS
from interpfer.maps.canvas import resize
from interpfer.maps.capture import capture
from interpfer.maps.compute import compute_maps
from interpfer.maps.gradient import gradcam
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN

CLASSES = ["anger", "fear", "sadness"]
SIZE, N, TARGET = 48, 3, 1


@pytest.fixture(autouse=True)
def _third_party_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    built = SmallCNN(len(CLASSES), width=6).eval()
    built.head.weight.data *= 300  # gradients large against absolute epsilons of the peers
    return built


@pytest.fixture(scope="module")
def model(network: nn.Module) -> Model:
    return load_model(network, classes=CLASSES, input_size=SIZE)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def similarity(one: Tensor, other: Tensor) -> Tensor:
    return torch.cosine_similarity(one.double().flatten(1), other.double().flatten(1))


def test_flip3_is_aug_smooth(network: nn.Module, model: Model, images: Tensor) -> None:
    own = compute_maps(model, images, "gradcam.flip3", "stages.2", [TARGET] * N)["gradcam.flip3", "stages.2"]
    with peer.GradCAM(model=network, target_layers=[network.get_submodule("stages.2")]) as smoothed:
        targets = [ClassifierOutputTarget(TARGET)] * N
        expected = torch.from_numpy(smoothed(input_tensor=images, targets=targets, aug_smooth=True))
    assert (similarity(resize(own, SIZE), expected) > 0.999).all()


def test_eigen_is_eigen_smooth_up_to_its_sign(model: Model, images: Tensor) -> None:
    own = compute_maps(model, images, ["gradcam", "gradcam.eigen"], "stages.2", [TARGET] * N)
    captured = capture(model, model.preprocess(images), ["stages.2"], torch.full((N,), TARGET))
    values = captured.layers["stages.2"]
    assert gradcam.terms is not None
    terms = gradcam.terms(values)
    assert torch.allclose(terms.sum(1).relu(), own["gradcam", "stages.2"], atol=1e-6)
    projected = torch.from_numpy(get_2d_projection(terms.numpy()))
    refined = own["gradcam.eigen", "stages.2"]
    both = torch.stack([similarity(refined, sign * projected.clamp(0) if sign > 0 else (-projected).clamp(0))
                        for sign in (1, -1)])  # fmt: skip
    assert (both.amax(0) > 0.999).all()
    centred = own["gradcam", "stages.2"] - own["gradcam", "stages.2"].mean((1, 2), keepdim=True)
    chosen = torch.where(both[0] > both[1], 1, -1)
    assert ((centred * projected).sum((1, 2)) * chosen > 0).all()


@pytest.mark.parametrize(("name", "base"), [("layercam.layers", "LayerCAM"), ("RefineCAM", "GradCAMpp")])
def test_layers_is_refine_cam(network: nn.Module, model: Model, images: Tensor, name: str, base: str) -> None:
    """By its own name it is made of Grad-CAM++, as in torchcam, whose Grad-CAM++ lacks the division."""
    layers, name = ["stages.1", "stages.2", "stages.3"], MAPS.resolve(name) or ""
    ours = name.replace("gradcam++", "gradcam++compat")
    own = compute_maps(model, images, ours, layers, [TARGET] * N)[ours, "input"]
    options = {"input_shape": (3, SIZE, SIZE), "base_method": getattr(torchcam.methods, base)}
    expected = []
    for image in images:
        with torchcam.methods.RefineCAM(network, list(layers), **options) as extractor:
            scores = network(image[None].clone().requires_grad_())
            expected.append(extractor(TARGET, scores)[0])
    assert (similarity(own, torch.cat(expected)) > 0.999).all()


def test_noise8_of_a_linear_network_is_the_map_and_varies_not(images: Tensor) -> None:
    linear = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Flatten(), nn.Linear(3 * SIZE * SIZE, len(CLASSES)))
    model = load_model(linear, classes=CLASSES, input_size=SIZE)
    names = ["saliency", "saliency.noise8", "saliency.noise8-square", "saliency.noise8-var"]
    own = compute_maps(model, images, names, targets=[TARGET] * N)
    plain = own["saliency", "input"]
    assert torch.allclose(own["saliency.noise8", "input"], plain, rtol=1e-4)
    assert torch.allclose(own["saliency.noise8-square", "input"], plain.square(), rtol=1e-4)
    assert own["saliency.noise8-var", "input"].abs().max() < 1e-8 * plain.abs().max()
    tunnel, targets = NoiseTunnel(Saliency(lambda x: linear(x.clone()))), torch.full((N,), TARGET)
    smooth = tunnel.attribute(images, nt_type="smoothgrad", nt_samples=8, stdevs=0.15, target=targets, abs=True)
    assert (similarity(own["saliency.noise8", "input"], smooth.sum(1)) > 0.999).all()
    square = tunnel.attribute(images, nt_type="smoothgrad_sq", nt_samples=8, stdevs=0.15, target=targets, abs=True)
    assert (similarity(own["saliency.noise8-square", "input"], square.sqrt().sum(1).square()) > 0.999).all()


def test_noise8_averages_maps_of_noisy_pictures(model: Model, images: Tensor) -> None:
    """A slow plain restatement: eight calls, each of one noisy picture."""
    own = compute_maps(model, images, "gradcam.noise8-var", "stages.2", [TARGET] * N)["gradcam.noise8-var", "stages.2"]
    x, drawn = model.preprocess(images), []
    for field in range(4):
        noise = torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(field))
        for each in (noise, noise.flip(-1)):
            spread = x.amax((1, 2, 3), keepdim=True) - x.amin((1, 2, 3), keepdim=True)
            values = capture(model, x + 0.15 * spread * each, ["stages.2"], torch.full((N,), TARGET)).layers["stages.2"]
            drawn.append(gradcam(values))
    expected = torch.stack(drawn).square().mean(0) - torch.stack(drawn).mean(0).square()
    assert torch.allclose(own, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))
