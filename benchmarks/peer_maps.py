"""Maps of pytorch-grad-cam, torchcam and captum as they compute them, and plain restatements of papers.

Each peer is a function from a ``Subject`` to (n, gh, gw) maps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import captum.attr
import numpy as np
import pytorch_grad_cam
import torch
import torch.nn.functional as F
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from skimage.transform import resize
from sklearn.cluster import DBSCAN
from torch import Tensor, nn

from interpfer.maps.capture import LayerCapture, capture
from interpfer.maps.gradcam_provider import Logits
from interpfer.models.model import Model


@dataclass(frozen=True)
class Subject:
    """What a map is computed of.

    Attributes:
        model: the classifier.
        x: (n, c, s, s) prepared input.
        layer: name of a layer.
        targets: (n,) class per face.
    """

    model: Model
    x: Tensor
    layer: str
    targets: Tensor

    @property
    def module(self) -> nn.Module:
        """The module of the layer."""
        return self.model.module.get_submodule(self.layer)

    def capture(self) -> LayerCapture:
        """Return activation and gradient of the layer."""
        return capture(self.model, self.x, [self.layer], self.targets).layers[self.layer]


Peer = Callable[[Subject], Tensor]


def grad_cam(name: str, subject: Subject) -> Tensor:
    """A class of pytorch-grad-cam, face by face, not enlarged."""
    network, maps = Logits(subject.model), []
    for x, target in zip(subject.x, subject.targets.tolist(), strict=True):
        if name == "FullGrad":
            extractor, grid = pytorch_grad_cam.FullGrad(network, []), tuple(x.shape[-2:])
        else:
            grid = subject.model.layer(subject.layer).grid
            extractor = getattr(pytorch_grad_cam, name)(network, [subject.module])
        base = getattr(extractor, "base_cam", extractor)
        base.get_target_width_height = lambda _, grid=grid: grid[::-1]
        picture = x[None].clone().requires_grad_()
        with torch.enable_grad():
            if name == "FinerCAM":
                maps.append(extractor(picture, None, target_idx=target))
            else:
                maps.append(extractor(picture, [ClassifierOutputTarget(target)]))
        base.activations_and_grads.release()
    return torch.from_numpy(np.concatenate(maps).astype(np.float32))


def torch_cam(name: str, subject: Subject, **options: Any) -> Tensor:
    """A class of torchcam, face by face."""
    maps = []
    for x, target in zip(subject.x, subject.targets.tolist(), strict=True):
        torch.manual_seed(0)
        made = getattr(torchcam.methods, name)
        network = Logits(subject.model).eval()
        with made(network, subject.module, input_shape=tuple(x.shape), **options) as cam:
            scores = network(x[None].clone().requires_grad_())
            maps.append(cam([target], scores)[0].detach().reshape(1, *subject.model.layer(subject.layer).grid))
    return torch.cat(maps)


def layer_gradcam(subject: Subject) -> Tensor:
    """Captum's LayerGradCam with the ReLU of the paper."""
    method = captum.attr.LayerGradCam(Logits(subject.model), subject.module)
    return method.attribute(subject.x, subject.targets)[:, 0].detach().relu()


def attribution(name: str, subject: Subject, **options: Any) -> Tensor:
    """An attribution of captum: absolute, summed over the channels."""
    method = getattr(captum.attr, name)
    network = Logits(subject.model)
    made = method(network, subject.module) if name == "GuidedGradCam" else method(network)
    x = subject.x.clone().requires_grad_()
    return made.attribute(x, target=subject.targets, **options).detach().abs().sum(1)


def occlusion(subject: Subject) -> Tensor:
    """Captum's Occlusion with the same windows: the mean of all windows that cover a pixel, per cell of 14 x 14."""
    n, channels, size, _ = subject.x.shape
    step, window = max(size // 14, 1), max(round(size * 3 / 14), 1)
    grey = subject.x.mean((2, 3), keepdim=True).expand_as(subject.x)
    with torch.no_grad():
        drawn = captum.attr.Occlusion(Logits(subject.model)).attribute(
            subject.x, (channels, window, window), (channels, step, step), grey, target=subject.targets
        )
    return F.adaptive_avg_pool2d(drawn.sum(1, keepdim=True), 14)[:, 0]


def input_gradient(times_input: bool, subject: Subject) -> Tensor:
    """Plain autograd."""
    x = subject.x.clone().requires_grad_()
    logits = subject.model.logits(x).gather(1, subject.targets[:, None])
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    return (gradient * x if times_input else gradient).detach().abs().sum(1)


def eigen_signed(times_gradient: bool, subject: Subject) -> Tensor:
    """The projection of pytorch-grad-cam with the sign that makes the larger extreme positive, then its ReLU."""
    seen = subject.capture()
    projected = torch.from_numpy(get_2d_projection((seen.product if times_gradient else seen.activation).numpy()))
    low, high = projected.amin((1, 2), keepdim=True), projected.amax((1, 2), keepdim=True)
    return (projected * torch.where(-low > high, -1, 1)).relu()


def ablation_paper(subject: Subject) -> Tensor:
    """Channels weighted by the fall of the logit when they are set to 0, one at a time."""
    activation, falls = subject.capture().activation, []
    rows = torch.arange(len(subject.x))
    with torch.no_grad():
        whole = subject.model.logits(subject.x)[rows, subject.targets]
        for channel in range(activation.shape[1]):
            keep = torch.ones(activation.shape[1])
            keep[channel] = 0
            handle = subject.module.register_forward_hook(lambda _, __, out, keep=keep: out * keep[:, None, None])
            falls.append(whole - subject.model.logits(subject.x)[rows, subject.targets])
            handle.remove()
    return torch.einsum("cn,nchw->nhw", torch.stack(falls), activation).relu()


def eigen_paper(subject: Subject) -> Tensor:
    """Muhammad and Yeasin 2020: O V_1 of numpy's SVD, the sign that makes the larger extreme positive."""
    maps = []
    for activation in subject.capture().activation:
        matrix = activation.flatten(1).T.double().numpy()
        projected = matrix @ np.linalg.svd(matrix, full_matrices=False)[2][0]
        projected = -projected if -projected.min() > projected.max() else projected
        maps.append(torch.from_numpy(projected).reshape(activation.shape[1:]))
    return torch.stack(maps)


def rise_paper(masks: int, subject: Subject) -> Tensor:
    """The code of Petsiuk et al. 2018, with masks of other random numbers than ours."""
    chance, size = np.random.default_rng(1), subject.x.shape[-1]
    cell = int(np.ceil(size / 7))
    total = torch.zeros(len(subject.x), size, size)
    for _ in range(masks // 50):
        drawn = []
        for _ in range(50):
            large = resize(
                (chance.random((7, 7)) < 0.5).astype(float), (8 * cell, 8 * cell), order=1, mode="reflect",
                anti_aliasing=False,
            )  # fmt: skip
            row, column = chance.integers(0, cell, 2)
            drawn.append(large[row : row + size, column : column + size])
        chosen = torch.from_numpy(np.stack(drawn)).float()
        for face, target in enumerate(subject.targets.tolist()):
            with torch.no_grad():
                logits = subject.model.logits(subject.x[face] * chosen[:, None])
                scores = subject.model.probabilities(logits)[:, target]
            total[face] += torch.einsum("m,mhw->hw", scores, chosen)
    return total / (masks // 50 * 50) / 0.5


def cf_cam_paper(subject: Subject) -> Tensor:
    """CF-CAM as its paper writes it: raw gradients in the filter and in the softmax."""
    seen = subject.capture()
    assert seen.gradient is not None
    return torch.stack([_cf_cam(a, g) for a, g in zip(seen.activation, seen.gradient, strict=True)])


def _cf_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    size = activation.flatten(1).norm(dim=1)
    dominant = size >= size.quantile(0.75)
    maps, weights = [*activation[dominant]], [*gradient[dominant].mean((1, 2))]
    others, slopes = activation[~dominant], gradient[~dominant]
    points = others.flatten(1).double().numpy()
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    eps = np.quantile(distances[np.triu_indices(len(points), 1)], 0.25)
    fitted = DBSCAN(eps=max(eps, 1e-12), min_samples=max(2, round(0.05 * len(points)))).fit(points)
    for label in range(fitted.labels_.max() + 1):
        members = torch.from_numpy(fitted.labels_ == label)
        maps.append(others[members].mean(0))
        weights.append(_filtered_mean(slopes[members].mean(0)))
    weight = torch.stack(weights).softmax(0)
    return torch.einsum("c,chw->hw", weight, torch.stack(maps)).relu()


def _filtered_mean(picture: Tensor) -> Tensor:
    """Mean of the bilateral filter, sigma 5 in place and 0.1 in value."""
    place = torch.cartesian_prod(*(torch.arange(float(side)) for side in picture.shape))
    value = picture.flatten()
    kernel = (-((place[:, None] - place) ** 2).sum(2) / 50 - (value[:, None] - value) ** 2 / 0.02).exp()
    return (kernel @ value / kernel.sum(1)).mean()


GRAD_CAM, TORCH_CAM, CAPTUM, PAPER = "pytorch-grad-cam", "torchcam", "captum", "restated"
SIGNED = f"{GRAD_CAM}, sign fixed"

PEERS: Mapping[str, Mapping[str, Peer]] = {
    "cam": {TORCH_CAM: partial(torch_cam, "CAM")},
    "gradcam": {
        GRAD_CAM: partial(grad_cam, "GradCAM"),
        TORCH_CAM: partial(torch_cam, "GradCAM"),
        CAPTUM: layer_gradcam,
    },
    "gradcam++": {GRAD_CAM: partial(grad_cam, "GradCAMPlusPlus"), TORCH_CAM: partial(torch_cam, "GradCAMpp")},
    "gradcam++compat": {TORCH_CAM: partial(torch_cam, "GradCAMpp")},
    "layercam": {GRAD_CAM: partial(grad_cam, "LayerCAM"), TORCH_CAM: partial(torch_cam, "LayerCAM")},
    "xgradcam": {GRAD_CAM: partial(grad_cam, "XGradCAM"), TORCH_CAM: partial(torch_cam, "XGradCAM")},
    "hirescam": {GRAD_CAM: partial(grad_cam, "HiResCAM")},
    "gradcam-elementwise": {GRAD_CAM: partial(grad_cam, "GradCAMElementWise")},
    "eigencam": {PAPER: eigen_paper, GRAD_CAM: partial(grad_cam, "EigenCAM")},
    "eigencam-centred": {GRAD_CAM: partial(grad_cam, "EigenCAM"), SIGNED: partial(eigen_signed, False)},
    "eigengradcam": {GRAD_CAM: partial(grad_cam, "EigenGradCAM"), SIGNED: partial(eigen_signed, True)},
    "cf-cam": {PAPER: cf_cam_paper},
    "scorecam": {GRAD_CAM: partial(grad_cam, "ScoreCAM"), TORCH_CAM: partial(torch_cam, "ScoreCAM")},
    "ss-cam": {TORCH_CAM: partial(torch_cam, "SSCAM", num_samples=10)},
    "is-cam": {TORCH_CAM: partial(torch_cam, "ISCAM", num_samples=10)},
    "ablationcam": {PAPER: ablation_paper, GRAD_CAM: partial(grad_cam, "AblationCAM")},
    "smoothgradcam++": {TORCH_CAM: partial(torch_cam, "SmoothGradCAMpp", num_samples=8, std=0.15)},
    "rise": {PAPER: partial(rise_paper, 4000)},
    "occlusion": {CAPTUM: occlusion},
    "fullgrad": {GRAD_CAM: partial(grad_cam, "FullGrad")},
    "kpca-cam": {GRAD_CAM: partial(grad_cam, "KPCA_CAM")},
    "finer-cam": {GRAD_CAM: partial(grad_cam, "FinerCAM"), TORCH_CAM: partial(torch_cam, "FinerCAM")},
    "shapley-cam": {GRAD_CAM: partial(grad_cam, "ShapleyCAM")},
    "integrated-gradients": {CAPTUM: partial(attribution, "IntegratedGradients", n_steps=32, internal_batch_size=32)},
    "saliency": {CAPTUM: partial(attribution, "Saliency"), PAPER: partial(input_gradient, False)},
    "input-x-gradient": {CAPTUM: partial(attribution, "InputXGradient"), PAPER: partial(input_gradient, True)},
    "deeplift": {CAPTUM: partial(attribution, "DeepLift")},
    "guided-backprop": {CAPTUM: partial(attribution, "GuidedBackprop")},
    "guided-gradcam": {CAPTUM: partial(attribution, "GuidedGradCam")},
}
"""Map -> name of a peer -> that peer."""

REASONS: Mapping[tuple[str, str], str] = {
    ("gradcam++", GRAD_CAM): "it adds 1e-6 to the denominator",
    ("gradcam++", TORCH_CAM): "it lacks the division",
    ("eigencam", GRAD_CAM): "it centres each channel, its sign is arbitrary, and its ReLU cuts",
    ("eigencam-centred", GRAD_CAM): "its sign is arbitrary: 0 where the ReLU deletes the other side",
    ("eigengradcam", GRAD_CAM): "its sign is arbitrary: 0 where the ReLU deletes the other side",
    ("cf-cam", PAPER): "the paper's raw gradients make filter and softmax uniform",
    ("scorecam", GRAD_CAM): "it enlarges masks with align_corners",
    ("ss-cam", TORCH_CAM): "other random numbers; noise on the activations",
    ("is-cam", TORCH_CAM): "it adds the fractions up, beyond 1",
    ("ablationcam", GRAD_CAM): "it divides by the signed logit, and sets channels below their minimum",
    ("smoothgradcam++", TORCH_CAM): "it takes gradient and activation of the last noisy input alone",
    ("rise", PAPER): "other random masks: what 4,000 masks leave to chance",
    ("occlusion", CAPTUM): "it averages over all windows that cover a pixel",
    ("finer-cam", TORCH_CAM): "other weights of the similar classes",
}
"""(map, peer) -> what explains a difference."""
