"""The outputs of layers while a network runs in a loop of one's own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.capture import LayerRecorder
from interpfer.models.model import Model


class Watch(Mapping[str, Tensor]):
    """The outputs of chosen layers in the latest forward, part of its graph.

    Used with ``with``, around one forward or a whole training. Nothing of the network changes: parameters stay
    trainable, train and eval mode stay, and the hooks are removed at the end of the block, also after an error.

    Args:
        model: the classifier; of a module in memory, ``interpfer.load_model(network, classes=[...], input_size=N)``
            shares the weights.
        layers: "last", "all", or names as a list or a comma-separated text.

    Attributes:
        layers: names of the layers, in order.

    Raises:
        ModelError: a layer does not exist or is not spatial.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from interpfer.models.loading import load_model
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
        >>> model = load_model(network, classes=["anger", "happiness"], input_size=16)
        >>> with Watch(model, "last") as seen:
        ...     logits = network(torch.rand(4, 3, 16, 16))
        >>> seen["0"].shape, seen["0"].requires_grad
        (torch.Size([4, 8, 14, 14]), True)
    """

    def __init__(self, model: Model, layers: str | Sequence[str] = "last") -> None:
        self._model = model
        self.layers = model.layers(layers)
        self._recorder = LayerRecorder(model, self.layers, gradients=False)
        self._outputs: dict[str, Tensor] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Watch":
        network = self._model.module
        with ExitStack() as stack:
            stack.enter_context(self._recorder.attached())
            stack.callback(network.register_forward_pre_hook(self._start).remove)
            stack.callback(network.register_forward_hook(self._finish).remove)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __getitem__(self, layer: str) -> Float[Tensor, "n c gh gw"]:
        if layer not in self.layers:
            raise KeyError(layer)
        if not self._outputs:
            raise ModelError(f"layer {layer} of model {self._model.name} has no output yet: run the network first.")
        return self._model.to_grid(layer, self._outputs[layer])

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"Watch of {self._model.name}: {', '.join(self.layers)}"

    def _start(self, _: nn.Module, __: Any) -> None:
        self._recorder.forget()
        self._outputs = {}

    def _finish(self, _: nn.Module, __: Any, ___: Any) -> None:
        self._outputs = self._recorder.collect()
