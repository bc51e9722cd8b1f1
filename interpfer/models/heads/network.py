"""A network up to one of its layers, with a head on the grid of that layer."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.attention import record_attention
from interpfer.models.heads.base import Head
from interpfer.models.heads.ts_cam import TokenAttention
from interpfer.models.hooks import first_tensor
from interpfer.models.layer import Layer

TRUNK, HEAD = "trunk.", "head."
"""Starts of the names of their parameters."""


class _ReachedError(Exception):
    """The layer has its output; what follows in the network is not run."""


class HeadedNetwork(nn.Module):
    """A network up to one of its layers, and a head on the grid of that layer.

    Args:
        trunk: the network; what it runs after the layer is not run.
        layer: name of the layer in the trunk, and how its output lies on a grid.
        head: from that grid to logits.

    Attributes:
        token_attention: the attention of the class token as a layer, where the head is for transformers that have one;
            computed only while a hook reads it.

    Raises:
        ModelError: the head needs a class token, and the layer has none.
    """

    def __init__(self, trunk: nn.Module, layer: Layer, head: Head) -> None:
        super().__init__()
        if head.needs_class_token and not layer.prefix:
            raise ModelError(
                f"a {type(head).__name__} needs a transformer with a class token, such as timm:deit_small_patch16_224; "
                f"{type(trunk).__name__} has none at its last layer, {layer.describe()}."
            )
        self.trunk, self.head = trunk, head
        self.token_attention = TokenAttention(layer) if head.needs_class_token else None
        self._layer = layer

    def forward(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n k"]:
        """Return logits."""
        if self.token_attention is None or not self.token_attention._forward_hooks:
            return self._run(x)
        blocks: list[Tensor] = []
        with record_attention(self.trunk, blocks):
            logits = self._run(x)
        self.token_attention(blocks, len(x))
        return logits

    def _run(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n k"]:
        reached: list[Any] = []

        def stop(_: nn.Module, __: Any, output: Any) -> None:
            reached.append(output)
            raise _ReachedError

        handle = self.trunk.get_submodule(self._layer.name).register_forward_hook(stop)
        try:
            self.trunk(x)
        except _ReachedError:
            pass
        finally:
            handle.remove()
        output = first_tensor(reached[0], self._layer.part)
        assert output is not None
        logits: Tensor = self.head(self._layer.to_grid(output))
        return logits

    @property
    def layer(self) -> Layer:
        """The last layer of the trunk."""
        return self._layer

    @property
    def num_prefix_tokens(self) -> int:
        """Number of class and register tokens of the trunk."""
        return self._layer.prefix


def join_names(network: nn.Module, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return weights under the names that a network with a head has, where they lack its ``trunk.`` and ``head.``.

    The trunk's tensors keep their names; the head takes what is left, each by the last part of its name and its
    number of values, if that is one tensor alone.

    Args:
        network: the network.
        weights: name -> tensor in the file.
    """
    expected = network.state_dict()
    if not isinstance(network, HeadedNetwork) or any(name.startswith(TRUNK) for name in weights):
        return weights
    renamed = {f"{TRUNK}{name}": value for name, value in weights.items() if f"{TRUNK}{name}" in expected}
    left = {name: value for name, value in weights.items() if f"{TRUNK}{name}" not in expected}
    if not renamed:
        return weights
    for wanted in [name for name in expected if name.startswith(HEAD)]:
        ending, values = wanted.rpartition(".")[2], expected[wanted].numel()
        fitting = [name for name, value in left.items() if name.split(".")[-1] == ending and value.numel() == values]
        if len(fitting) == 1:
            renamed[wanted] = left.pop(fitting[0]).reshape(expected[wanted].shape)
    return {**renamed, **left}
