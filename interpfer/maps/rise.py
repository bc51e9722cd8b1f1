"""RISE (Petsiuk et al. 2018, arXiv 1806.07421): the mean of random masks, weighted by what the model says behind each.

A mask is a grid of 7 x 7 cells, each shown with probability 0.5, enlarged bilinearly to 8 x 8 cells of the picture and
cut out at a random place. The number of masks belongs to the name of the map: ``rise`` has ``MASKS``, ``rise-500`` 500.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.maps.base import MapContext, ModelMap, RawMap, model_map
from interpfer.maps.perturbation import FORWARD

CELLS, SHOWN = 7, 0.5
"""Cells per side of a mask, and the probability that one is shown."""

MASKS = 4000
"""Masks of ``rise``, as the paper has them for VGG-16; for ResNet-50 it has 8,000."""


@cache
def rise_map(masks: int) -> ModelMap:
    """Return RISE with a number of masks.

    Args:
        masks: number of random masks, at least 1; each costs one forward per image.

    Examples:
        >>> rise_map(500).summary
        'Mean of 500 random masks, weighted by the probability of the class behind each; rise-N has N masks.'
    """

    def compute(context: MapContext) -> RawMap:
        return _compute(context, masks)

    compute.__doc__ = (
        f"Mean of {masks:,} random masks, weighted by the probability of the class behind each; rise-N has N masks."
    )
    return model_map(source="Petsiuk et al. 2018, arXiv 1806.07421", layer=False)(compute)


def _compute(context: MapContext, masks: int) -> RawMap:
    """Return sum(p M) / (masks * SHOWN); all images share the masks, ``FORWARD`` of which are in memory at a time."""
    n, size = len(context.x), context.x.shape[-1]
    random = torch.Generator().manual_seed(context.seed)
    total = torch.zeros(n, size, size, device=context.x.device)
    for start in range(0, masks, FORWARD):
        drawn = draw_masks(min(FORWARD, masks - start), size, random).to(context.x.device)
        for image, target in enumerate(context.targets):
            logits = context.model.logits(context.x[image] * drawn[:, None].to(context.x.dtype))
            scores = context.model.probabilities(logits)[:, int(target)]
            total[image] += torch.einsum("m,mhw->hw", scores.to(drawn.dtype), drawn)
    return total / (masks * SHOWN)


def draw_masks(count: int, size: int, random: torch.Generator) -> Float[Tensor, "{count} {size} {size}"]:
    """Return random masks in [0, 1].

    Args:
        count: number of masks.
        size: side of the picture in pixels.
        random: generator on the CPU.
    """
    cell = -(-size // CELLS)
    cells = (torch.rand(count, CELLS, CELLS, generator=random) < SHOWN).float()
    rows, columns = torch.randint(0, cell, (2, count), generator=random)
    return _interpolate(rows, cell, size) @ cells @ _interpolate(columns, cell, size).mT


def _interpolate(shift: Tensor, cell: int, size: int) -> Float[Tensor, "m {size} c"]:
    """Return the weights of the cells for each pixel of a shifted cut-out; beyond the outer cells they are mirrored."""
    place = (torch.arange(size) + shift[:, None] + 0.5) * CELLS / ((CELLS + 1) * cell) - 0.5
    place = place.abs()
    place = torch.minimum(place, 2 * (CELLS - 1) - place)
    return (1 - (place[:, :, None] - torch.arange(CELLS)).abs()).relu()


rise = rise_map(MASKS)
