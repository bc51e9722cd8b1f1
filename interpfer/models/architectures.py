"""Builds the network that a card names."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from interpfer.errors import InterpferError, ModelError, TrustError, nearest
from interpfer.models import ARCHITECTURES
from interpfer.models.card import ModelCard
from interpfer.registry import missing_package

OTHER_WEIGHTS = {"checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
"""Arguments with which timm reads other files, which may run code, or the network."""


def build(card: ModelCard, trust: bool) -> nn.Module:
    """Return the untrained network of a card.

    Raises:
        TrustError: the card names a file or module whose code would run, and ``trust`` is False.
        ModelError: there is no such file, module or name, or calling it fails.
    """
    assert card.arch is not None
    source, colon, name = card.arch.rpartition(":")
    if not colon or not source or not name:
        raise ModelError(
            f"arch '{card.arch}' is none of FILE.py:callable, package.module:callable, torchvision:NAME, timm:NAME."
        )
    if source in ARCHITECTURES:
        make: Callable[..., Any] = ARCHITECTURES.get(source)
        return _checked(lambda: make(name, len(card.classes), **card.arch_args), card.arch)
    if not trust:
        what = f"the file {card.folder / source}" if source.endswith(".py") else f"the module {source}"
        raise TrustError(f"arch '{card.arch}' would run {what}; read it, then say --trust (trust=True).")
    module = import_file(card.folder / source) if source.endswith(".py") else _import_module(source)
    if not hasattr(module, name):
        raise ModelError(f"arch '{card.arch}': {source} has no '{name}'.{nearest(name, dir(module))}")
    return _checked(lambda: getattr(module, name)(**card.arch_args), card.arch)


def from_torchvision(name: str, classes: int, **arguments: Any) -> nn.Module:
    """Return a network of torchvision, without weights."""
    from torchvision.models import get_model, list_models

    if name not in list_models():
        raise ModelError(f"torchvision has no model '{name}'.{nearest(name, list_models())}")
    network: nn.Module = get_model(name, weights=None, **{"num_classes": classes} | arguments)
    return network


def from_timm(name: str, classes: int, **arguments: Any) -> nn.Module:
    """Return a network of timm, without weights."""
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ModelError(f"arch 'timm:{name}' needs {missing_package(error)}") from error

    if not timm.is_model(name):
        raise ModelError(f"timm has no model '{name}'.{nearest(name, timm.list_models())}")
    if OTHER_WEIGHTS & set(arguments):
        told = ", ".join(sorted(OTHER_WEIGHTS & set(arguments)))
        raise ModelError(f"arch 'timm:{name}': arch_args may not hold {told}: the weights are those of the checkpoint.")
    network: nn.Module = timm.create_model(name, pretrained=False, **{"num_classes": classes} | arguments)
    return network


def _checked(make: Callable[[], Any], arch: str) -> nn.Module:
    try:
        network = make()
    except InterpferError:
        raise
    except Exception as error:
        raise ModelError(f"arch '{arch}' cannot be built: {type(error).__name__}: {error}. See arch_args.") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"arch '{arch}' returned a {type(network).__name__}, not a torch.nn.Module.")
    return network


def import_file(path: Path) -> Any:
    """Import a FILE.py; its code runs.

    Raises:
        ModelError: there is no such file, or it fails.
    """
    if not path.is_file():
        raise ModelError(f"arch names the file {path}, which does not exist.")
    name = f"interpfer_arch_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ModelError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    return module


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ModelError(f"module {name} cannot be imported: {type(error).__name__}: {error}.") from error
