"""The blocks of a transformer, and what turns a token after its last block into logits; proven on the batch itself."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.head import same_logits
from interpfer.models.attention import attention_modules
from interpfer.models.hooks import first_tensor
from interpfer.models.image_text.network import ImageTextNetwork
from interpfer.models.image_text.patches import TokenLogits
from interpfer.models.model import Model

POOLS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "class token": lambda tokens, _: tokens[:, 0],
    "mean of all tokens": lambda tokens, _: tokens.mean(1),
    "mean of the patches": lambda tokens, prefix: tokens[:, prefix:].mean(1),
}
"""What a head may read of the tokens."""


def find_blocks(network: nn.Module) -> list[str]:
    """Return the names of the blocks of a transformer: each the largest module with one attention.

    Raises:
        ModelError: the network has fewer than two.
    """
    attentions = set(attention_modules(network))
    counts = {name: sum(each in attentions for each in module.modules()) for name, module in network.named_modules()}
    parents = {name: name.rpartition(".")[0] for name in counts if name}
    blocks = [name for name, count in counts.items() if count == 1 and name and counts[parents[name]] > 1]
    if len(blocks) < 2:
        raise ModelError("no blocks with attention were found in it, at least two are needed.")
    return blocks


class TokenHead:
    """The modules after the last block, applied to tokens one by one.

    Args:
        network: the network.
        block: name of the last block.
    """

    def __init__(self, network: nn.Module, block: str) -> None:
        self._network, self._block = network, network.get_submodule(block)
        self._calls: list[tuple[nn.Module, int]] = []
        self._tokens: Tensor | None = None
        self._before: list[nn.Module] = []
        self._after: list[list[nn.Module]] = []

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record which modules run after the last block, in a forward inside the block."""
        inside = set(self._block.modules())
        leaves = [each for each in self._network.modules() if each not in inside and not list(each.children())]

        def start(_: nn.Module, __: Any, output: Any) -> None:
            self._calls, self._tokens = [], first_tensor(output)

        def record(module: nn.Module, arguments: Any, _: Any) -> None:
            if arguments and isinstance(arguments[0], Tensor):
                self._calls.append((module, arguments[0].dim()))

        handles = [self._block.register_forward_hook(start)]
        handles += [leaf.register_forward_hook(record) for leaf in leaves]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def require_logits(self, model: Model, logits: Float[Tensor, "n k"], prefix: int) -> None:
        """Check that these modules turn the pooled tokens into the logits, before or after the pooling.

        Raises:
            ModelError: they do not.
        """
        tokens, calls = self._tokens, tuple(self._calls)
        if isinstance(self._network, ImageTextNetwork):
            self._before, self._after = [], [[TokenLogits(self._network, self._block, bool(model.classes))]]
            if tokens is not None and self._gives(tokens, lambda features: [features[:, 0]], model, logits):
                return
        elif tokens is not None and tokens.dim() == 3 and calls:
            self._before = [module for module, axes in calls if axes == 3]
            self._after = [[module for module, axes in calls if axes != 3]]
            linear = [module for module in self._after[0] if isinstance(module, nn.Linear)]
            for pool in POOLS.values():
                if self._gives(tokens, partial(_read, pool, prefix), model, logits):
                    return
            self._after = [[module] for module in linear]  # each class token has its own, as in distilled DeiT
            count = len(linear)
            if count > 1 and self._gives(tokens, lambda features: features[:, :count].unbind(1), model, logits):
                return
        raise ModelError(
            "it needs a transformer with one head that reads the class token or the mean of the tokens, as in ViT; "
            "what follows the last block of this one does not give the logits."
        )

    def __call__(self, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n t k"]:
        """Return the logits of each token."""
        features = _apply(self._before, tokens)
        return torch.stack([_apply(head, features) for head in self._after]).mean(0)

    def _gives(self, tokens: Tensor, read: Callable[[Tensor], Sequence[Tensor]], model: Model, logits: Tensor) -> bool:
        """Return whether the mean of the heads, of what they read of the tokens, is the logits."""
        try:
            with torch.no_grad():
                parts = zip(self._after, read(_apply(self._before, tokens.detach())), strict=True)
                found = torch.stack([_apply(head, part) for head, part in parts]).mean(0)
        except RuntimeError:
            return False
        return found.shape == logits.shape and same_logits(found.float(), logits.detach(), model.precision)


def _read(pool: Callable[[Tensor, int], Tensor], prefix: int, features: Tensor) -> list[Tensor]:
    return [pool(features, prefix)]


def _apply(modules: Sequence[nn.Module], tokens: Tensor) -> Tensor:
    for module in modules:
        tokens = module(tokens)
    return tokens
