"""Maps of transformers: rollouts of their attention probabilities, and TS-CAM.

The probabilities are read from timm's attention (unfused meanwhile), the attention of Hugging Face models (eager
meanwhile), ``nn.MultiheadAttention`` (with its weights returned, as in torchvision's ViT), and that of Keras. Rollout
needs attention of all tokens to all tokens; attention within windows has none.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.maps.capture import forward
from interpfer.maps.head import class_map, same_logits
from interpfer.models.attention import record_attention
from interpfer.models.layer import Layer
from interpfer.models.layers import PREFIX_TOKENS
from interpfer.models.model import Model

Probabilities = Float[Tensor, "n heads _ t"]


@model_map(
    source="Abnar and Zuidema 2020, arXiv 2005.00928", layer=False, class_specific=False, cost=ONE_PASS, attentions=True
)
def attention_rollout(context: MapContext) -> RawMap:
    """Product over the blocks of head-averaged attention and the residual path."""
    blocks = probabilities(context)
    rolled = None
    for block in blocks:
        mixed = block.mean(1)
        if mixed.shape[1] > 1:  # a probe that pools the tokens has no residual path
            mixed = mixed + torch.eye(block.shape[-1], device=block.device)
            mixed = mixed / mixed.sum(2, keepdim=True)
        rolled = mixed if rolled is None else mixed @ rolled
    assert rolled is not None
    return to_grid(rolled, context)


@model_map(
    source="Caron et al. 2021, arXiv 2104.14294", layer=False, class_specific=False, cost=ONE_PASS, attentions=True
)
def class_token_attention(context: MapContext) -> RawMap:
    """Attention of the class token to the patches in the last block, mean over the heads."""
    blocks = probabilities(context)
    return to_grid(blocks[-1].mean(1), context)


@model_map(source="Chefer et al. 2021, arXiv 2103.15679", layer=False, gradient=True, cost=ONE_PASS, attentions=True)
def gradient_rollout(context: MapContext) -> RawMap:
    """Attention rollout, each block weighted by its positive gradients."""
    blocks, gradients = with_gradients(context)
    relevance = torch.eye(blocks[0].shape[-1], device=blocks[0].device).expand(len(context.x), -1, -1)
    for block, gradient in zip(blocks, gradients, strict=True):
        added = (block * gradient).relu().mean(1) @ relevance
        relevance = added if block.shape[2] == 1 else relevance + added
    return to_grid(relevance, context)


@model_map(
    source="Chefer et al. 2021, arXiv 2103.15679, of the last block alone",
    layer=False,
    gradient=True,
    cost=ONE_PASS,
    attentions=True,
)
def gradient_attention(context: MapContext) -> RawMap:
    """Attention of the class token in the last block, weighted by its positive gradients."""
    blocks, gradients = with_gradients(context)
    return to_grid((blocks[-1] * gradients[-1]).relu().mean(1), context)


def to_grid(mixed: Float[Tensor, "n rows t"], context: MapContext) -> RawMap:
    """Return the attention of the class token, or of a probe, to the patches as a grid; else the mean of all tokens."""
    prefix = count_prefix(context.model, mixed.shape[-1])
    side = math.isqrt(mixed.shape[-1] - prefix)
    row = mixed[:, 0, prefix:] if prefix else mixed.mean(1)
    layer = _layer_of_tokens(context.model, side)
    return row.reshape(-1, side, side) if layer is None else layer.to_grid(row[:, :, None])[:, 0]


def count_prefix(model: Model, tokens: int) -> int:
    """Return how many of the tokens are those of classes and registers, before the patches.

    Raises:
        ModelError: the others do not fill a square.
    """
    known = getattr(model.module, "num_prefix_tokens", None)
    for prefix in PREFIX_TOKENS if known is None else (known,):
        if math.isqrt(tokens - prefix) ** 2 == tokens - prefix:
            return int(prefix)
    raise ModelError(f"its {tokens} tokens do not fill a square grid.")


def _layer_of_tokens(model: Model, side: int) -> Layer | None:
    """Return the last layer of such tokens, which knows their order; None if none is recorded."""
    names = [each.name for each in model.spatial_layers if each.layout == "tokens" and each.grid == (side, side)]
    return replace(model.layer(names[-1]), prefix=0) if names else None


def probabilities(context: MapContext) -> tuple[Probabilities, ...]:
    """Return the attention probabilities of each block, shallow to deep.

    Raises:
        ModelError: the network has no attention of all tokens to all.
    """
    if context.attentions is not None:
        return context.attentions.probabilities
    recorded: list[Tensor] = []
    with record_attention(context.model.module, recorded), torch.no_grad():
        context.model.logits(context.x)
    return tuple(by_head(recorded, len(context.x)))


def with_gradients(context: MapContext) -> tuple[tuple[Probabilities, ...], tuple[Probabilities, ...]]:
    """Return the attention probabilities of each block, and their gradients of the target logit.

    Raises:
        ModelError: the network has no attention of all tokens to all.
    """
    given, n = context.attentions, len(context.x)
    if given is not None and given.gradients is not None:
        return given.probabilities, given.gradients
    recorded: list[Tensor] = []
    with record_attention(context.model.module, recorded), torch.enable_grad():
        logits = context.model.logits(context.x.detach().requires_grad_())
        blocks = by_head(recorded, n)
        chosen = logits.gather(1, context.targets[:, None]).sum()
        slopes = list(torch.autograd.grad(chosen, recorded, materialize_grads=True))
    return tuple(blocks), tuple(by_head(slopes, n))


def by_head(blocks: list[Tensor], n: int) -> list[Probabilities]:
    """Return the probabilities of each block per image and head; last, those of a probe that pools all tokens.

    Raises:
        ModelError: they are not of all tokens to all.
    """
    is_pooled = len(blocks) > 1 and blocks[-1].shape[-2] == 1 and blocks[-1].shape[-1] == blocks[-2].shape[-1]
    sizes = {block.shape[-2:] for block in (blocks[:-1] if is_pooled else blocks)}
    per_image = all(block.dim() == 3 or len(block) == n for block in blocks)
    if not blocks or not per_image or len(sizes) > 1 or len(set(*sizes)) > 1:
        reason = "its attention is not of all tokens to all tokens" if blocks else "no attention was found in it"
        raise ModelError(f"attention cannot be rolled out: {reason}.")
    return [block.detach().float().reshape(n, -1, *block.shape[-2:]) for block in blocks]


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
