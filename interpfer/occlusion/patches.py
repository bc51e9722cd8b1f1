"""Squares of a 14 x 14 grid at random."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.occlusion.base import Cover, Scene, grey_cover, occluder

GRID = 14
"""Squares along each side, as the patches of a ViT/16 at 224 pixels."""


def hide_first(ranks: Float[Tensor, "n cells"], share: float, size: int) -> Float[Tensor, "n {size} {size}"]:
    """Return holes at the squares of the highest rank.

    Args:
        ranks: (n, 196) rank of each square; of equal ones the first goes first.
        share: of the squares to hide.
        size: side of the pictures.

    Examples:
        >>> hide_first(torch.arange(196.0)[None], 0.5, 14)[0, :, 0].sum()
        tensor(7.)
    """
    count = round(share * ranks.shape[1])
    first = ranks.argsort(dim=1, descending=True, stable=True)[:, :count]
    cells = torch.zeros(ranks.shape, device=ranks.device).scatter_(1, first, 1.0)
    return F.interpolate(cells.view(-1, 1, GRID, GRID), size=(size, size), mode="nearest-exact")[:, 0]


@occluder(share=0.3)
def patches(scene: Scene, argument: str) -> Cover:
    """Squares of a 14 x 14 grid at random; a larger share hides those of a smaller one too."""
    ranks = scene.keys.uniform(GRID * GRID).to(scene.images.device)
    return grey_cover(hide_first(ranks, float(argument), scene.size), everywhere(scene))


def everywhere(scene: Scene) -> Bool[Tensor, " n"]:
    """Return that all faces can be covered."""
    return torch.ones(len(scene.images), dtype=torch.bool, device=scene.images.device)
