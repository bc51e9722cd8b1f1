"""Maps of classifiers of clips, compared with their published definitions in plain torch and with another library."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import interpfer
from interpfer.errors import ModelError
from interpfer.models.model import Model
from tests.clip_networks import CLASSES, FRAMES, SIZE, Frames, MeanOfFrames, Volumes, seeded

SPACE_TIME = (2, 3, 4)

PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "attention": lambda a, g: a.mean(1),
    "gradcam": lambda a, g: (g.mean(SPACE_TIME, keepdim=True) * a).sum(1).relu(),
    "gradcam++": lambda a, g: (
        ((g**2 / (2 * g**2 + g**3 * a.sum(SPACE_TIME, keepdim=True))) * g.relu())
        .nan_to_num(0)
        .sum(SPACE_TIME, keepdim=True)
        .mul(a)
        .sum(1)
        .relu()
    ),
    "layercam": lambda a, g: (g.relu() * a).sum(1).relu(),
    "xgradcam": lambda a, g: (
        ((g * a).sum(SPACE_TIME, keepdim=True) / a.sum(SPACE_TIME, keepdim=True) * a).nan_to_num(0).sum(1).relu()
    ),
    "hirescam": lambda a, g: (g * a).sum(1).relu(),
}
"""Map -> its definition with sums and means over time and space, of (n, c, t, h, w) activations and gradients."""


def record(network: nn.Module, layer: str, clips: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """Return activation and gradient of the target logit, out of plain autograd."""
    kept: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda _, __, output: kept.append(output))
    logits = network(clips.requires_grad_())
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[:, target].sum(), kept[0])
    return kept[0].detach(), gradient


def to_clips(images: Tensor, frames: int) -> Tensor:
    return images.unflatten(0, (-1, frames)).transpose(1, 2).contiguous()


def load(network: nn.Module, layout: str = "ncthw", frames: int = FRAMES, size: int = SIZE) -> Model:
    return interpfer.load_model(network, classes=CLASSES, input={"size": size, "frames": frames, "layout": layout})


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(3 * FRAMES, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", ["first", "last"])
def test_maps_are_pooled_over_time_and_space(layer: str, images: Tensor) -> None:
    network = seeded(Volumes)
    maps = interpfer.compute_maps(load(network), images, maps=list(PLAIN), layers=[layer], targets="surprise")
    activation, gradient = record(network, layer, to_clips(images, FRAMES), 2)
    repeats = FRAMES // activation.shape[2]
    for name, define in PLAIN.items():
        expected = define(activation, gradient).repeat_interleave(repeats, 1).flatten(0, 1)
        assert torch.allclose(maps[name, layer], expected, rtol=1e-4, atol=1e-8), name


def test_batches_do_not_matter_and_keep_clips_whole(images: Tensor) -> None:
    model = load(seeded(Volumes))
    one, three = (interpfer.compute_maps(model, images, maps=["gradcam"], batch_size=size) for size in (5, 64))
    assert torch.allclose(one["gradcam", "last"], three["gradcam", "last"], atol=1e-7)


def test_a_3d_resnet_against_plain_autograd_and_pytorch_grad_cam() -> None:
    from pytorch_grad_cam import GradCAM
    from torchvision.models.video import r3d_18

    torch.manual_seed(0)
    network = r3d_18(num_classes=3).eval()
    images = torch.rand(4, 3, 32, 32)
    model = load(network, frames=4, size=32)
    maps = interpfer.compute_maps(model, images, ["gradcam", "layercam"], ["layer2", "layer3"], "anger")
    clips = to_clips(images, 4)
    for layer, repeats in (("layer2", 2), ("layer3", 4)):
        activation, gradient = record(network, layer, clips, 0)
        assert activation.shape[2] * repeats == 4
        for name in ("gradcam", "layercam"):
            expected = PLAIN[name](activation, gradient).repeat_interleave(repeats, 1).flatten(0, 1)
            assert torch.allclose(maps[name, layer], expected, rtol=1e-4, atol=1e-9)
        with GradCAM(network, [network.get_submodule(layer)]) as peer:
            values, slopes = activation.numpy(), gradient.numpy()
            drawn = peer.get_cam_image(clips, network.get_submodule(layer), [], values, slopes)
        of_frames = torch.from_numpy(drawn).relu().repeat_interleave(repeats, 1)[0]
        assert torch.allclose(maps["gradcam", layer], of_frames, rtol=1e-4, atol=1e-9)


def test_a_network_that_averages_frames_has_the_maps_of_its_network_of_pictures(images: Tensor) -> None:
    network = seeded(Frames)
    pictures = interpfer.load_model(network, classes=CLASSES, input_size=SIZE)
    clips = load(MeanOfFrames(network), "ntchw")
    names = ["attention", "gradcam", "layercam", "hirescam", "layercam.flip"]
    inner, outer = (
        [
            interpfer.compute_maps(model, images, maps=names + extra, layers=[prefix + layer], targets="anger")
            for model, prefix in ((pictures, ""), (clips, "pictures."))
        ]
        for layer, extra in (("inner", ["saliency"]), ("outer", ["cam"]))
    )
    for own, of_clips in (inner, outer):
        for name, layer in own:
            is_of_logit = name not in ("attention", "layercam.flip")  # a flip averages maps stretched to [0, 1]
            expected = own[name, layer] / (FRAMES if is_of_logit else 1)  # the logit is a mean of frames
            if (name, layer) == ("gradcam", "inner"):
                continue  # pooled over the frames: see below
            found = of_clips[name, layer if layer == "input" else f"pictures.{layer}"]
            assert torch.allclose(found, expected, rtol=1e-4, atol=1e-8), (name, layer)
    activation, gradient = record(network, "inner", images.clone(), 0)
    weights = gradient.mean((2, 3)).unflatten(0, (-1, FRAMES)).mean(1).repeat_interleave(FRAMES, 0) / FRAMES
    expected = (weights[:, :, None, None] * activation).sum(1).relu()
    assert torch.allclose(inner[1]["gradcam", "pictures.inner"], expected, rtol=1e-4, atol=1e-8)


def test_a_time_transformer_against_plain_autograd() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.VideoMAEConfig(
        image_size=16, patch_size=4, num_frames=4, tubelet_size=2, hidden_size=16, num_hidden_layers=3,
        num_attention_heads=2, intermediate_size=16, num_labels=3,
    )  # fmt: skip
    torch.manual_seed(0)
    network = transformers.VideoMAEForVideoClassification(config).eval()
    model = load(network, "ntchw", frames=4, size=16)
    images, layer = torch.rand(8, 3, 16, 16), "videomae.encoder.layer.2"
    maps = interpfer.compute_maps(model, images, maps=["gradcam", "attention"], targets="happiness")
    kept: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda _, __, output: kept.append(output))
    logits = network(images.unflatten(0, (2, 4)).requires_grad_()).logits
    handle.remove()
    tokens = kept[0] if isinstance(kept[0], Tensor) else kept[0][0]
    (slope,) = torch.autograd.grad(logits[:, 1].sum(), tokens)
    volume, gradient = (each.detach().reshape(2, 2, 4, 4, 16).permute(0, 4, 1, 2, 3) for each in (tokens, slope))
    for name in ("gradcam", "attention"):
        expected = PLAIN[name](volume, gradient).repeat_interleave(2, 1).flatten(0, 1)
        assert torch.allclose(maps[name, layer], expected, rtol=1e-4, atol=1e-8), name


def test_maps_of_pictures_and_refiners_of_tokens_are_refused_by_name(images: Tensor) -> None:
    model = load(seeded(Volumes))
    for name in ("occlusion", "cf-cam", "gradcam.eigen", "attention-rollout", "finer-cam"):
        with pytest.raises(
            ModelError, match=rf"map '{name}' cannot be computed for model Volumes at \w+: it is a map of c"
        ):
            interpfer.compute_maps(model, images, maps=[name])
    with pytest.raises(ModelError, match="takes clips of 4 frames"):
        interpfer.compute_maps(model, images[:5], maps=["gradcam"])


def test_the_class_map_sums_to_the_logit_over_time_and_space(images: Tensor) -> None:
    model = load(seeded(Volumes))
    maps = interpfer.compute_maps(model, images, maps=["cam", "gradcam.contrast", "attention.blur"])
    assert {value.shape for value in maps.values()} == {(12, 4, 4)}
    sums = maps["cam", "last"].sum((1, 2)).unflatten(0, (3, FRAMES)).mean(1) * 2  # each of two slices is two frames
    logits = model.predict_logits(images)[::FRAMES]
    largest = (logits - model.module.head.bias).gather(1, logits.argmax(1)[:, None])[:, 0]
    assert torch.allclose(sums, largest, atol=1e-5)
