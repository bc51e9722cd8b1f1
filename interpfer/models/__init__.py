"""Trained classifiers: model cards, safe loading, and the same interface for all of them."""

from typing import TYPE_CHECKING

from interpfer.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

ARCHITECTURES: "Registry[Callable[..., nn.Module]]" = Registry(
    "architecture source",
    "interpfer.models",
    {
        "hf": "interpfer.models.hugging_face:from_hugging_face",
        "image-text": "interpfer.models.image_text.architecture:from_image_text",
        "interpfer": "interpfer.models.small:from_interpfer",
        "open_clip": "interpfer.models.image_text.open_clip:from_open_clip",
        "timm": "interpfer.models.architectures:from_timm",
        "torchvision": "interpfer.models.architectures:from_torchvision",
    },
)
