"""Attention of a transformer as affinity of its patches: a map spreads to the patches that attend to it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.refiners.base import ATTENTION, QUERIES, Seen, refiner, unit

BLOCKS = 8
"""Last blocks whose attention is averaged, as CLIP-ES; ExCEL takes 5 for queries, keys and values."""

QKV_BLOCKS = 5
ROUNDS = 3
THRESHOLD = 0.4
"""Share of a map's range above which its patches are boxed (CLIP-ES on VOC)."""


@refiner(source="CLIP-ES, Lin et al. 2023, arXiv 2212.09506: class-aware attention affinity", needs=(ATTENTION,))
def affinity(maps: Tensor, seen: Seen) -> Tensor:
    """Map times the attention between patches, made symmetric; only patches in boxes around its peaks give."""
    assert seen.attentions is not None
    return spread(maps, mean_attention(seen.attentions[-BLOCKS:], maps.shape[1] * maps.shape[2]))


@refiner(source="after ExCEL, Yang et al. 2025, CVPR", needs=(QUERIES,))
def affinity_qkv(maps: Tensor, seen: Seen) -> Tensor:
    """As affinity, of attention between queries and queries, keys and keys, values and values."""
    assert seen.projections is not None
    blocks = [
        torch.stack([(each @ each.mT / each.shape[-1] ** 0.5).softmax(-1) for each in block]).mean(0)
        for block in seen.projections[-QKV_BLOCKS:]
    ]
    return spread(maps, mean_attention(blocks, maps.shape[1] * maps.shape[2]))


def mean_attention(blocks: Sequence[Tensor], patches: int) -> Tensor:
    """Return the attention from patch to patch, mean over heads and blocks, (n, patches, patches).

    Raises:
        ModelError: a block has fewer tokens than the map has cells, or attention within windows.
    """
    tokens = {tuple(block.shape[-2:]) for block in blocks}
    if len(tokens) != 1 or next(iter(tokens))[0] not in range(patches, patches + 17):
        raise ModelError(
            f"affinity needs attention between the {patches} patches of the map: choose a layer whose grid is that of "
            "the tokens."
        )
    return torch.stack([block[..., -patches:, -patches:].mean(1) for block in blocks]).mean(0)


def spread(maps: Tensor, attention: Tensor) -> Tensor:
    """Return maps after one step along the affinity of an attention matrix."""
    giving = maps * boxes(maps)
    return (transition(attention) @ giving.flatten(1)[:, :, None])[:, :, 0].reshape(maps.shape)


def transition(attention: Tensor) -> Tensor:
    """Return the symmetric affinity, squared, of (n, t, t) attention.

    Examples:
        >>> transition(torch.tensor([[[0.8, 0.2], [0.4, 0.6]]]))
        tensor([[[0.5891, 0.4117],
                 [0.4117, 0.5875]]])
    """
    for _ in range(ROUNDS):
        attention = attention / attention.sum(1, keepdim=True)
        attention = attention / attention.sum(2, keepdim=True)
    symmetric = (attention + attention.mT) / 2
    return symmetric @ symmetric


def boxes(maps: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Return which cells lie in a box around a connected group of cells above a share of the map's range.

    Groups are connected also across corners. The published boxes lack the last row and column; these do not.

    Args:
        maps: (n, h, w).
        threshold: share of the range of each map.

    Examples:
        >>> boxes(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]])).int()[0].tolist()
        [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    """
    n, height, width = maps.shape
    is_high = unit(maps) > threshold
    labels = _label_groups(is_high).flatten(1)
    rows = torch.arange(height, device=maps.device).repeat_interleave(width).expand(n, -1)
    columns = torch.arange(width, device=maps.device).repeat(height).expand(n, -1)
    empty = labels.new_zeros(n, height * width + 1)
    top, left = ((empty + height * width).scatter_reduce(1, labels, at, "amin")[:, 1:] for at in (rows, columns))
    bottom, right = ((empty - 1).scatter_reduce(1, labels, at, "amax")[:, 1:] for at in (rows, columns))
    row, column = rows[:, ::width, None], columns[:, :width, None]
    within_rows = (row >= top[:, None]) & (row <= bottom[:, None])
    within_columns = (column >= left[:, None]) & (column <= right[:, None])
    return (within_rows.to(maps) @ within_columns.to(maps).mT) > 0


def _label_groups(is_high: Tensor) -> Tensor:
    """Return a number from 1 on for each connected group of cells; 0 elsewhere."""
    n, height, width = is_high.shape
    numbers = torch.arange(1, height * width + 1, device=is_high.device, dtype=torch.float32)
    labels = numbers.reshape(1, height, width) * is_high
    while True:
        grown = F.max_pool2d(labels[:, None], 3, 1, 1)[:, 0] * is_high
        if torch.equal(grown, labels):
            return labels.long()
        labels = grown
