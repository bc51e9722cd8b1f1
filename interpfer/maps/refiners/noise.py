"""Averages over noisy pictures, as SmoothGrad and its relatives.

The noise is four fields, the same for every image and derived from the seed of the run, and their mirror images: so a
mirrored picture has a mirrored map.
"""

import torch
from torch import Tensor

from interpfer.maps.refiners.base import Seen, View, refiner

FIELDS = 4

WIDTH = 0.15
"""Standard deviation of the noise, as a share of the range of the prepared input."""


def _noisy(field: int, is_mirrored: bool) -> View:
    def change(x: Tensor, seed: int) -> Tensor:
        random = torch.Generator().manual_seed(abs(seed) * FIELDS + field)
        noise = torch.randn(x.shape[1:], generator=random).to(x)
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        return x + WIDTH * (high - low) * (noise.flip(-1) if is_mirrored else noise)

    return View(f"noise {field}{' mirrored' if is_mirrored else ''}", change)


VIEWS = tuple(_noisy(field, is_mirrored) for field in range(FIELDS) for is_mirrored in (False, True))


@refiner(source="SmoothGrad, Smilkov et al. 2017, arXiv 1706.03825", views=VIEWS)
def noise8(_: Tensor, seen: Seen) -> Tensor:
    """Mean over 8 noisy pictures (noise of 0.15 of the range of the input)."""
    return _views(seen).mean(0)


@refiner(source="SmoothGrad-Squared, Hooker et al. 2019, arXiv 1806.10758", views=VIEWS)
def noise8_square(_: Tensor, seen: Seen) -> Tensor:
    """Mean of the square over 8 noisy pictures."""
    return _views(seen).square().mean(0)


@refiner(source="VarGrad, Adebayo et al. 2018, arXiv 1810.03292", views=VIEWS)
def noise8_var(_: Tensor, seen: Seen) -> Tensor:
    """Variance over 8 noisy pictures."""
    return _views(seen).var(0, correction=0)


def _views(seen: Seen) -> Tensor:
    return torch.nan_to_num(torch.stack(seen.views))  # undefined: it shows nothing
