"""Maps of transformers: rollouts of their attention probabilities, and TS-CAM.

The probabilities are read from timm's attention (unfused meanwhile), the attention of Hugging Face models (eager
meanwhile), ``nn.MultiheadAttention`` (with its weights returned, as in torchvision's ViT), and that of Keras. Rollout
needs attention of all tokens to all tokens; attention within windows has none.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.maps.capture import forward
from interpfer.maps.head import class_map, same_logits
from interpfer.models.layer import Layer
from interpfer.models.layers import PREFIX_TOKENS
from interpfer.models.model import Model

Probabilities = Float[Tensor, "n heads t t"]


@model_map(
    source="Abnar and Zuidema 2020, arXiv 2005.00928", layer=False, class_specific=False, cost=ONE_PASS, inside=True
)
def attention_rollout(context: MapContext) -> RawMap:
    """Product over the blocks of head-averaged attention and the residual path."""
    blocks, _ = _attention(context, gradients=False)
    rolled = None
    for block in blocks:
        mixed = block.mean(1) + torch.eye(block.shape[-1], device=block.device)
        mixed = mixed / mixed.sum(2, keepdim=True)
        rolled = mixed if rolled is None else mixed @ rolled
    assert rolled is not None
    return to_grid(rolled, context)


@model_map(source="Caron et al. 2021, arXiv 2104.14294", layer=False, class_specific=False, cost=ONE_PASS, inside=True)
def class_token_attention(context: MapContext) -> RawMap:
    """Attention of the class token to the patches in the last block, mean over the heads."""
    blocks, _ = _attention(context, gradients=False)
    return to_grid(blocks[-1].mean(1), context)


@model_map(source="Chefer et al. 2021, arXiv 2103.15679", layer=False, gradient=True, cost=ONE_PASS, inside=True)
def gradient_rollout(context: MapContext) -> RawMap:
    """Attention rollout, each block weighted by its positive gradients."""
    blocks, gradients = _attention(context, gradients=True)
    relevance = torch.eye(blocks[0].shape[-1], device=blocks[0].device).expand(len(context.x), -1, -1)
    for block, gradient in zip(blocks, gradients, strict=True):
        relevance = relevance + (block * gradient).relu().mean(1) @ relevance
    return to_grid(relevance, context)


@model_map(
    source="Chefer et al. 2021, arXiv 2103.15679, of the last block alone",
    layer=False,
    gradient=True,
    cost=ONE_PASS,
    inside=True,
)
def gradient_attention(context: MapContext) -> RawMap:
    """Attention of the class token in the last block, weighted by its positive gradients."""
    blocks, gradients = _attention(context, gradients=True)
    return to_grid((blocks[-1] * gradients[-1]).relu().mean(1), context)


def to_grid(mixed: Float[Tensor, "n t t"], context: MapContext) -> RawMap:
    """Return the attention of the class token to the patches as a grid; without one, the mean over all tokens."""
    tokens = mixed.shape[-1]
    known = getattr(context.model.module, "num_prefix_tokens", None)
    for prefix in PREFIX_TOKENS if known is None else (known,):
        side = math.isqrt(tokens - prefix)
        if side * side == tokens - prefix:
            row = mixed[:, 0, prefix:] if prefix else mixed.mean(1)
            layer = _layer_of_tokens(context.model, side)
            return row.reshape(-1, side, side) if layer is None else layer.to_grid(row[:, :, None])[:, 0]
    raise ModelError(f"its {tokens} tokens do not fill a square grid.")


def _layer_of_tokens(model: Model, side: int) -> Layer | None:
    """Return the last layer of such tokens, which knows their order; None if none is recorded."""
    names = [each.name for each in model.spatial_layers if each.layout == "tokens" and each.grid == (side, side)]
    return replace(model.layer(names[-1]), prefix=0) if names else None


def _attention(context: MapContext, gradients: bool) -> tuple[list[Probabilities], list[Probabilities]]:
    """Return the probabilities of each block, shallow to deep, and their gradients of the target logit.

    Raises:
        ModelError: the network has no attention of all tokens to all.
    """
    recorded: list[Tensor] = []
    slopes: list[Tensor] = []
    with record_attention(context.model.module, recorded), torch.set_grad_enabled(gradients):
        logits = context.model.logits(context.x.detach().requires_grad_(gradients))
        blocks = by_head(recorded, len(context.x))
        if gradients:
            chosen = logits.gather(1, context.targets[:, None]).sum()
            slopes = list(torch.autograd.grad(chosen, recorded, materialize_grads=True))
    return blocks, by_head(slopes, len(context.x)) if gradients else []


def by_head(blocks: list[Tensor], n: int) -> list[Probabilities]:
    """Return the probabilities of each block per image and head.

    Raises:
        ModelError: they are not of all tokens to all.
    """
    sizes = {block.shape[-2:] for block in blocks}
    per_image = all(block.dim() == 3 or len(block) == n for block in blocks)
    if not blocks or not per_image or len(sizes) > 1 or len(set(*sizes)) > 1:
        reason = "its attention is not of all tokens to all tokens" if blocks else "no attention was found in it"
        raise ModelError(f"attention cannot be rolled out: {reason}.")
    return [block.detach().float().reshape(n, -1, *block.shape[-2:]) for block in blocks]


@contextmanager
def record_attention(network: nn.Module, recorded: list[Tensor]) -> Iterator[None]:
    """Append the probabilities of every attention module to ``recorded``; the network is restored afterwards."""
    handles: list[Any] = []
    restore: list[tuple[Any, str, Any]] = []

    def change(owner: Any, name: str, value: Any) -> None:
        restore.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def request_weights(_: nn.Module, arguments: Any, keywords: dict[str, Any]) -> Any:
        return arguments, keywords | {"need_weights": True, "average_attn_weights": False}

    def record_second(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, tuple) and len(output) > 1 and isinstance(output[1], Tensor):
            weights, base = output[1], output[1]._base
            recorded.append(weights if base is None or base.grad_fn is None else base)  # a view has no gradient

    def record(_: nn.Module, __: Any, output: Any) -> Any:
        recorded.append(output)
        return output

    def request_scores(_: nn.Module, arguments: Any, keywords: dict[str, Any]) -> Any:
        return arguments, keywords | {"return_attention_scores": True}

    def record_scores(_: nn.Module, __: Any, output: Any) -> Any:
        recorded.append(output[1])
        return output[0]

    try:
        for module in network.modules():
            if isinstance(module, nn.MultiheadAttention):
                handles.append(module.register_forward_pre_hook(request_weights, with_kwargs=True))
                handles.append(module.register_forward_hook(record_second))
            elif type(module).__name__ == "MultiHeadAttention" and type(module).__module__.startswith("keras."):
                handles.append(module.register_forward_pre_hook(request_scores, with_kwargs=True))
                handles.append(module.register_forward_hook(record_scores))
            elif hasattr(module, "fused_attn") and isinstance(getattr(module, "attn_drop", None), nn.Module):
                change(module, "fused_attn", False)
                handles.append(module.get_submodule("attn_drop").register_forward_hook(record))
            elif hasattr(module, "config") and hasattr(module.config, "_attn_implementation"):
                if all(owner is not module.config for owner, _, _ in restore):
                    change(module.config, "_attn_implementation", "eager")
                if any(isinstance(getattr(module, part, None), nn.Linear) for part in ("query", "q_proj")):
                    handles.append(module.register_forward_hook(record_second))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for owner, name, value in reversed(restore):
            setattr(owner, name, value)


@model_map(source="TS-CAM, Gao et al. 2021, arXiv 2103.14862", layer=False, cost=ONE_PASS, inside=True)
def ts_cam(context: MapContext) -> RawMap:
    """Attention of the class token, mean over heads and blocks, times the class's map of the patch tokens; signed."""
    model, recorded = context.model, list[Tensor]()
    layers = [layer for layer in model.spatial_layers if layer.layout == "tokens" and layer.calls == 1]
    if not layers or not layers[-1].prefix:
        raise ModelError("ts-cam needs a transformer with a class token.")
    last = model.layer(layers[-1].name).name
    with record_attention(model.module, recorded), forward(model, context.x, [last], gradients=False) as run:
        logits, tokens, patches = run.logits, run.outputs[last].float(), run.activations[last]
    blocks = by_head(recorded, len(context.x))
    attention = to_grid(torch.stack([block.mean(1) for block in blocks]).mean(0), context)
    semantic = _class_token_map(model, tokens[:, 0], patches, logits, context.targets)
    if semantic is None:
        semantic = class_map(model.module, patches, logits, context.targets, model.precision)
    return attention * semantic


def _class_token_map(
    model: Model,
    token: Float[Tensor, "n c"],
    patches: Float[Tensor, "n c gh gw"],
    logits: Float[Tensor, "n k"],
    targets: Tensor,
) -> RawMap | None:
    """Apply the linear layer that reads the class token to each patch; None where no layer reads it alone."""
    for module in model.module.modules():
        if isinstance(module, nn.Linear) and module.weight.shape == (logits.shape[1], token.shape[1]):
            weight = module.weight.detach().float()
            bias = 0 if module.bias is None else module.bias.detach().float()
            if same_logits(token @ weight.T + bias, logits, model.precision):
                return torch.einsum("nc,nchw->nhw", weight[targets], patches)
    return None
