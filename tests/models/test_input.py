from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from interpfer.choices import COLORS
from interpfer.errors import ModelError
from interpfer.faces.stream import to_tensor
from interpfer.models.input import InputSpec, describe_input, parse_input
from interpfer.models.loading import load_model
from interpfer.models.normalisations import NORMALISATIONS
from interpfer.models.preparation import to_square
from tests.oracles.maps import bilinear

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"mean": "imagenet"}, InputSpec(224, "rgb", 1, *IMAGENET)),
        ({"mean": "ImageNet", "size": 64, "color": "grey3"}, InputSpec(64, "gray3", 1, *IMAGENET)),
        ({"mean": "imagenet", "color": "bgr"}, InputSpec(224, "bgr", 1, IMAGENET[0][::-1], IMAGENET[1][::-1])),
        ({"mean": "imagenet", "std": 1}, InputSpec(224, "rgb", 1, IMAGENET[0], (1.0,))),
        ({"std": "imagenet"}, InputSpec(224, "rgb", 1, (0.0,), IMAGENET[1])),
        ({"mean": "none"}, InputSpec()),
        ({"mean": "bytes"}, InputSpec(scale=255)),
        ({"mean": "half", "color": "gray"}, InputSpec(224, "gray", 1, (0.5,), (0.5,))),
        ({"mean": "caffe"}, InputSpec(224, "bgr", 255, (103.939, 116.779, 123.68), (1.0,))),
        ({"mean": "caffe", "color": "rgb"}, InputSpec(224, "rgb", 255, (123.68, 116.779, 103.939))),
    ],
)
def test_a_normalisation_by_name(fields: dict[str, Any], expected: InputSpec) -> None:
    assert parse_input(fields, "C") == expected


def test_a_grey_input_takes_the_mean_of_the_colours() -> None:
    spec = parse_input({"mean": "imagenet", "color": "gray"}, "C")
    assert spec.mean == pytest.approx((0.449,))
    assert spec.std == pytest.approx((0.226,))


@given(
    name=st.sampled_from(sorted(NORMALISATIONS)),
    color=st.sampled_from(sorted(COLORS)),
    size=st.integers(1, 512),
    scale=st.sampled_from([None, 200.0]),
)
def test_what_is_described_is_read_back(name: str, color: str, size: int, scale: float | None) -> None:
    fields = {"mean": name, "color": color, "size": size} | ({} if scale is None else {"scale": scale})
    spec = parse_input(fields, "C")
    assert parse_input(describe_input(spec), "C") == spec


def test_a_name_goes_through_load_model() -> None:
    model = load_model(nn.Conv2d(3, 2, 8), classes="anger,fear", input_size=8, mean="half")
    torch.testing.assert_close(model.preprocess(torch.ones(1, 3, 8, 8)), torch.ones(1, 3, 8, 8))


def test_grey_three_times() -> None:
    model = load_model(nn.Conv2d(3, 2, 8), classes="anger,fear", input_size=8, color="gray3", mean="imagenet")
    images = torch.rand(2, 3, 8, 8)
    grey = (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    mean, std = (torch.tensor(values) for values in IMAGENET)
    for channel in range(3):
        torch.testing.assert_close(model.preprocess(images)[:, channel], (grey - mean[channel]) / std[channel])


@given(st.integers(0, 99), st.integers(2, 9), st.integers(2, 9), st.integers(9, 12))
def test_enlarging_is_the_sampling_formula(seed: int, h: int, w: int, size: int) -> None:
    picture = torch.rand(1, 1, h, w, generator=torch.Generator().manual_seed(seed))
    expected = bilinear(picture[0, 0].double().numpy(), size)
    np.testing.assert_allclose(to_square(picture, size)[0, 0], expected, atol=1e-5)


def test_shrinking_is_antialiased() -> None:
    stripes = torch.zeros(1, 1, 16, 16)
    stripes[..., ::2] = 1
    torch.testing.assert_close(to_square(stripes, 4)[..., 1:3], torch.full((1, 1, 4, 2), 0.5))


def test_files_and_tensors_take_the_same_way_to_the_model() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    model = load_model(nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 2)), classes="fear,anger", input_size=12)
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    assert torch.equal(to_tensor(pixels, 12), model.resize(whole)[0])
    assert to_square(whole[..., :30], 30).data_ptr() == whole[..., :30].data_ptr()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"resize": 256, "crop": 224}, InputSpec(224, resize=256, crop=224)),
        ({"crop": 140, "size": 128}, InputSpec(128, crop=140)),
        ({"resize": [110, 96], "crop": 96, "pad": [1, 2, 3]}, InputSpec(96, resize=(110, 96), crop=96, pad=(1, 2, 3))),
        ({"pad": 7, "rounded": True}, InputSpec(pad=(7, 7, 7), rounded="pillow")),
        ({"interpolation": "BICUBIC", "antialias": False}, InputSpec(interpolation="bicubic", antialias=False)),
        ({"flip_channels": True}, InputSpec(color="bgr")),
        ({"flip_channels": True, "color": "bgr"}, InputSpec(color="bgr")),
        ({"flip_channels": False, "color": "gray"}, InputSpec(color="gray")),
        ({"scale": 2, "offset": 1}, InputSpec(scale=2, mean=(1.0,))),
        ({"offset": 1, "mean": "imagenet"}, InputSpec(mean=tuple(m + 1 for m in IMAGENET[0]), std=IMAGENET[1])),
    ],
)
def test_how_a_picture_is_prepared(fields: dict[str, Any], expected: InputSpec) -> None:
    spec = parse_input(fields, "C")
    assert spec == expected
    described = parse_input(describe_input(spec), "C")
    assert described.mean == pytest.approx(spec.mean)
    assert replace(described, mean=spec.mean) == spec


def test_the_identity_of_a_card_without_new_fields_stays() -> None:
    assert repr(InputSpec()) == "InputSpec(size=224, color='rgb', scale=1.0, mean=(0.0,), std=(1.0,))"
    assert repr(InputSpec(8, crop=9)).endswith("std=(1.0,), crop=9)")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean": [123.675, 116.28, 103.53], "std": [58.4, 57.1, 57.4]}, "input.mean looks like bytes: scale: 255 "),
        ({"mean": 127.5}, "input.mean looks like bytes: scale: 255 (pixels are in [0, 1] before the mean is"),
        ({"std": 255}, "input.std looks like bytes: scale: 255 "),
        ({"mean": "caffe", "scale": 1}, "input.mean looks like bytes: scale: 255 "),
        ({"mean": "imagenet", "scale": 255}, "input.mean and std look like shares of 1: leave scale out "),
        ({"scale": 1 / 255}, "input.scale looks like a factor on bytes: leave it out "),
        ({"scale": 0}, "input.scale must be above 0, got 0."),
        ({"resize": 256}, "input.resize is the size before a centre crop: give crop, or size alone"),
        (
            {"resize": [1, 2, 3], "crop": 2},
            "input.resize must be a number of pixels or [height, width], got [",
        ),
        ({"crop": 0}, "input.crop must be at least 1, got 0."),
        ({"crop": 8, "crop_corner": "left"}, "input.crop_corner must be one of round, floor, got 'left'."),
        (
            {"interpolation": "cubic"},
            "input.interpolation must be one of nearest, bilinear, bicubic, lanczos, b",
        ),
        ({"interpolation": "box", "antialias": False}, "input.antialias: false is for nearest, bilinear, bicubic, got"),
        ({"antialias": "no"}, "input.antialias must be true or false, got 'no'."),
        ({"rounded": "cv2"}, "input.rounded must be true, false, pillow or torchvision, got 'cv2'."),
        ({"pad": True}, "input.pad must be a colour in bytes, such as 0 or [124, 116, 104], got True."),
        ({"pad": 300}, "input.pad must be a colour in bytes, such as 0 or [124, 116, 104], got 300."),
        ({"flip_channels": True, "color": "rgb"}, "input.flip_channels: true is the same as color: bgr, but color is"),
        ({"flip_channels": False, "color": "bgr"}, "flip_channels: false means that the color is not bgr, but color"),
        ({"flip_channels": 1}, "input.flip_channels must be true or false, got 1."),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as error:
        parse_input(fields, "C")
    assert f"model card C: {message}" in str(error.value) or message in str(error.value)


def test_a_mean_in_bytes_is_refused_wherever_it_is_given() -> None:
    network = nn.Conv2d(3, 2, 8)
    for given_ in ({"mean": 127.5}, {"input": {"mean": 127.5}}):
        with pytest.raises(ModelError, match=r"input\.mean looks like bytes: scale: 255"):
            load_model(network, classes="anger,fear", **given_)
