from typing import Any

import pytest
import torch
from torch import nn
from torchvision import transforms
from torchvision.models import EfficientNet_V2_S_Weights, ResNet18_Weights

from interpfer.models.input import InputSpec, parse_input
from interpfer.models.preparation import normalise, prepare
from interpfer.models.readers.proof import PublishedInput, compare, make_picture
from interpfer.models.readers.transforms import read_timm_config, read_transforms

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
PILLOW = {"rounded": "pillow", **IMAGENET}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (ResNet18_Weights.IMAGENET1K_V1, InputSpec(224, resize=256, crop=224, **PILLOW)),
        (EfficientNet_V2_S_Weights.IMAGENET1K_V1, InputSpec(384, resize=384, crop=384, **PILLOW)),
    ],
)
def test_the_transforms_of_weights_of_torchvision(weights: Any, expected: InputSpec) -> None:
    read = read_transforms(weights.transforms(), "W")
    spec = parse_input(read.fields, "C")
    assert spec == expected
    picture = make_picture()
    pixels = transforms.functional.to_tensor(picture)[None]
    torch.testing.assert_close(
        normalise(prepare(pixels, spec), spec)[0], weights.transforms()(picture), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"input_size": (3, 64, 64), "crop_pct": 0.95}, InputSpec(64, resize=67, crop=64, interpolation="bicubic")),
        ({"input_size": (3, 64, 64)}, InputSpec(64, resize=73, crop=64, interpolation="bicubic")),
        (
            {"input_size": (3, 64, 64), "crop_pct": 0.9, "crop_mode": "squash", "interpolation": "bilinear"},
            InputSpec(64, resize=(71, 71), crop=64),
        ),
    ],
)
def test_the_transforms_of_a_pretrained_cfg(config: dict[str, Any], expected: InputSpec) -> None:
    pytest.importorskip("timm")
    spec = parse_input(read_timm_config(config, "config.json").fields, "C")
    assert spec == InputSpec(**{**vars(expected), **PILLOW})


def test_an_unknown_transform_is_refused_by_name() -> None:
    steps = transforms.Compose([transforms.Resize((8, 8)), transforms.Pad(2), transforms.ToTensor()])
    assert read_transforms(steps, "W") == PublishedInput({}, "W: the transform Pad is not supported")
    timm = pytest.importorskip("timm")
    del timm
    border = read_timm_config({"input_size": (3, 64, 64), "crop_mode": "border"}, "config.json")
    assert border.problem == "config.json: the transform ResizeKeepRatio is not supported"


def test_a_transform_that_does_something_else_is_noticed() -> None:
    class Brighter(transforms.Normalize):
        def forward(self, tensor: torch.Tensor) -> torch.Tensor:
            return super().forward(tensor * 1.01)

    Brighter.__name__ = "Normalize"
    steps = transforms.Compose([transforms.Resize((8, 8)), transforms.ToTensor(), Brighter([0.5] * 3, [0.5] * 3)])
    problem = read_transforms(steps, "W").problem
    assert problem.startswith("W: Resize, ToTensor, Normalize: the input of the image processor cannot be repeated (it")


def test_the_difference_is_a_share_of_the_range_of_pixels() -> None:
    spec = InputSpec(8, scale=255.0, mean=(127.5,), std=(51.0,))
    pixels = transforms.functional.to_tensor(make_picture())[None]
    x = normalise(prepare(pixels, spec), spec)[0]
    assert compare(spec, x + 0.05) == pytest.approx(0.01, rel=1e-3)
    assert compare(spec, nn.functional.pad(x, (1, 1))) == float("inf")
