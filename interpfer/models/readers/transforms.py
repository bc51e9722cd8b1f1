"""The transforms of torchvision and timm as the field ``input`` of a card."""

import warnings
from collections.abc import Mapping
from typing import Any

from PIL import Image
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.models.readers.proof import PublishedInput, prove
from interpfer.registry import missing_package

IGNORED = ("ToTensor", "MaybeToTensor", "PILToTensor", "MaybePILToTensor", "ConvertImageDtype")
"""Transforms that change the type of a picture alone."""

DIGITS = 6
"""Decimals of a mean or standard deviation, which transforms hold as float32."""


def read_timm_config(config: Mapping[str, Any], where: str) -> PublishedInput:
    """Return the input that timm prepares for weights with a ``pretrained_cfg``.

    Args:
        config: the pretrained_cfg; timm's defaults replace missing fields.
        where: file that it is in, for messages.

    Raises:
        ModelError: timm is missing.
    """
    try:
        from timm.data.config import resolve_data_config
        from timm.data.transforms_factory import create_transform
    except ModuleNotFoundError as error:
        raise ModelError(f"{where} is of timm; reading it needs {missing_package(error)}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_config = resolve_data_config({}, pretrained_cfg=dict(config))  # type: ignore[no-untyped-call]
        transform = create_transform(**data_config, is_training=False)
    return read_transforms(transform, where)


def read_transforms(transform: Any, where: str) -> PublishedInput:
    """Return the input that a composition of transforms prepares.

    Args:
        transform: composition of torchvision or timm, or the preset of weights of torchvision.
        where: name of its source, for messages.
    """
    steps = list(getattr(transform, "transforms", [transform]))
    fields: dict[str, Any] = {"rounded": "pillow"}
    for step in steps:
        kind = type(step).__name__
        if kind in IGNORED:
            continue
        part = _READERS[kind](step) if kind in _READERS else None
        if part is None:
            return PublishedInput({}, f"{where}: the transform {kind} is not supported")
        fields |= part
    if "crop" not in fields and "resize" in fields:
        side = fields.pop("resize")
        fields["size"] = side[0] if isinstance(side, tuple) else side

    def publisher(picture: Image.Image) -> Tensor:
        result = transform(picture)
        assert isinstance(result, Tensor)
        return result

    return prove([fields], publisher, where, ", ".join(type(step).__name__ for step in steps))


def _interpolation(value: Any) -> str:
    return str(getattr(value, "value", value))


def _side(value: Any) -> int | None:
    """Return the side of a square size; None for another one."""
    sides = value if isinstance(value, list | tuple) else [value]
    return int(sides[0]) if len(set(sides)) == 1 else None


def _read_resize(step: Any) -> dict[str, Any]:
    size = step.size
    if isinstance(size, list | tuple):
        size = (int(size[0]), int(size[1])) if len(size) == 2 else int(size[0])
    return {"resize": size, "interpolation": _interpolation(step.interpolation)}


def _read_crop(step: Any) -> dict[str, Any] | None:
    side = _side(step.size)
    return None if side is None else {"crop": side}


def _read_normalise(step: Any) -> dict[str, Any]:
    mean, std = ([round(float(value), DIGITS) for value in values] for values in (step.mean, step.std))
    return {"mean": mean, "std": std}


def _read_preset(step: Any) -> dict[str, Any] | None:
    crop, resize = _side(step.crop_size), step.resize_size
    if crop is None:
        return None
    resize = int(resize[0]) if len(resize) == 1 else tuple(map(int, resize))
    return {
        "resize": resize,
        "crop": crop,
        "interpolation": _interpolation(step.interpolation),
        "mean": list(step.mean),
        "std": list(step.std),
    }


_READERS = {
    "Resize": _read_resize,
    "CenterCrop": _read_crop,
    "Normalize": _read_normalise,
    "ImageClassification": _read_preset,
}
"""Name of a transform -> function that returns its fields, None if they cannot be expressed."""
