"""Maps from the last blocks of a transformer: LeGrad, Grad-ECLIP, and MaskCLIP's values for any classifier."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.maps.capture import AttentionCapture, LayerRecorder, forward
from interpfer.maps.token_head import TokenHead, find_blocks
from interpfer.maps.tokens import TokenRecorder
from interpfer.maps.transformers import count_prefix, to_grid
from interpfer.models.attention import record_attention
from interpfer.models.hooks import first_tensor, hooked

LEGRAD_BLOCKS = 2
"""Last blocks of LeGrad, as in the package of its authors; the paper also sums over more."""


@model_map(
    source="LeGrad, Bousselham et al. 2024, arXiv 2404.03214; last two blocks",
    layer=False,
    gradient=True,
    cost=ONE_PASS,
    inside=True,
)
def legrad(context: MapContext) -> RawMap:
    """Positive gradients of each late block's own class score by its attention, mean over heads and queries, summed."""
    return legrad_of_blocks(context, LEGRAD_BLOCKS)


def legrad_of_blocks(context: MapContext, count: int) -> RawMap:
    """Return LeGrad of the last blocks.

    The score of a block is that of the mean of its tokens, given to what follows the last block.

    Args:
        context: the model and its input.
        count: number of blocks.

    Raises:
        ModelError: the network is no transformer with one head over tokens, or its attention is within windows.
    """
    model, x = context.model, context.x
    blocks = find_blocks(model.module)
    head, chosen = TokenHead(model.module, blocks[-1]), blocks[-count:]
    recorded: list[Tensor] = []
    before = blocks[: -len(chosen)][-1:]  # the graph begins with its output
    x = x if before else x.detach().requires_grad_()
    recorder = LayerRecorder(model, [*before, *chosen])
    with (
        record_attention(model.module, recorded),
        head.recorded(),
        hooked(model.module, recorder.hooks),
        torch.enable_grad(),
    ):
        logits, outputs = model.logits(x), recorder.collect()
        attention = recorded[-len(chosen) :]
        if len(recorded) != len(blocks) or any(not _is_global(each, len(x)) for each in attention):
            raise ModelError("LeGrad needs attention of all tokens to all tokens in each block.")
        head.require_logits(model, logits, count_prefix(model, attention[0].shape[-1]))
        total = torch.zeros((), device=x.device)
        for name, probabilities in zip(chosen, attention, strict=True):
            pooled = outputs[name].mean(1, keepdim=True)
            score = head(pooled)[:, 0].gather(1, context.targets[:, None]).sum()
            (slope,) = torch.autograd.grad(score, probabilities, retain_graph=True)
            total = total + slope.float().relu().reshape(len(x), -1, *slope.shape[-2:]).mean((1, 2))
    return to_grid(total[:, None], context)


@model_map(
    source="Grad-ECLIP, Zhao et al. 2024, arXiv 2502.18816, with all heads",
    layer=False,
    gradient=True,
    cost=ONE_PASS,
    attentions=True,
)
def grad_eclip(context: MapContext) -> RawMap:
    """Gradient of the class token's attention output times each value, weighted by how alike query and key are."""
    found = _attended(context)
    if found.projections is None or found.gradients is None:
        raise ModelError("grad-eclip needs a transformer whose queries and keys can be read; none were found.")
    gradient, (query, key, _) = found.gradients[-1], found.projections[-1]
    prefix = count_prefix(context.model, gradient.shape[-1])
    rows = slice(0, 1) if prefix else slice(None)
    weights = likeness(query[:, :, rows], key, prefix)
    mixed = (gradient[:, :, rows] * weights).sum(1)
    return to_grid(mixed, context).relu()


def likeness(
    query: Float[Tensor, "n heads rows d"], key: Float[Tensor, "n heads t d"], prefix: int
) -> Float[Tensor, "n heads rows t"]:
    """Return the cosine of queries and keys in each head, scaled to 0..1 over the patches.

    Args:
        query: of the rows that are explained.
        key: of all tokens.
        prefix: number of tokens before the patches.

    Examples:
        >>> key = torch.tensor([[[[9.0, 9.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]]])
        >>> likeness(torch.tensor([[[[1.0, 0.0]]]]), key, 1)[0, 0, 0, 1:]
        tensor([1.0000, 0.0000, 0.7071])
    """
    cosine = torch.nn.functional.normalize(query, dim=-1) @ torch.nn.functional.normalize(key, dim=-1).mT
    least, most = cosine[..., prefix:].amin(-1, keepdim=True), cosine[..., prefix:].amax(-1, keepdim=True)
    return (cosine - least) / (most - least).where(most > least, torch.inf)


@model_map(
    source="MaskCLIP, Zhou et al. 2022, arXiv 2112.01071, for classifiers", layer=False, cost=ONE_PASS, inside=True
)
def value_cam(context: MapContext) -> RawMap:
    """Logit of the class at each patch when the last block attends to the patch itself alone; signed."""
    model, x = context.model, context.x
    blocks = find_blocks(model.module)
    head, block = TokenHead(model.module, blocks[-1]), model.module.get_submodule(blocks[-1])
    calls: list[tuple[Any, dict[str, Any]]] = []
    handle = block.register_forward_pre_hook(lambda _, args, options: calls.append((args, options)), with_kwargs=True)
    try:
        with head.recorded(), hooked(model.module, {}):
            logits = model.logits(x)
    finally:
        handle.remove()
    (arguments, options), problem = calls[0], "value-cam needs a block that runs on one token, as in ViT"
    tokens = arguments[0] if arguments else options.get("hidden_states")
    if not isinstance(tokens, Tensor) or tokens.dim() != 3 or len(tokens) != len(x):
        raise ModelError(f"{problem}; this one has attention within windows.")
    prefix = count_prefix(model, tokens.shape[1])
    head.require_logits(model, logits, prefix)
    alone = tokens[:, prefix:].reshape(-1, 1, tokens.shape[2])
    try:
        given = ((alone, *arguments[1:]), options) if arguments else ((), options | {"hidden_states": alone})
        with hooked(model.module, {}):
            output = first_tensor(block(*given[0], **given[1]))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ModelError(f"{problem}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error
    assert output is not None
    scores = head(output.reshape(len(x), -1, output.shape[-1])).float()
    chosen = scores.gather(2, context.targets[:, None, None].expand(-1, scores.shape[1], 1))[:, :, 0]
    padded = torch.cat([chosen.new_zeros(len(x), prefix), chosen], 1)
    return to_grid(padded[:, None], context)


def _attended(context: MapContext) -> AttentionCapture:
    """Return the attention of the shared pass with gradients, or of an own pass where there is none.

    Raises:
        ModelError: the network has no attention of all tokens to all.
    """
    if context.attentions is not None and context.attentions.gradients is not None:
        return context.attentions
    recorder = TokenRecorder(context.model.module, True, True)
    with (
        torch.enable_grad(),
        recorder.attached(),
        forward(context.model, context.x.detach().requires_grad_(), ()) as run,
    ):
        found: Sequence[Tensor] = ()
        if recorder.in_graph:
            found = run.backward(context.targets, others=recorder.in_graph).others
        return recorder.captured(len(context.x), found)


def _is_global(block: Tensor, n: int) -> bool:
    return block.shape[-1] == block.shape[-2] and (block.dim() == 3 or len(block) == n)
