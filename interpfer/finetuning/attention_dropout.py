"""Attention-based dropout while a network is trained (``--adl``); the network itself stays as it is.

Where it drops follows Choe and Shim 2019 on ResNets: after the first block of the last stage but one, and after the
first and the last block of the last stage. A stage that is no sequence of blocks has it at its end.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from interpfer.errors import InterpferError
from interpfer.finetuning.plugins import Plugin
from interpfer.models.attention_dropout import PUBLISHED_DROP, AttentionDropout
from interpfer.models.hooks import first_tensor, replace_first
from interpfer.models.layer import Layer
from interpfer.models.layers import split_call
from interpfer.models.model import Model

STAGES = 2
"""Number of stages at the end of a network in which features are dropped."""


def parse_rates(value: str | Sequence[float] | None) -> tuple[float, float] | None:
    """Return rate and threshold of ``--adl RATE,THRESHOLD``.

    Raises:
        InterpferError: they are not two numbers between 0 and 1.

    Examples:
        >>> parse_rates("0.75,0.9")
        (0.75, 0.9)
    """
    if value is None:
        return None
    try:
        numbers = [float(item) for item in (value.split(",") if isinstance(value, str) else value)]
    except ValueError:
        numbers = []
    if len(numbers) != 2 or not all(0 <= number <= 1 for number in numbers):
        published = ",".join(map(str, PUBLISHED_DROP))
        raise InterpferError(
            f"adl must be RATE,THRESHOLD, two numbers between 0 and 1 such as {published}, got '{value}'."
        )
    return numbers[0], numbers[1]


def find_dropout_layers(model: Model) -> tuple[str, ...]:
    """Return the layers after which features are dropped.

    Examples:
        >>> from interpfer.models.loading import load_model
        >>> from torchvision.models import resnet18
        >>> find_dropout_layers(load_model(resnet18(num_classes=2), classes=["anger", "fear"], input_size=64))
        ('layer3.0', 'layer4.0', 'layer4')
    """
    stages = [split_call(name)[0] for name in model.layers("all")][-STAGES:]
    names: list[str] = []
    for place, stage in enumerate(stages, start=1):
        blocks = _find_blocks(model, model.layer(stage))
        names += blocks[:1]
        if place == len(stages) or not blocks:
            names.append(stage)
    return tuple(dict.fromkeys(names))


def _find_blocks(model: Model, stage: Layer) -> tuple[str, ...]:
    """Return the blocks of a stage in order: of its modules, the largest group of siblings with its output's shape."""
    groups: dict[str, list[str]] = {}
    for layer in model.spatial_layers:
        is_block = layer.is_composite and not isinstance(model.module.get_submodule(layer.name), nn.Sequential)
        is_inside = layer.name.startswith(f"{stage.name}.")
        if is_block and is_inside and (layer.grid, layer.channels) == (stage.grid, stage.channels):
            groups.setdefault(layer.name.rpartition(".")[0], []).append(layer.name)
    largest = max(groups.values(), key=lambda names: (len(names), -names[0].count(".")), default=[])
    return tuple(largest) if len(largest) > 1 else ()


class FeatureDropout(Plugin):
    """Attention-based dropout bound to the layers of a model.

    A network that has such layers of its own, as those of the reference, gets their rate and threshold instead of
    further ones. Modules in evaluation mode, such as frozen ones, drop nothing. Hooks of others that are there already
    get the features before the dropout.

    Args:
        model: the classifier.
        rates: rate and threshold.

    Attributes:
        layers: names of the layers after which features are dropped.
    """

    def __init__(self, model: Model, rates: tuple[float, float]) -> None:
        self._dropout = AttentionDropout(*rates)
        own = {name: each for name, each in model.module.named_modules() if isinstance(each, AttentionDropout)}
        for each in own.values():
            each.rate, each.threshold = rates
        found = {} if own else {name: model.layer(name) for name in find_dropout_layers(model)}
        self.layers = (*own, *found)
        self._places = {model.module.get_submodule(name): layer for name, layer in found.items()}

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Drop features inside the block."""
        handles = [module.register_forward_hook(self._drop) for module in self._places]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _drop(self, module: nn.Module, _: Any, output: Any) -> Any:
        layer = self._places[module]
        features = first_tensor(output, layer.part)
        if features is None or not module.training:
            return None
        return replace_first(output, self._dropout.drop(features, layer.layout, layer.prefix), layer.part)
