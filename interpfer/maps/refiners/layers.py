"""Several layers as one map: their product, and the one that agrees most with the others."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.maps.refiners.base import LAYERS, Seen, refiner, unit


@refiner(source="RefineCAM, 2026, arXiv 2605.14641, as in torchcam", needs=(LAYERS,))
def layers(_: Tensor, seen: Seen) -> Tensor:
    """Product of the maps of all chosen layers, each stretched to [0, 1], at the largest grid."""
    return product_of_layers(seen.layer_maps)


def product_of_layers(layer_maps: Sequence[Tensor]) -> Tensor:
    """Return the product of maps at the largest of their grids; one layer alone is only stretched to [0, 1].

    Examples:
        >>> product_of_layers([torch.tensor([[[0.0, 2.0, 4.0]]]), torch.tensor([[[1.0, 0.0, 1.0]]])])
        tensor([[[0., 0., 1.]]])
    """
    return unit(torch.stack(at_largest_grid(layer_maps)).prod(0))


@refiner(source="after DoNuSeg, Wang et al. 2024, MICCAI, which chooses by a label", needs=(LAYERS,))
def best_layer(_: Tensor, seen: Seen) -> Tensor:
    """The layer whose map resembles those of the other layers most (mean cosine); of equals the deepest."""
    return medoid(seen.layer_maps)


def medoid(layer_maps: Sequence[Tensor]) -> Tensor:
    """Return, per image, the map with the highest mean cosine with the others, at the largest grid."""
    stacked = torch.stack(at_largest_grid(layer_maps), 1)
    flat = F.normalize(stacked.flatten(2), dim=2)
    similarity = (flat @ flat.mT).sum(2)
    rounded = (similarity / 1e-5).round().flip(1)  # equals up to rounding: the deepest, on every machine
    best = similarity.shape[1] - 1 - rounded.argmax(1)
    return stacked[torch.arange(len(stacked), device=stacked.device), best]


def at_largest_grid(layer_maps: Sequence[Tensor]) -> list[Tensor]:
    """Return maps in [0, 1], enlarged bilinearly to the largest of their grids."""
    size = max((maps.shape[1:] for maps in layer_maps), key=lambda grid: grid[0] * grid[1])
    return [
        F.interpolate(unit(maps)[:, None], size=tuple(size), mode="bilinear", align_corners=False)[:, 0]
        for maps in layer_maps
    ]
