from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.transform import resize as skimage_resize
from torch import nn
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize
from torchvision.transforms.v2 import functional as tv

from interpfer.landmarks.alignment import transform_points
from interpfer.models.input import InputSpec, parse_input
from interpfer.models.loading import load_model
from interpfer.models.preparation import FieldOfView, prepare, prepare_pixels

SIDES = st.integers(20, 90)


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def as_bytes(image: torch.Tensor) -> np.ndarray:
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


@settings(max_examples=40)
@given(SIDES, SIDES, st.integers(24, 70), st.integers(20, 75), st.sampled_from(["bilinear", "bicubic", "lanczos"]))
def test_resize_and_crop_are_those_of_torchvision(w: int, h: int, resize: int, crop: int, kind: str) -> None:
    steps = Compose([Resize(resize, InterpolationMode(kind)), CenterCrop(crop)])
    pixels = noise(w, h)
    spec = parse_input({"resize": resize, "crop": crop, "interpolation": kind, "rounded": True}, "C")
    np.testing.assert_array_equal(as_bytes(prepare_pixels(pixels, spec)), np.array(steps(Image.fromarray(pixels))))


@pytest.mark.parametrize("kind", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_rounded_resizes_are_those_of_pillow(kind: str) -> None:
    pixels = noise(61, 47)
    expected = np.array(Image.fromarray(pixels).resize((28, 28), Image.Resampling[kind.upper()]))
    spec = parse_input({"size": 28, "interpolation": kind, "rounded": "pillow"}, "C")
    np.testing.assert_array_equal(as_bytes(prepare_pixels(pixels, spec)), expected)
    between_passes = 14 if kind in ("bicubic", "lanczos") else 1.1  # Pillow clips after each of its two passes
    unrounded = prepare_pixels(pixels, parse_input({"size": 28, "interpolation": kind}, "C"))
    np.testing.assert_allclose(unrounded.permute(1, 2, 0) * 255, expected, atol=between_passes)


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_rounded_resizes_of_torchvision_are_those_of_its_tensors(kind: str) -> None:
    pixels = noise(61, 47)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    expected = tv.resize(tensor, [28, 28], InterpolationMode(kind), antialias=True)
    spec = parse_input({"size": 28, "interpolation": kind, "rounded": "torchvision"}, "C")
    np.testing.assert_array_equal(as_bytes(prepare_pixels(pixels, spec)), expected.permute(1, 2, 0))


def test_without_antialiasing_a_small_picture_samples_single_pixels() -> None:
    pixels = noise(61, 47)
    expected = skimage_resize(pixels / 255, (16, 16), order=1, anti_aliasing=False, mode="edge")
    spec = parse_input({"size": 16, "antialias": False}, "C")
    np.testing.assert_allclose(prepare_pixels(pixels, spec).permute(1, 2, 0), expected, atol=1e-4)
    smooth = prepare_pixels(pixels, InputSpec(16)).permute(1, 2, 0).numpy()
    assert np.abs(smooth - expected).mean() > 0.05


def test_a_border_makes_a_picture_square() -> None:
    pixels = noise(41, 30)
    padded = Image.new("RGB", (41, 41), (10, 20, 30))
    padded.paste(Image.fromarray(pixels), (0, 5))
    spec = parse_input({"size": 41, "pad": [10, 20, 30]}, "C")
    np.testing.assert_array_equal(as_bytes(prepare_pixels(pixels, spec)), np.array(padded))


def test_an_odd_margin_is_cut_as_torchvision_or_as_transformers_cuts_it() -> None:
    ramp = torch.arange(11.0).expand(1, 3, 11, 11) / 16
    corners = {
        name: round(float(prepare(ramp, InputSpec(8, crop=8, crop_corner=name))[0, 0, 0, 0]) * 16)
        for name in ("round", "floor")
    }
    assert corners == {"round": 2, "floor": 1}
    assert float(tv.center_crop(ramp, [8, 8])[0, 0, 0, 0]) * 16 == 2


SPECS: list[dict[str, Any]] = [
    {"size": 96},
    {"resize": 110, "crop": 96},
    {"resize": [130, 110], "crop": 96, "rounded": True},
    {"crop": 90, "size": 70},
    {"pad": 0, "size": 96},
    {"pad": 255, "resize": 120, "crop": 96, "interpolation": "bicubic"},
    {"resize": 80, "crop": 96},
]


@pytest.mark.parametrize("fields", SPECS)
@pytest.mark.parametrize(("width", "height"), [(120, 120), (151, 104), (104, 151)])
def test_a_point_of_the_picture_is_where_the_transform_says(fields: dict[str, Any], width: int, height: int) -> None:
    spec = parse_input(fields, "C")
    x, y = 0.45 * width, 0.55 * height
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    picture = torch.from_numpy(spot).float().expand(1, 3, -1, -1)
    for each in (spec, spec.at(64)):
        seen = prepare(picture, each if each.pad is None else replace(each, pad=(0, 0, 0)))[0, 0]
        places = torch.arange(each.size) + 0.5
        found = torch.stack([(seen.sum(0) * places).sum(), (seen.sum(1) * places).sum()]) / seen.sum()
        expected = transform_points(
            torch.tensor([[x, y]], dtype=torch.float64), FieldOfView.of(each, width, height).transform(each.size)
        )
        torch.testing.assert_close(found.double(), expected[0], atol=0.2, rtol=0)


def test_prepared_images_are_only_normalised() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    fields = {"resize": 10, "crop": 8, "mean": 0.5, "pad": 0}
    model = load_model(network, classes=["anger", "fear"], input=fields)
    pictures = torch.rand(2, 3, 20, 30)
    seen = model.resize(pictures)
    assert seen.shape == (2, 3, 8, 8)
    torch.testing.assert_close(model.preprocess(pictures), seen - 0.5)
    torch.testing.assert_close(model.for_prepared().preprocess(seen), seen - 0.5)
    assert not torch.allclose(model.preprocess(seen), seen - 0.5)
    plain = load_model(network, classes=["anger", "fear"], input_size=8)
    assert plain.for_prepared() is plain
