"""Model input: the ``input`` of a model card, normalisations by name, and the resize to a square.

input: {size: 112, color: rgb, scale: 1, mean: [0, 0, 0], std: [1, 1, 1]}     # x = (pixel/255*scale - mean)/std
input: {size: 224, mean: imagenet}                                            # the same by name
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interpfer.choices import COLORS
from interpfer.errors import ModelError, nearest

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""

FIELDS = ("size", "color", "scale", "mean", "std")
"""Fields of ``input``."""


@dataclass(frozen=True)
class Normalisation:
    """A well-known normalisation of pixels.

    Attributes:
        mean: one value, or one each for red, green and blue.
        std: standard deviation, likewise.
        scale: factor on pixels in [0, 1]; 255 for values in bytes.
        color: channel order that it is published for.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    color: str = "rgb"

    def fields(self, color: str | None = None) -> dict[str, Any]:
        """Return the fields of a card's ``input``, in the channel order of ``color``."""
        color = color or self.color
        mean, std = (_reorder(values, color) for values in (self.mean, self.std))
        return {"color": color, "scale": self.scale, "mean": mean, "std": std}


NORMALISATIONS: dict[str, Normalisation] = {
    "none": Normalisation(),
    "bytes": Normalisation(scale=255.0),
    "half": Normalisation((0.5,), (0.5,)),
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "caffe": Normalisation((123.68, 116.779, 103.939), scale=255.0, color="bgr"),
    "vggface2": Normalisation((131.0912, 103.8827, 91.4953), scale=255.0, color="bgr"),
}
"""Normalisations by the name that ``mean:`` of a card or ``--mean`` takes; caffe and vggface2 are BGR by default."""


@dataclass(frozen=True)
class InputSpec:
    """Input of a model: x = (pixel / 255 * scale - mean) / std, at size x size.

    Attributes:
        size: side in pixels.
        color: "rgb", "bgr", "gray" or "gray3".
        scale: factor on pixels in [0, 1]; 255 for a model that expects bytes.
        mean: one value, or one per channel in the model's channel order.
        std: standard deviation, likewise.
    """

    size: int = 224
    color: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def parse_input(raw: Any, where: str) -> InputSpec:
    """Check the field ``input`` of a card.

    Args:
        raw: the field, as read from YAML.
        where: name of the card, for messages.

    Raises:
        ModelError: a field is unknown or has a wrong value; the message names it.

    Examples:
        >>> parse_input({"size": 64, "mean": "half"}, "model.yaml")
        InputSpec(size=64, color='rgb', scale=1.0, mean=(0.5,), std=(0.5,))
    """
    if not isinstance(raw, Mapping):
        raise ModelError(f"model card {where}: input must be a mapping such as {{size: 112}}, got {raw!r}.")
    for name in raw:
        if name not in FIELDS:
            raise ModelError(
                f"model card {where}: input: unknown field '{name}'.{nearest(str(name), FIELDS)} "
                f"Known: {', '.join(FIELDS)}."
            )
    spec = InputSpec()
    for name, value in _expand_names(raw, where).items():
        convert, kind = _CONVERTERS[name]
        try:
            spec = replace(spec, **{name: convert(value)})
        except (TypeError, ValueError):
            raise ModelError(f"model card {where}: input.{name} must be {kind}, got {value!r}.") from None
    if spec.size < 1:
        raise ModelError(f"model card {where}: input.size must be at least 1, got {spec.size}.")
    if spec.color not in COLORS:
        raise ModelError(
            f"model card {where}: input.color must be one of {', '.join(COLORS)}, got '{spec.color}'."
            f"{nearest(spec.color, COLORS)}"
        )
    channels = COLORS[spec.color]
    for name in ("mean", "std"):
        count = len(getattr(spec, name))
        if count not in (1, channels):
            counts = "1 value" if channels == 1 else f"1 or {channels} values"
            raise ModelError(
                f"model card {where}: input.{name} must have {counts} for the color {spec.color}, got {count}."
            )
    if 0 in spec.std:
        raise ModelError(f"model card {where}: input.std must not contain 0.")
    return spec


def describe_input(spec: InputSpec) -> dict[str, Any]:
    """Return the shortest fields of a card that mean this input; a known normalisation is written by its name.

    Examples:
        >>> describe_input(InputSpec(112, "rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        {'size': 112, 'color': 'rgb', 'mean': 'imagenet'}
    """
    for name in NORMALISATIONS:
        if name != "bytes" and parse_input({"size": spec.size, "color": spec.color, "mean": name}, name) == spec:
            return {"size": spec.size, "color": spec.color} | ({} if name == "none" else {"mean": name})
    scale = int(spec.scale) if spec.scale == int(spec.scale) else spec.scale
    fields = {"size": spec.size, "color": spec.color, "scale": scale, "mean": [*spec.mean], "std": [*spec.std]}
    return {name: value for name, value in fields.items() if name == "size" or value not in (1, [0.0], [1.0])}


def to_square(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c {size} {size}"]:
    """Resize images to ``size`` x ``size``: bilinear, antialiased, ``align_corners=False``.

    This is the only resize to the input of a model or to the canvas. Images of that size are returned as they are.
    """
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def _expand_names(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Replace names of normalisations by their fields; fields that the card has take precedence."""
    color = None if raw.get("color") is None else _parse_color(raw["color"])
    expanded: dict[str, Any] = {}
    for name in ("std", "mean"):
        value = raw.get(name)
        if isinstance(value, str):
            normalisation = NORMALISATIONS.get(value.lower())
            if normalisation is None:
                raise ModelError(
                    f"model card {where}: input.{name}: unknown normalisation '{value}'."
                    f"{nearest(value.lower(), NORMALISATIONS)} Known: {', '.join(NORMALISATIONS)}."
                )
            fields = normalisation.fields(color)
            expanded |= fields if name == "mean" else {"std": fields["std"]}
    numeric = {name: value for name, value in raw.items() if not (name in ("mean", "std") and isinstance(value, str))}
    return expanded | numeric


def _reorder(values: tuple[float, ...], color: str) -> tuple[float, ...]:
    """Return values per red, green and blue in the channel order of a colour."""
    if len(values) == 1 or color not in COLORS:
        return values
    if color == "bgr":
        return values[::-1]
    return (sum(values) / len(values),) if color == "gray" else values


def _parse_color(value: Any) -> str:
    return str(value).lower().replace("grey", "gray")


def _parse_numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(item) for item in (value if isinstance(value, Sequence) else [value]))


_CONVERTERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "size": (int, "a number of pixels"),
    "color": (_parse_color, f"one of {', '.join(COLORS)}"),
    "scale": (float, "a number"),
    **dict.fromkeys(
        ("mean", "std"), (_parse_numbers, f"a number, a list of numbers or one of {', '.join(NORMALISATIONS)}")
    ),
}
"""How a field is read, and what it must be."""
