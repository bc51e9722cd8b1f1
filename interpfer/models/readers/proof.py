"""Proof that a card's input prepares a picture as the publisher's own code does."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.models.input import InputSpec, describe_input, parse_input
from interpfer.models.preparation import normalise, prepare

WIDTH, HEIGHT = 173, 211
"""Size of the picture: not square, with odd margins, so that every rule of rounding shows."""

TOLERANCE = 1e-3
"""Largest mean difference from the publisher's input, as a share of the range of pixels."""


@dataclass(frozen=True)
class PublishedInput:
    """Field ``input`` of a card, out of files of the publisher.

    Attributes:
        fields: raw fields; empty if there are none.
        problem: why the publisher's preparation cannot be repeated; "" if it is.
        note: what was assumed; "" for nothing.
    """

    fields: Mapping[str, Any]
    problem: str = ""
    note: str = ""


def make_picture() -> Image.Image:
    """Return the picture of the proof: seeded noise."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return Image.fromarray(noise)


def prove(
    candidates: Iterable[Mapping[str, Any]],
    publisher: Callable[[Image.Image], Tensor],
    where: str,
    fields: str,
) -> PublishedInput:
    """Return the first candidate that prepares the picture as the publisher does.

    Args:
        candidates: raw fields of ``input``.
        publisher: the publisher's preparation of a picture to a (3, h, w) tensor.
        where: file of the publisher's settings, for messages.
        fields: settings to name if none fits.
    """
    try:
        expected = publisher(make_picture()).float()
    except Exception as error:  # code of another library
        text = " ".join(str(error).split())
        return PublishedInput({}, f"{where}: the image processor fails: {type(error).__name__}: {text}")
    if expected.ndim != 3 or expected.shape[0] != 3 or expected.shape[1] != expected.shape[2]:
        names = [name for name in fields.split(", ") if any(word in name.lower() for word in ("size", "crop"))]
        shape_names = ", ".join(names)
        shape = " x ".join(map(str, expected.shape[1:] if expected.ndim == 3 else expected.shape))
        return PublishedInput(
            {},
            f"{where}: {shape_names or fields}: the image processor makes a {HEIGHT} x {WIDTH} picture {shape}, "
            "and only square inputs can be scored",
        )
    closest = float("inf")
    for candidate in candidates:
        try:
            spec = parse_input(candidate, where)
        except ModelError as error:
            return PublishedInput({}, str(error).removeprefix("model card ").removesuffix("."))
        difference = compare(spec, expected)
        if difference <= TOLERANCE:
            return PublishedInput(describe_input(spec))
        closest = min(closest, difference)
    return PublishedInput(
        {},
        f"{where}: {fields}: the input of the image processor cannot be repeated (it differs by {closest:.2g} of the "
        "range of pixels)",
    )


def compare(spec: InputSpec, expected: Tensor) -> float:
    """Return the mean difference of the picture's input from another one, as a share of the range of pixels."""
    pixels = torch.from_numpy(np.array(make_picture())).permute(2, 0, 1)[None].float() / 255
    x = normalise(prepare(pixels, spec), spec)[0]
    if x.shape != expected.shape:
        return float("inf")
    pixel_range = torch.tensor(spec.scale / np.array(spec.std), dtype=torch.float32).abs()[:, None, None]
    return float(((x - expected).abs() / pixel_range).mean())
