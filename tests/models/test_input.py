from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from interpfer.choices import COLORS
from interpfer.faces.stream import to_tensor
from interpfer.models.input import NORMALISATIONS, InputSpec, describe_input, parse_input, to_square
from interpfer.models.loading import load_model
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
        ({"mean": "caffe", "color": "rgb", "scale": 1}, InputSpec(224, "rgb", 1, (123.68, 116.779, 103.939))),
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
    scale=st.sampled_from([None, 1.0, 2.5]),
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
