"""Maps from the last blocks of a transformer: LeGrad, Grad-ECLIP, and MaskCLIP's values for any classifier."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.maps.blocks import BlockNeeds, BlockRecorder
from interpfer.maps.capture import AttentionCapture, forward
from interpfer.maps.tokens import TokenRecorder
from interpfer.maps.transformers import count_prefix, to_grid
from interpfer.models.hooks import first_tensor, hooked

LEGRAD_BLOCKS = 2
"""Last blocks of LeGrad, as in the package of its authors; the paper also sums over more."""


@model_map(
    source="LeGrad, Bousselham et al. 2024, arXiv 2404.03214; last two blocks",
    layer=False,
    gradient=True,
    cost=ONE_PASS,
    inside=True,
    blocks=BlockNeeds(LEGRAD_BLOCKS, gradients=True),
)
def legrad(context: MapContext) -> RawMap:
    """Positive gradients of each late block's own class score by its attention, mean over heads and queries, summed."""
    if context.blocks is None:
        return legrad_of_blocks(context, LEGRAD_BLOCKS)
    return to_grid(sum_slopes(replace(context, blocks=context.blocks.last(LEGRAD_BLOCKS)))[:, None], context)


def legrad_of_blocks(context: MapContext, count: int) -> RawMap:
    """Return LeGrad of the last blocks, out of a pass of its own.

    The score of a block is that of the mean of its tokens, given to what follows the last block.

    Args:
        context: the model and its input.
        count: number of blocks.

    Raises:
        ModelError: the network is no transformer with one head over tokens, or its attention is within windows.
    """
    model = context.model
    recorder = BlockRecorder(model, BlockNeeds(count, gradients=True))
    with hooked(model.module, {}), torch.enable_grad():
        with recorder.attached():
            logits = model.logits(recorder.prepare(context.x))
        total = sum_slopes(replace(context, blocks=recorder.captured(logits)))
    return to_grid(total[:, None], context)


def sum_slopes(context: MapContext) -> Float[Tensor, "n t"]:
    """Return the sum over late blocks of the positive gradients of their own scores, mean over heads and queries.

    Raises:
        ModelError: the attention is within windows, or what follows the last block does not give the logits.
    """
    assert context.blocks is not None
    blocks, n = context.blocks, len(context.x)
    if len(blocks.probabilities) != len(blocks.outputs) or not all(_is_global(p, n) for p in blocks.probabilities):
        raise ModelError("LeGrad needs attention of all tokens to all tokens in each block.")
    blocks.require_logits(context.model, count_prefix(context.model, blocks.probabilities[0].shape[-1]))
    total = context.x.new_zeros(n, blocks.probabilities[0].shape[-1], dtype=torch.float32)
    for output, probabilities in zip(blocks.outputs, blocks.probabilities, strict=True):
        score = blocks.head(output.mean(1, keepdim=True))[:, 0].gather(1, context.targets[:, None]).sum()
        (slope,) = torch.autograd.grad(score, probabilities, retain_graph=True)
        total = total + slope.float().relu().reshape(n, -1, *slope.shape[-2:]).mean((1, 2))
    return total


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
    source="MaskCLIP, Zhou et al. 2022, arXiv 2112.01071, for classifiers",
    layer=False,
    cost=ONE_PASS,
    inside=True,
    blocks=BlockNeeds(1),
)
def value_cam(context: MapContext) -> RawMap:
    """Logit of the class at each patch when the last block attends to the patch itself alone; signed."""
    model, x, blocks = context.model, context.x, context.blocks
    if blocks is None:
        recorder = BlockRecorder(model, BlockNeeds(1))
        with recorder.attached(), hooked(model.module, {}):
            blocks = recorder.captured(model.logits(x))
    (arguments, options), problem = blocks.call, "value-cam needs a block that runs on one token, as in ViT"
    tokens = arguments[0] if arguments else options.get("hidden_states")
    if not isinstance(tokens, Tensor) or tokens.dim() != 3 or len(tokens) != len(x):
        raise ModelError(f"{problem}; this one has attention within windows.")
    prefix = count_prefix(model, tokens.shape[1])
    blocks.require_logits(model, prefix)
    alone = tokens[:, prefix:].detach().reshape(-1, 1, tokens.shape[2])
    try:
        given = ((alone, *arguments[1:]), options) if arguments else ((), options | {"hidden_states": alone})
        with hooked(model.module, {}):
            output = first_tensor(blocks.block(*given[0], **given[1]))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ModelError(f"{problem}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error
    assert output is not None
    scores = blocks.head(output.reshape(len(x), -1, output.shape[-1])).float()
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
