"""Merges a LoRA adapter into the weights that it was trained on (Hu et al. 2021, arXiv 2106.09685)."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.models.messages import list_few

PREFIX = "base_model.model."
FACTOR = re.compile(r"(?P<layer>.+)\.lora_(?P<side>A|B)(\.default)?\.(?P<kind>weight|bias)")
UNSUPPORTED = {
    "use_dora": "DoRA", "layer_replication": "replicated layers", "eva_config": "", "corda_config": "",
    "use_qalora": "QA-LoRA", "alora_invocation_tokens": "aLoRA",
}  # fmt: skip
"""Setting -> kind of adapter whose weights are not W + scale B A; "" for one that only decides the initialisation."""


def find_unsupported(config: Mapping[str, Any]) -> str:
    """Return the kind of an adapter that cannot be merged here, or "".

    Args:
        config: content of adapter_config.json.
    """
    kind = str(config.get("peft_type") or "an unnamed kind")
    if kind.upper() != "LORA":
        return kind
    return next((name for field, name in UNSUPPORTED.items() if name and config.get(field)), "")


def merge_lora(
    weights: Mapping[str, Tensor], adapter: Mapping[str, Tensor], config: Mapping[str, Any], where: str
) -> dict[str, Tensor]:
    """Return the weights with an adapter: W + s B A for each pair of factors, and the layers that it replaces.

    The scale s is alpha / r, with ``use_rslora`` alpha / sqrt(r). For a convolution, B is of size 1 x 1.

    Args:
        weights: name -> tensor of the network that the adapter was trained on.
        adapter: name -> tensor in the adapter's file.
        config: content of adapter_config.json.
        where: the adapter, for messages.

    Raises:
        ModelError: the network has no such layer, or a layer of another shape.

    Examples:
        >>> factors = {"fc.lora_A.weight": torch.tensor([[1.0, 2.0]]), "fc.lora_B.weight": torch.tensor([[3.0]])}
        >>> merge_lora({"fc.weight": torch.ones(1, 2)}, factors, {"lora_alpha": 2}, "adapter")["fc.weight"]
        tensor([[ 7., 13.]])
    """
    merged = dict(weights)
    factors: dict[str, dict[str, Tensor]] = {}
    for name, value in adapter.items():
        plain = name.removeprefix(PREFIX)
        match = FACTOR.fullmatch(plain)
        if match is not None:
            factors.setdefault(match["layer"], {})[f"{match['side']}.{match['kind']}"] = value
            continue
        if ".lora_" in plain:
            raise ModelError(f"{where}: '{name}' is not a factor of a linear layer or convolution; merge it with peft.")
        target = plain_name(name)
        _require_layer(target, merged, where)
        merged[target] = value
    for layer, parts in factors.items():
        for name, change in _list_changes(layer, parts, config, where):
            _require_layer(name, merged, where)
            old = merged[name]
            if change.dim() == 2 and config.get("fan_in_fan_out"):
                change = change.T
            if change.shape != old.shape:
                raise ModelError(
                    f"{where}: the change of {name} is {tuple(change.shape)}, the layer {tuple(old.shape)}: "
                    "the adapter belongs to another network."
                )
            merged[name] = (old.float() + change.float()).to(old.dtype)
    return merged


def plain_name(name: str) -> str:
    """Return the name that a tensor of an adapter's file has in its base.

    Examples:
        >>> plain_name("base_model.model.classifier.modules_to_save.default.weight")
        'classifier.weight'
    """
    return re.sub(r"\.modules_to_save(\.default)?(?=\.)|\.base_layer(?=\.)", "", name.removeprefix(PREFIX))


def _list_changes(
    layer: str, parts: Mapping[str, Tensor], config: Mapping[str, Any], where: str
) -> Iterator[tuple[str, Tensor]]:
    """Yield the name of each tensor of a layer that changes, and its change."""
    first, second = parts.get("A.weight"), parts.get("B.weight")
    if first is None or second is None or second.shape[1] != first.shape[0]:
        raise ModelError(f"{where}: the factors of {layer} are not a pair; copy or download the adapter again.")
    alpha = _select(layer, config.get("alpha_pattern"), config.get("lora_alpha", 8))
    rank = first.shape[0]
    scale = float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)
    product = torch.tensordot(second.float().flatten(1), first.float(), dims=1)
    yield f"{layer}.weight", scale * product
    if "B.bias" in parts:
        yield f"{layer}.bias", scale * parts["B.bias"]


def _select(layer: str, patterns: Any, default: Any) -> Any:
    """Return the value of the first pattern that the end of a layer's name matches."""
    for pattern, value in (patterns or {}).items():
        if layer == pattern or re.fullmatch(rf"(.*\.)?({pattern})", layer):
            return value
    return default


def _require_layer(name: str, weights: Mapping[str, Tensor], where: str) -> None:
    if name not in weights:
        near = [other for other in weights if other.rpartition(".")[2] == name.rpartition(".")[2]]
        raise ModelError(
            f"{where}: its base has no '{name}' (it has {list_few(near)}): the adapter belongs to another network."
        )
