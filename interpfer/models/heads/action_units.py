"""A linear head for action units beside the head of a network, which stays as it is (``finetune --au-head``)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models import ARCHITECTURES
from interpfer.models.card import ModelCard
from interpfer.models.heads.attach import SOURCES, layer_facts, layer_of
from interpfer.models.hooks import first_tensor, hooked
from interpfer.models.layer import Layer
from interpfer.models.model import Model
from interpfer.models.output import Output, OutputPart, find_tensors

ARCH = "interpfer:au-head"
"""Architecture of a card of these networks."""

NETWORK = "network."
"""Start of the names of the parameters of the network."""


class AUNetwork(nn.Module):
    """A network, and logits of action units: linear in the mean of one of its layers.

    Args:
        network: the network.
        layer: one of its layers, and how its output lies on a grid.
        aus: number of action units.
    """

    def __init__(self, network: nn.Module, layer: Layer, aus: int) -> None:
        super().__init__()
        self.network, self.aus = network, nn.Linear(layer.channels, aus)
        self._layer = layer

    def forward(self, x: Tensor, **arguments: Any) -> tuple[Any, Tensor]:
        """Return the output of the network, and (n, a) logits of action units."""
        recorded: list[Any] = []
        module = self.network.get_submodule(self._layer.name)
        handle = module.register_forward_hook(lambda _, __, output: recorded.append(output))
        try:
            output = self.network(x, **arguments)
        finally:
            handle.remove()
        features = first_tensor(recorded[-1], self._layer.part)
        assert features is not None
        return output, self.aus(self._layer.to_grid(features).mean((2, 3)))

    @property
    def num_prefix_tokens(self) -> int:
        """Number of class and register tokens of the network."""
        return self._layer.prefix


def attach_au_head(model: Model, aus: Sequence[int]) -> Model:
    """Return a classifier with logits for action units too, random and linear in the mean of its last layer.

    Its expressions are what they were. One that has such a head for the same action units is returned as it is.

    Args:
        model: the classifier, whose network is used, not copied.
        aus: FACS numbers in output order.

    Raises:
        ModelError: it has another output for action units, or its last layer cannot be read.

    Examples:
        >>> from interpfer.models.loading import load_model
        >>> from interpfer.models.small import SmallCNN
        >>> model = load_model(SmallCNN(2), classes=["anger", "fear"], input_size=64)
        >>> attach_au_head(model, (4, 5)).for_aus().outputs
        ('AU4', 'AU5')
    """
    if model.card.aus:
        if isinstance(model.module, AUNetwork) and model.card.aus == tuple(aus):
            return model
        numbers = ", ".join(map(str, model.card.aus))
        raise ModelError(f"model {model.name} has an output for action units ({numbers}): leave out --au-head.")
    (last,) = model.layers("last")
    if model.program is not None or "@" in last:
        raise ModelError(f"model {model.name}: its last layer {last} cannot be read once, so it takes no --au-head.")
    layer = model.layer(last)
    network = AUNetwork(model.module, layer, len(aus)).to(model.device)
    card = _card(model, layer, tuple(aus))
    return Model(model.name, network, card, model.device, model.sha256, model.notes)


def build_au_network(
    classes: int,
    network: str,
    layer: Mapping[str, Any],
    aus: int,
    network_args: Mapping[str, Any] | None = None,
) -> AUNetwork:
    """Return the untrained network that a card of ``attach_au_head`` describes.

    Args:
        classes: number of outputs, those of action units included.
        network: source and name of a network, such as "torchvision:resnet18".
        layer: name of its last layer and how its output lies on a grid.
        aus: number of action units.
        network_args: keyword arguments of the network.

    Raises:
        ModelError: the network is none of a library, or has no such layer.
    """
    source, _, name = network.partition(":")
    if source not in SOURCES:
        raise ModelError(f"{ARCH}: network must be one of {', '.join(SOURCES)}, got '{network}'.")
    built = ARCHITECTURES.get(source)(name, **({"classes": classes - aus} | dict(network_args or {})))
    place = layer_of(layer)
    if place.name not in dict(built.named_modules()):
        raise ModelError(f"{ARCH}: {network} has no layer '{place.name}'.")
    return AUNetwork(built, place, aus)


def _card(model: Model, layer: Layer, aus: tuple[int, ...]) -> ModelCard:
    card = model.card
    is_nameable = (card.arch or "").partition(":")[0] in SOURCES and card.head is None
    facts = {
        "network": card.arch,
        "network_args": dict(card.arch_args),
        "layer": layer_facts(layer),
        "aus": len(aus),
    }
    return replace(
        card,
        arch=ARCH if is_nameable else None,
        arch_args=facts if is_nameable else {},
        head=None,
        head_args={},
        output=_nested(model),
        aus=aus,
        aus_output=Output((OutputPart(1),)),
        layers=None if card.layers is None else tuple(f"{NETWORK}{name}" for name in card.layers),
    )


def _nested(model: Model) -> Output:
    """Return where the logits of the classes are, in a tuple whose first element is the output of the network."""
    output = model.card.output
    if output is None:
        with hooked(model.module, {}), torch.no_grad():
            value = model.forward(model.noise)
        n = len(model.classes)
        keys = [key for key, tensor in find_tensors(value) if tensor.shape[:2] == (1, n) and tensor.numel() == n]
        return Output((OutputPart(0 if isinstance(value, Tensor) else f"0.{keys[0]}"),))
    parts = (replace(part, key=0 if part.key is None else f"0.{part.key}") for part in output.parts)
    return Output(tuple(parts))
