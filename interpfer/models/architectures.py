"""Builds the network that a model card names."""

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from torch import nn

from interpfer.errors import InterpferError, ModelError, TrustError, nearest
from interpfer.models import ARCHITECTURES
from interpfer.models.card import ModelCard
from interpfer.models.import_file import import_file, importable
from interpfer.models.messages import REVIEW
from interpfer.registry import missing_package

WEIGHT_ARGUMENTS = {"checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
"""Arguments with which timm reads other weights, from files that may run code or from the internet."""


def build(card: ModelCard, trust: bool) -> nn.Module:
    """Return the untrained network of a card, with its head.

    Args:
        card: the model card, with ``arch``.
        trust: allow the code of a file or module that the card names to run.

    Raises:
        TrustError: the card names a file or module whose code would run, and ``trust`` is False.
        ModelError: there is no such file, module or name, or calling it fails.
    """
    assert card.arch is not None
    if card.head is not None:
        from interpfer.models.heads.card import put_head

        return put_head(build(replace(card, head=None), trust), card)
    source, colon, name = card.arch.rpartition(":")
    if not colon or not source or not name:
        raise ModelError(
            "arch must be one of FILE.py:callable, package.module:callable, torchvision:NAME, timm:NAME, "
            f"got '{card.arch}'."
        )
    if source in ARCHITECTURES:
        builder: Callable[..., Any] = ARCHITECTURES.get(source)
        return _build_checked(lambda: builder(name, card.output_count, **card.arch_args), card.arch)
    if not trust:
        code = f"the file {card.folder / source}" if source.endswith(".py") else f"the module {source}"
        raise TrustError(f"arch '{card.arch}' would run {code}; {REVIEW}.")
    path = card.folder / source
    with importable(path) if source.endswith(".py") else nullcontext():
        module = import_file(path) if source.endswith(".py") else _import_module(source)
        if not hasattr(module, name):
            raise ModelError(f"arch '{card.arch}': {source} has no '{name}'.{nearest(name, dir(module))}")
        return _build_checked(lambda: getattr(module, name)(**card.arch_args), card.arch)


def from_torchvision(name: str, classes: int, **arguments: Any) -> nn.Module:
    """Return an untrained network of torchvision.

    Args:
        name: name of the network, such as "resnet18".
        classes: number of outputs.
        arguments: further keyword arguments of the network.

    Raises:
        ModelError: torchvision has no such network.
    """
    from torchvision.models import get_model, list_models

    if name not in list_models():
        raise ModelError(f"torchvision has no model '{name}'.{nearest(name, list_models())}")
    network: nn.Module = get_model(name, weights=None, **{"num_classes": classes} | arguments)
    return network


def from_timm(name: str, classes: int, **arguments: Any) -> nn.Module:
    """Return an untrained network of timm.

    Args:
        name: name of the network, such as "resnet10t".
        classes: number of outputs.
        arguments: further keyword arguments of the network.

    Raises:
        ModelError: timm is not installed, has no such network, or an argument would read other weights.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ModelError(f"arch 'timm:{name}' needs {missing_package(error)}") from error

    if not timm.is_model(name):
        raise ModelError(f"timm has no model '{name}'.{nearest(name, timm.list_models())}")
    if refused := sorted(WEIGHT_ARGUMENTS & set(arguments)):
        raise ModelError(
            f"arch 'timm:{name}': arch_args must not contain {', '.join(refused)}: "
            "the weights come from the checkpoint alone."
        )
    network: nn.Module = timm.create_model(name, pretrained=False, **{"num_classes": classes} | arguments)
    return network


def _build_checked(build_network: Callable[[], Any], arch: str) -> nn.Module:
    try:
        network = build_network()
    except InterpferError:
        raise
    except Exception as error:
        raise ModelError(f"arch '{arch}' cannot be built: {type(error).__name__}: {error}. Check arch_args.") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"arch '{arch}' must return a torch.nn.Module, got a {type(network).__name__}.")
    return network


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ModelError(f"module {name} cannot be imported: {type(error).__name__}: {error}.") from error
