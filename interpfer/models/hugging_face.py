"""Classifiers of transformers, of images or clips, as architectures of a card: ``arch: hf:TYPE``."""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from interpfer.errors import ModelError, TrustError
from interpfer.models.hugging_face_clips import find_builder
from interpfer.models.image_text.architecture import describe_image_text
from interpfer.models.image_text.network import ImageTextNetwork
from interpfer.models.messages import REVIEW
from interpfer.models.readers.own_code import find_code
from interpfer.registry import missing_package

SOURCE = "hf"
"""Source of these architectures in a card."""


def from_hugging_face(name: str, classes: int, **config: Any) -> nn.Module:
    """Return an untrained network of transformers.

    Args:
        name: type of the model as in config.json, such as "vit".
        classes: number of outputs, where the config does not name it.
        config: fields of config.json.

    Raises:
        ModelError: transformers is missing, or has no such image classifier.
        TrustError: the config names code or files of its own.
    """
    code = list(find_code(config))
    if code:
        raise TrustError(f"arch '{SOURCE}:{name}' contains its own code ({', '.join(code)}); {REVIEW}.")
    try:
        from transformers import CONFIG_MAPPING
    except ModuleNotFoundError as error:
        raise ModelError(f"arch '{SOURCE}:{name}' needs {missing_package(error)}") from error
    if name not in CONFIG_MAPPING:
        raise ModelError(f"arch '{SOURCE}:{name}': transformers has no model of this type.")
    builder = find_builder(name)
    fields = config if {"id2label", "num_labels"} & set(config) else {"num_labels": classes} | config
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: nn.Module = builder.from_config(CONFIG_MAPPING[name].from_dict(dict(fields)))
    return network


def describe_network(module: nn.Module) -> dict[str, Any] | None:
    """Return the card fields with which ``from_hugging_face`` builds a network of transformers.

    Args:
        module: any network.

    Returns:
        ``arch`` and ``arch_args``; None for a network of other libraries, and where the fields would build another one.
    """
    if isinstance(module, ImageTextNetwork):
        return describe_image_text(module)
    transformers = sys.modules.get("transformers")
    if transformers is None or not isinstance(module, transformers.PreTrainedModel):
        return None
    config = json.loads(module.config.to_json_string())
    name = str(config.pop("model_type", ""))
    try:
        with torch.device("meta"):
            again = from_hugging_face(name, 0, **config)
    except Exception:  # a class of another package, or code of its own
        return None
    is_same = type(again) is type(module) and list(_describe(again)) == list(_describe(module))
    return {"arch": f"{SOURCE}:{name}", "arch_args": config} if is_same else None


def _describe(module: nn.Module) -> Iterator[tuple[str, tuple[int, ...], torch.dtype]]:
    state: Mapping[str, torch.Tensor] = module.state_dict()
    return ((name, tuple(value.shape), value.dtype) for name, value in state.items())
