"""Class and patch tokens that are re-weighed by their attention in training (``--token-weights``).

At the last layer of a transformer, tokens to which the class token attends more than to the mean token, or which attend
more to it, are strengthened, and all others weakened; off in evaluation, as attention-based dropout is.

The idea is that of DOEI (Zhu et al. 2025, arXiv 2502.15885), whose formulas, split and factors are not published. Ours:
the attention is the mean over blocks and heads, both directions added, the split is its mean over the tokens of an
image, and the factor is the same up and down.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import InterpferError
from interpfer.finetuning.plugins import Plugin
from interpfer.models.attention import record_attention
from interpfer.models.heads.network import HeadedNetwork
from interpfer.models.hooks import first_tensor, replace_first
from interpfer.models.model import Model


class TokenWeights(Plugin):
    """The re-weighing of the tokens of a model.

    Args:
        model: the classifier: a transformer with a class token, and a head of interpfer on its patches.
        strength: share by which tokens are strengthened or weakened.

    Raises:
        InterpferError: it is another network.
    """

    def __init__(self, model: Model, strength: float) -> None:
        self._strength, self._model = strength, model
        network = model.module
        if not isinstance(network, HeadedNetwork) or network.layer.layout != "tokens" or not network.layer.prefix:
            raise InterpferError(
                f"--token-weights needs a transformer with a class token and a head on its patches, and {model.name} "
                "has none: pass --head ts-cam with a network such as timm:deit_small_patch16_224, or leave it out."
            )
        self._layer = network.layer
        self._trunk = network.trunk
        self._recorded: list[Tensor] = []

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Re-weigh the tokens inside the block."""
        self._recorded.clear()
        module = self._trunk.get_submodule(self._layer.name)
        handle = module.register_forward_hook(self._weigh)
        try:
            with record_attention(self._trunk, self._recorded):
                yield
        finally:
            handle.remove()
            self._recorded.clear()

    def _weigh(self, module: nn.Module, _: Any, output: Any) -> Any:
        tokens = first_tensor(output, self._layer.part)
        if tokens is None or not module.training or not self._recorded:
            return None
        n, t = tokens.shape[:2]
        attention = torch.cat([each.detach().reshape(n, -1, t, t) for each in self._recorded], 1)
        return replace_first(output, weigh_tokens(tokens, attention.mean(1), self._strength), self._layer.part)


def weigh_tokens(
    tokens: Float[Tensor, "n t d"], attention: Float[Tensor, "n t t"], strength: float
) -> Float[Tensor, "n t d"]:
    """Return tokens times 1 + strength where the class token, the first, and they attend much to each other.

    All others are multiplied by 1 - strength; much is at least the mean over the tokens, the class token included.

    Examples:
        >>> attention = torch.tensor([[[0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8]]])
        >>> weigh_tokens(torch.ones(1, 3, 1), attention, 0.25).flatten().tolist()  # sums .4, 1, .2
        [0.75, 1.25, 0.75]
    """
    both = attention[:, 0] + attention[:, :, 0]
    sign = torch.where(both >= both.mean(1, keepdim=True), 1.0, -1.0).to(tokens)
    return tokens * (1 + strength * sign)[:, :, None]
