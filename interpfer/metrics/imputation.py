"""Noisy linear imputation of ROAD: removed pixels become the weighted mean of their neighbours.

Rong et al. 2022 (arXiv 2202.00449) solve one sparse linear system per picture. Here many are solved together by
conjugate gradients, preconditioned with a multigrid cycle, so that a few steps suffice for holes of any size.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.metrics.queries import Images
from interpfer.runtime.threads import parallel_map

TOLERANCE = 4e-4
"""Estimated error of a pixel in [0, 1] at which a picture is solved, small beside the noise of 0.01 that ROAD adds."""
ROUNDS = 20
"""Most steps of the solver; three to eight are usual."""
SMALLEST = 14
"""Largest side of the coarsest grid."""
COARSEST_ROUNDS = 8
"""Sweeps over the coarsest grid."""
PIXELS_AT_ONCE = 224 * 224
"""Pixels that a thread solves for at once on a CPU, about, so that they stay in its cache."""


def impute(images: Images, removed: Bool[Tensor, "n s s"]) -> Images:
    """Replace pixels so that each is the weighted mean of its neighbours: 1/6 beside, 1/12 diagonally.

    On a CPU every thread solves for pictures of its own, since threads that share small operations wait for each other.

    Args:
        images: (n, 3, s, s).
        removed: (n, s, s) pixels to impute; the others stay as they are.

    Examples:
        A hole in a plain picture gets its colour:

        >>> removed = torch.zeros(1, 8, 8, dtype=torch.bool)
        >>> removed[:, 2:5, 2:5] = True
        >>> bool(((impute(torch.full((1, 3, 8, 8), 0.5), removed) - 0.5).abs() < 1e-5).all())
        True
    """
    if not len(images):
        return images
    if images.device.type != "cpu":
        return _impute(images, removed)
    count = max(1, PIXELS_AT_ONCE // removed[0].numel())
    parts = [slice(start, start + count) for start in range(0, len(images), count)]
    return torch.cat(parallel_map(lambda part: _impute(images[part], removed[part]), parts))


class _Grid(NamedTuple):
    """A grid of the linear system, whose weights are 2 beside and 1 diagonally.

    Attributes:
        hole: 1 for unknown pixels, else 0.
        degree: sum of the weights of a pixel's neighbours: 12, or less at the border.
        inverse: hole divided by degree.
    """

    hole: Float[Tensor, "n 1 h w"]
    degree: Float[Tensor, "1 1 h w"]
    inverse: Float[Tensor, "n 1 h w"]


def _impute(images: Images, removed: Bool[Tensor, "n s s"]) -> Images:
    height, width = images.shape[-2:]
    halvings = max(0, (-(-max(height, width) // SMALLEST) - 1).bit_length())
    margin = [-side % (1 << halvings) for side in (width, height)]
    padding = (0, margin[0], 0, margin[1])
    hole = F.pad(removed[:, None].to(images), padding)
    grids = _grids(hole, F.pad(torch.ones_like(hole[:1, :, :height, :width]), padding), halvings)
    known = F.pad(images, padding) * (1 - hole)
    filled = known + _solve(_neighbours(known) * hole, grids)
    return filled[..., :height, :width]


def _grids(hole: Float[Tensor, "n 1 h w"], within: Float[Tensor, "1 1 h w"], halvings: int) -> list[_Grid]:
    """Return the grid and its halves; a coarse pixel is unknown if all of its four are."""
    grids = []
    for level in range(halvings + 1):
        if level:
            hole, within = -F.max_pool2d(-hole, 2), F.max_pool2d(within, 2)
        degree = (_neighbours(within) - 4 * within).clamp(min=1)
        grids.append(_Grid(hole, degree, hole / degree))
    return grids


def _solve(right: Images, grids: list[_Grid]) -> Images:
    """Return the unknown pixels, 0 elsewhere, by conjugate gradients.

    The cycle is not exactly symmetric at the border, so that each direction is made conjugate to the one before by the
    change of the residual (Polak and Ribiere). A picture that is solved stays as it is, so that its result does not
    depend on the others.
    """
    hole, degree, _ = grids[0]
    diagonal = degree + 4
    x, residual = torch.zeros_like(right), right
    better = direction = _cycle(residual, grids)
    slope = _product(residual, better)
    for _ in range(ROUNDS):
        is_open = better.abs().amax((1, 2, 3), keepdim=True) > TOLERANCE
        if not bool(is_open.any()):
            break
        image = (diagonal * direction).sub_(_neighbours(direction)).mul_(hole)
        step = is_open * slope / _product(direction, image).clamp(min=1e-30)
        x = torch.addcmul(x, direction, step)
        change = image.mul_(step)
        residual = residual - change
        better = _cycle(residual, grids)
        before, slope = slope, _product(residual, better)
        conjugate = -_product(change, better) / before.clamp(min=1e-30)
        direction = torch.addcmul(better, direction, conjugate)
    return x


def _product(one: Images, other: Images) -> Float[Tensor, "n c 1 1"]:
    product: Tensor = torch.linalg.vecdot(one.flatten(2), other.flatten(2))[..., None, None]
    return product


def _cycle(right: Images, grids: list[_Grid]) -> Images:
    """Return an approximate solution: a sweep, the correction of the coarser grid, and another sweep."""
    (hole, _, inverse), *coarser = grids
    x = right * inverse
    if not coarser:
        for _ in range(COARSEST_ROUNDS):
            x = _sweep(x, right, inverse)
        return x
    residual = torch.sub(_neighbours(x), x, alpha=4).mul_(hole)
    correction = _cycle(_shrink(residual).mul_(coarser[0].hole), coarser)
    x = torch.addcmul(x, F.interpolate(correction, scale_factor=2.0, mode="bilinear"), hole)
    return _sweep(x, right, inverse)


def _sweep(x: Images, right: Images, inverse: Float[Tensor, "n 1 h w"]) -> Images:
    return torch.sub(right, x, alpha=4).add_(_neighbours(x)).mul_(inverse)


def _neighbours(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return the sum of each pixel's neighbours, weighted by 1 2 1 by 1 2 1, zero beyond the border.

    The pixel itself counts four times. 1 2 1 is 1 1 by 1 1, and pictures are read as one long row: four additions
    replace a slower convolution.
    """
    count, channels, height, width = x.shape
    long, row = F.pad(x, (1, 1, 1, 1)).flatten(2), width + 2
    pairs = long[..., :-1] + long[..., 1:]
    threes = pairs[..., :-1] + pairs[..., 1:]
    pairs = threes[..., :-row] + threes[..., row:]
    sums = pairs[..., :-row] + pairs[..., row:]
    return sums.as_strided((count, channels, height, width), (sums.stride(0), sums.stride(1), row, 1))


def _shrink(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Return the sums of pixels with the weights by which ``F.interpolate`` enlarges: 1 3 3 1 by 1 3 3 1, over 16."""
    wide = F.pad(x, (1, 1, 0, 0))
    rows = (x[..., ::2] + x[..., 1::2]).mul_(3) + wide[..., :-2:2] + wide[..., 3::2]
    wide = F.pad(rows, (0, 0, 1, 1))
    return ((rows[..., ::2, :] + rows[..., 1::2, :]).mul_(3) + wide[..., :-2:2, :] + wide[..., 3::2, :]).div_(16)
