"""A network to train, of torchvision, timm or interpfer: with random weights, or with those for ImageNet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.architectures import build
from interpfer.models.card import parse_card
from interpfer.models.known_networks import PRETRAINED, find_pretrained_input
from interpfer.models.loading import NO_CARD_FIELD, card_fields
from interpfer.models.model import Model
from interpfer.models.preset import merge_cards

APVIT_INPUT: Mapping[str, Any] = {"size": 112, "mean": "imagenet"}
"""How images are prepared for an APViT, as in the authors' configuration."""


def new_network(network: str, pretrained: bool = False, **options: Any) -> Model:
    """Return a network of a library to train.

    Args:
        network: source and name, such as "torchvision:resnet18".
        pretrained: whether to start with the library's weights for ImageNet, except those of the last layer.
        options: arguments of ``load_model``; ``classes`` is needed. Images are prepared as those weights want them,
            unless an option says otherwise.

    Returns:
        The model; its random weights are those of torch's current random state.

    Raises:
        ModelError: there is no such network, no classes are named, or it has no such weights at hand.

    Examples:
        >>> model = new_network("torchvision:resnet18", classes="rafdb", input_size=64)
        >>> len(model.classes), model.card.input.size
        (7, 64)
    """
    fields = card_fields(
        {key: value for key, value in options.items() if key not in NO_CARD_FIELD}, options.get("preset")
    )
    fields = merge_cards({"input": _usual_input(network, fields)}, fields) | {"arch": network}
    if _is_apvit(network):
        fields["arch_args"] = {"size": fields["input"]["size"]} | dict(fields.get("arch_args") or {})
    if pretrained and network.startswith("interpfer:"):
        raise ModelError(f"--pretrained needs torchvision:NAME or timm:NAME as MODEL, got {network}; leave it out.")
    card = parse_card(fields, f"of {network}", Path())
    module = build(card, trust=False)
    if pretrained:
        _load_pretrained(module, network, len(card.classes))
    name = options.get("name") or network.partition(":")[2]
    note = f"{network} starts with {'weights for ImageNet and a new last layer' if pretrained else 'random weights'}"
    return Model(name, module, card, notes=(note,))


def _usual_input(arch: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return how images are prepared for the pretrained weights; of another size than theirs only the normalisation."""
    if _is_apvit(arch):
        return dict(APVIT_INPUT)
    try:
        usual = find_pretrained_input(arch, f"of {arch}")
    except ModelError:
        return {"size": 224, "mean": "imagenet"}
    named = fields.get("input")
    if isinstance(named, Mapping) and "size" in named:
        return {key: usual[key] for key in ("mean", "std", "scale") if key in usual}
    return usual


def _is_apvit(arch: str) -> bool:
    return arch.startswith("interpfer:apvit")


def _load_pretrained(network: nn.Module, arch: str, classes: int) -> None:
    source, _, name = arch.partition(":")
    try:
        weights = _torchvision_weights(name) if source == "torchvision" else _timm_weights(name, classes)
    except ModelError:
        raise
    except Exception as error:
        place = Path(torch.hub.get_dir()) / "checkpoints" if source == "torchvision" else "the cache of Hugging Face"
        raise ModelError(
            f"the {PRETRAINED} weights of {arch} are not in {place} and cannot be downloaded "
            f"({type(error).__name__}); place them there, or leave out --pretrained."
        ) from error
    own = network.state_dict()
    fitting = {key: value for key, value in weights.items() if key in own and own[key].shape == value.shape}
    left = [key for key in own if key not in fitting]
    if len(left) > 2:
        raise ModelError(f"the {PRETRAINED} weights of {arch} do not fit the network: {', '.join(left[:4])} ...")
    network.load_state_dict(fitting, strict=False)


def _torchvision_weights(name: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    default: Any = getattr(get_model_weights(name), "DEFAULT", None)
    if default is None:
        raise ModelError(f"torchvision has no {PRETRAINED} weights of {name}; leave out --pretrained.")
    weights: Mapping[str, Tensor] = default.get_state_dict(progress=False, check_hash=True)
    return weights


def _timm_weights(name: str, classes: int) -> Mapping[str, Tensor]:
    import timm

    if not timm.models.is_model_pretrained(name):
        raise ModelError(f"timm has no {PRETRAINED} weights of {name}; leave out --pretrained.")
    network: nn.Module = timm.create_model(name, pretrained=True, num_classes=classes)
    return network.state_dict()
