"""What the attention of a transformer computes in a forward: probabilities, queries, keys and values."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.capture import AttentionCapture
from interpfer.maps.transformers import by_head
from interpfer.models.attention import record_attention

Projection = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values of a block, each (n, heads, t, d)."""


class TokenRecorder:
    """Records what the attention of a network computes in one forward.

    Args:
        network: the network.
        attentions: whether to record probabilities.
        projections: whether to record queries, keys and values.
    """

    def __init__(self, network: nn.Module, attentions: bool, projections: bool) -> None:
        self._network = network
        self._wanted = attentions, projections
        self._attentions: list[Tensor] = []
        self._projections: list[Projection] = []

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Record inside the block; the network is restored afterwards."""
        attentions, projections = self._wanted
        with ExitStack() as stack:
            if attentions:
                stack.enter_context(record_attention(self._network, self._attentions))
            if projections:
                stack.enter_context(record_projections(self._network, self._projections))
            yield

    def forget(self) -> None:
        """Drop what was recorded."""
        self._attentions, self._projections = [], []

    @property
    def in_graph(self) -> list[Tensor]:
        """Probabilities as they were recorded, part of the graph."""
        return self._attentions

    def captured(self, n: int, gradients: Sequence[Tensor]) -> AttentionCapture:
        """Return what was recorded, with the gradients of ``in_graph`` (none without a backward).

        Raises:
            ModelError: the network has no attention of all tokens to all.
        """
        blocks = tuple(by_head(self._attentions, n))
        return AttentionCapture(
            blocks, tuple(by_head(list(gradients), n)) if gradients else None, self.projections(True)
        )

    def attentions(self, n: int) -> tuple[Tensor, ...] | None:
        """Return the probabilities of each block, (n, heads, t, t); None where there is none of all tokens to all."""
        try:
            found = by_head(self._attentions, n) if self._attentions else []
            return tuple(each for each in found if each.shape[2] == each.shape[3]) or None  # without a pooling probe
        except ModelError:
            return None

    def projections(self, with_probe: bool = False) -> tuple[Projection, ...] | None:
        """Return queries, keys and values of each block; None where they are not found, or within windows.

        Args:
            with_probe: whether to return those of a probe that pools the tokens, too, which has one query.
        """
        blocks = [each for each in self._projections if each[0].shape[2] == each[1].shape[2]]
        if len({each[0].shape[2] for each in blocks}) != 1:
            return None
        return tuple(self._projections if with_probe else blocks)


@contextmanager
def record_projections(network: nn.Module, recorded: list[Projection]) -> Iterator[None]:
    """Append the queries, keys and values of every attention module of timm, torch and Hugging Face."""
    handles: list[Any] = []
    parts: dict[nn.Module, list[Tensor]] = {}

    def record(packed: Tensor, heads: int) -> None:
        if packed.dim() == 3:  # not within windows
            recorded.append(_split(packed.chunk(3, 2), heads))

    def record_packed(heads: int) -> Any:
        return lambda _, __, output: record(output, heads)

    def record_multihead(module: Any, arguments: Any, keywords: Any) -> None:
        tokens, *others = arguments or (keywords["query"], keywords["key"])
        if others and others[0] is not tokens and others[0].shape != tokens.shape:  # a probe that pools the tokens
            recorded.append(_project_probe(module, tokens, others[0]))
            return
        packed = F.linear(tokens, module.in_proj_weight, module.in_proj_bias)
        record(packed if module.batch_first else packed.transpose(0, 1), module.num_heads)

    def record_part(owner: nn.Module, heads: int) -> Any:
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            found = parts.setdefault(owner, [])
            found.append(output)
            if len(found) == 3 and output.dim() == 3:
                recorded.append(_split(found, heads))
                found.clear()

        return hook

    try:
        for module in network.modules():
            heads = getattr(module, "num_heads", getattr(module, "num_attention_heads", None))
            if isinstance(module, nn.MultiheadAttention):
                if module.in_proj_weight is not None:
                    handles.append(module.register_forward_pre_hook(record_multihead, with_kwargs=True))
            elif isinstance(getattr(module, "qkv", None), nn.Linear) and heads:
                handles.append(module.get_submodule("qkv").register_forward_hook(record_packed(heads)))
            elif heads:
                for names in (("query", "key", "value"), ("q_proj", "k_proj", "v_proj")):
                    if all(isinstance(getattr(module, name, None), nn.Linear) for name in names):
                        hook = record_part(module, heads)
                        handles += [module.get_submodule(name).register_forward_hook(hook) for name in names]
        yield
    finally:
        for handle in handles:
            handle.remove()


def _split(parts: Sequence[Tensor], heads: int) -> Projection:
    """Return queries, keys and values of each head, (n, heads, t, d), out of those of all heads, (n, t, heads d)."""
    query, key, value = (
        each.detach().float().reshape(*each.shape[:2], heads, each.shape[2] // heads).transpose(1, 2) for each in parts
    )
    return query, key, value


def _project_probe(module: Any, probe: Tensor, tokens: Tensor) -> Projection:
    """Return the queries of a probe, and the keys and values of the tokens that it pools."""
    inputs = (probe, tokens) if module.batch_first else (probe.transpose(0, 1), tokens.transpose(0, 1))
    biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    split = []
    for given, weight, bias in zip(
        (inputs[0], inputs[1], inputs[1]), module.in_proj_weight.chunk(3), biases, strict=True
    ):
        each = F.linear(given, weight, bias).detach().float()
        split.append(each.reshape(*each.shape[:2], module.num_heads, -1).transpose(1, 2))
    return split[0], split[1], split[2]
