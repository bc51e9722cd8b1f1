"""The networks of torchvision and timm: their names, the shapes of their weights, and their usual input."""

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models import ARCHITECTURES
from interpfer.models.readers.transforms import read_timm_config, read_transforms

SIZE_ARGUMENTS = {"timm": "img_size", "torchvision": "image_size"}
"""Source -> argument for the image size of a ViT."""

IMAGENET = {"mean": "imagenet"}
"""Fields of a card's ``input`` for the usual normalisation."""

PRETRAINED = "pretrained"
"""Value of ``input`` in a card for that of the pretrained weights of its network."""

PRETRAINED_CLASSES = 1000
"""Number of outputs where none is asked for."""


@cache
def list_networks() -> tuple[str, ...]:
    """Return the names of the classifiers of torchvision, and of timm if it is installed."""
    import torchvision.models

    names = [f"torchvision:{name}" for name in torchvision.models.list_models(module=torchvision.models)]
    try:
        import timm
    except ModuleNotFoundError:
        return tuple(names)
    return (*names, *(f"timm:{name}" for name in timm.list_models()))


def build_network(arch: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return an untrained network.

    Args:
        arch: source and name, such as "timm:resnet10t".
        arguments: keyword arguments of the network.
    """
    source, _, name = arch.partition(":")
    others = {key: value for key, value in arguments.items() if key != "classes"}
    return ARCHITECTURES.get(source)(name, **{"classes": PRETRAINED_CLASSES} | others)


def build_without_storage(arch: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return an untrained network whose tensors have no storage, if the network allows that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"):
                return build_network(arch, arguments)
        except (RuntimeError, NotImplementedError):  # its constructor computes with values of tensors
            return build_network(arch, arguments)


def find_shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by name."""
    return {name: tuple(value.shape) for name, value in weights.items()}


def find_network_shapes(arch: str, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a network by name."""
    return find_shapes(build_without_storage(arch, arguments).state_dict())


def find_pretrained_input(arch: str | None, where: str) -> dict[str, Any]:
    """Return the fields of ``input`` that the pretrained weights of a network were published with.

    Args:
        arch: source and name, such as "torchvision:resnet18"; the weights are the library's default ones.
        where: name of the card, for messages.

    Raises:
        ModelError: the network is not of torchvision or timm, has no pretrained weights, or a card cannot say how
            their pictures are prepared.

    Examples:
        >>> find_pretrained_input("torchvision:resnet18", "model.yaml")["resize"]
        256
    """
    source, _, name = (arch or "").partition(":")
    place = f"model card {where}: input: {PRETRAINED}"
    if source == "timm":
        import timm

        config: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
        published = None if config is None else read_timm_config(config.to_dict(), f"{place}: {arch}")
    elif source == "torchvision":
        from torchvision.models import get_model_weights

        weights: Any = getattr(get_model_weights(name), "DEFAULT", None)
        published = None if weights is None else read_transforms(weights.transforms(), f"{place}: {arch}")
    else:
        raise ModelError(f"{place} is for networks of torchvision and timm, got arch {arch}; write the fields instead.")
    if published is None:
        raise ModelError(f"{place}: {arch} has no pretrained weights; write the fields instead.")
    if published.problem:
        raise ModelError(f"{published.problem}.")
    return dict(published.fields)


def find_usual_input(network: nn.Module, arch: str) -> tuple[int, dict[str, Any]]:
    """Return the image size in pixels and the normalisation (fields of ``input``) of the pretrained weights."""
    source, _, name = arch.partition(":")
    if source == "timm":
        config = getattr(network, "pretrained_cfg", None) or {}
        mean, std = config.get("mean"), config.get("std")
        size = int((config.get("input_size") or (3, 224, 224))[-1])
        return size, {"mean": [*mean], "std": [*std]} if mean and std and round(mean[0], 3) != 0.485 else IMAGENET
    from torchvision.models import get_model_weights

    transforms = getattr(next(iter(get_model_weights(name)), None), "transforms", None)
    return int(getattr(transforms, "keywords", {}).get("crop_size", 224)), IMAGENET
