"""Averages over changed pictures: mirrored, scaled in intensity, scaled in size."""

import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.maps.refiners.base import Seen, View, refiner, unit

FACTORS = (0.9, 1.1)
SIZES = (0.5, 1.5)


def _brightness(factor: float, is_mirrored: bool) -> View:
    name = f"{'mirrored, ' if is_mirrored else ''}input times {factor:g}"
    return View(name, lambda x, _: factor * (x.flip(-1) if is_mirrored else x), is_mirrored)


def _size(factor: float) -> View:
    def change(x: Tensor, _: int) -> Tensor:
        size = tuple(max(round(side * factor), 1) for side in x.shape[2:])
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=factor < 1)

    return View(f"size times {factor:g}", change)


MIRRORED = View("mirrored", lambda x, _: x.flip(-1), is_mirrored=True)


@refiner(source="test-time augmentation by the mirrored picture", views=(MIRRORED,))
def flip(maps: Tensor, seen: Seen) -> Tensor:
    """Mean of the map and of that of the mirrored picture, mirrored back, each stretched to [0, 1]."""
    return _mean(maps, seen)


@refiner(
    source="pytorch-grad-cam, aug_smooth",
    views=(MIRRORED, *(_brightness(factor, mirrored) for factor in FACTORS for mirrored in (False, True))),
)
def flip3(maps: Tensor, seen: Seen) -> Tensor:
    """Mean over the mirrored picture times 0.9, 1 and 1.1 of the prepared input, of the class of the clean picture."""
    return _mean(maps, seen)


@refiner(source="ToCo, Ru et al. 2023, arXiv 2303.01267, its code", views=tuple(map(_size, SIZES)))
def scales(maps: Tensor, seen: Seen) -> Tensor:
    """Mean over the picture at 1, 0.5 and 1.5 times its size; for networks that take any size."""
    return _mean(maps, seen)


def _mean(maps: Tensor, seen: Seen) -> Tensor:
    """Return the mean of the map and of its views, each stretched to [0, 1], at the grid of the map."""
    total = unit(maps)
    for view in seen.views:
        stretched = unit(view)
        if view.shape != maps.shape:
            stretched = F.interpolate(
                stretched[:, None], size=tuple(maps.shape[1:]), mode="bilinear", align_corners=False, antialias=True
            )[:, 0]
        total = total + torch.nan_to_num(stretched)  # undefined: it shows nothing
    return total / (1 + len(seen.views))
