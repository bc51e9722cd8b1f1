"""Hugging Face folders against the library's own image processor and network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.functional import to_tensor

from interpfer.errors import ModelError
from interpfer.models.input import InputSpec
from interpfer.models.loading import load_model

transformers = pytest.importorskip("transformers")

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
LABELS = {
    "num_labels": 7,
    "id2label": dict(enumerate(CLASSES)),
    "label2id": {name: index for index, name in enumerate(CLASSES)},
}
SIZES = ((80, 80), (97, 75), (75, 110), (40, 40))


def square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def pictures() -> list[Image.Image]:
    random = np.random.default_rng(0)
    small = [Image.fromarray(random.integers(0, 256, (9, 7, 3), np.uint8)) for _ in SIZES]
    return [picture.resize(size, Image.Resampling.BICUBIC) for picture, size in zip(small, SIZES, strict=True)]


def spread(network: nn.Module, size: int) -> nn.Module:
    """Draw weights whose logits differ between pictures."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=(2 / parameter[0].numel()) ** 0.5)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
                module.momentum = None
        network.train()(torch.rand(8, 3, size, size))
    return network.eval()


def resnet() -> nn.Module:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **LABELS
    )
    return spread(transformers.ResNetForImageClassification(config), 64)


def write(folder: Path, network: nn.Module, processor: Any, settings: dict[str, Any] | None = None) -> None:
    network.save_pretrained(folder)
    if processor is not None:
        processor.save_pretrained(folder)
    if settings is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def check_logits(folder: Path, network: nn.Module) -> InputSpec:
    """Compare input and logits with those of the library's processor and network; return our input."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    model = load_model(folder, classes=list(CLASSES))
    logits = []
    for picture in pictures():
        with torch.no_grad():
            x = processor(images=picture, return_tensors="pt")["pixel_values"]
            ours = model.preprocess(to_tensor(picture)[None])
            torch.testing.assert_close(ours, x.float(), atol=1e-5, rtol=0)
            logits.append(network(x.float()).logits)
            torch.testing.assert_close(model.logits(ours), logits[-1], atol=1e-3, rtol=0)
    assert float(torch.cat(logits).std(0).mean()) > 0.05
    return model.card.input


def test_the_channels_of_a_mobilevit_are_flipped_and_its_pictures_cropped(tmp_path: Path) -> None:
    config = transformers.MobileViTConfig(
        hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 24, 32, 40, 64], image_size=64, num_attention_heads=2,
        **LABELS,
    )  # fmt: skip
    network = spread(transformers.MobileViTForImageClassification(config), 64)
    write(tmp_path, network, transformers.MobileViTImageProcessor(size={"shortest_edge": 77}, crop_size=square(64)))
    spec = check_logits(tmp_path, network)
    assert (spec.color, spec.resize, spec.crop, spec.size) == ("bgr", 77, 64, 64)


@pytest.mark.parametrize(("side", "expected"), [(64, (73, 64)), (384, (None, None))])
def test_a_convnext_crops_small_inputs_alone(
    tmp_path: Path, side: int, expected: tuple[int | None, int | None]
) -> None:
    config = transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, **LABELS)
    network = spread(transformers.ConvNextForImageClassification(config), 64)
    write(tmp_path, network, transformers.ConvNextImageProcessor(size={"shortest_edge": side}, crop_pct=0.875))
    spec = check_logits(tmp_path, network)
    assert (spec.resize, spec.crop, spec.size) == (*expected, side)


def test_a_timm_wrapper_has_the_transforms_of_its_pretrained_cfg(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    settings = dict(timm.create_model("resnet10t", num_classes=7).pretrained_cfg) | {
        "input_size": (3, 64, 64), "crop_pct": 0.9, "interpolation": "bicubic", "label_names": None
    }  # fmt: skip
    config = transformers.TimmWrapperConfig(
        architecture="resnet10t", do_pooling=True, pretrained_cfg=settings, **LABELS
    )
    network = spread(transformers.TimmWrapperForImageClassification(config), 64)
    write(tmp_path, network, None)
    spec = check_logits(tmp_path, network)
    assert (spec.resize, spec.crop, spec.interpolation) == (71, 64, "bicubic")
    assert load_model(tmp_path).classes == CLASSES


PROCESSORS = {
    "plain": lambda: transformers.ViTImageProcessor(size=square(64)),
    "nearest": lambda: transformers.ViTImageProcessor(size=square(64), resample=0),
    "lanczos": lambda: transformers.ViTImageProcessor(size=square(64), resample=1),
    "crop of a square": lambda: transformers.DeiTImageProcessor(size=square(73), crop_size=square(64)),
    "crop without resize": lambda: transformers.DeiTImageProcessor(do_resize=False, crop_size=square(64)),
    "include_top": lambda: transformers.EfficientNetImageProcessor(
        size=square(64), image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    ),
    "offset": lambda: transformers.EfficientNetImageProcessor(
        size=square(64), rescale_factor=1 / 127.5, rescale_offset=True, do_normalize=False, include_top=False
    ),
    "levit": lambda: transformers.LevitImageProcessor(size={"shortest_edge": 56}, crop_size=square(56)),
    "poolformer": lambda: transformers.PoolFormerImageProcessor(
        size={"shortest_edge": 64}, crop_pct=0.9, crop_size=square(64)
    ),
    "shortest edge": lambda: transformers.MobileNetV2ImageProcessor(size={"shortest_edge": 70}, crop_size=square(64)),
    "bytes": lambda: transformers.ViTImageProcessor(
        size=square(64), do_rescale=False, image_mean=[129.0, 110.0, 100.0], image_std=[60.0] * 3
    ),
}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_pictures_are_prepared_as_the_processor_prepares_them(tmp_path: Path, kind: str) -> None:
    network = resnet()
    write(tmp_path, network, PROCESSORS[kind]())
    check_logits(tmp_path, network)


@pytest.mark.parametrize("size", [{"height": 64, "width": 64}, [64, 64], 64])
def test_missing_settings_are_those_of_the_class(tmp_path: Path, size: Any) -> None:
    network = resnet()
    settings = {"image_processor_type": "ViTImageProcessor", "size": size}
    write(tmp_path, network, None, settings)
    spec = check_logits(tmp_path, network)
    assert (spec.size, spec.mean, spec.std) == (64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (
            lambda: transformers.ViTImageProcessor(size={"height": 72, "width": 64}),
            "preprocessor_config.json: size: the image processor makes a 211 x 173 picture 72 x 64, and only square "
            "inputs can be scored; to score it",
        ),
        (
            lambda: transformers.ViTImageProcessor(size=square(64), image_mean=[123.7] * 3, image_std=[58.4] * 3),
            "preprocessor_config.json: input.mean looks like bytes: scale: 255",
        ),
        (
            lambda: transformers.ViTImageProcessor(size=square(64), do_rescale=False),
            "preprocessor_config.json: input.mean and std look like shares of 1",
        ),
        (lambda: transformers.ViTImageProcessor(size=square(64), resample=4), "the image processor fails"),
    ],
)
def test_what_cannot_be_repeated_is_refused_unless_the_card_says_how(
    tmp_path: Path, processor: Any, message: str
) -> None:
    network = resnet()
    write(tmp_path, network, processor())
    with pytest.raises(ModelError) as error:
        load_model(tmp_path)
    assert message in str(error.value)
    assert f"into {tmp_path}.yaml, or pass --input-size and --mean" in str(error.value)
    model = load_model(tmp_path, input_size=64, mean="half")
    assert model.card.input == InputSpec(64, mean=(0.5,), std=(0.5,))
    assert model.notes[0].endswith("images are prepared as the card says instead")


def test_without_a_processor_it_is_said_what_was_assumed(tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=48, patch_size=16,
        **LABELS,
    )  # fmt: skip
    write(tmp_path, transformers.ViTForImageClassification(config), None)
    model = load_model(tmp_path)
    assert (model.card.input.size, model.card.input.mean, model.card.input.interpolation) == (
        48,
        (0.5,) * 3,
        "bilinear",
    )
    (note,) = model.notes
    assert note.startswith(
        "no preprocessor_config.json beside the weights: assumed the colours and interpolation of a ViTImageProcessor"
    )
    assert "the size (image_size of config.json): size 48, color rgb, mean [0.5, 0.5, 0.5]" in note
    assert load_model(tmp_path, input_size=48, mean="imagenet").notes == ()
