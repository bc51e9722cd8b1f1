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

TOLERANCE = 1e-3
"""Estimated error of a pixel in [0, 1] at which a picture is solved, small beside the noise of 0.01 that ROAD adds."""
ROUNDS = 20
"""Most steps of the solver; three to eight are usual."""
SMALLEST = 14
"""Largest side of the coarsest grid."""
COARSEST_ROUNDS = 8
"""Sweeps over the coarsest grid."""
PIXELS_AT_ONCE = 2 * 224 * 224
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

    Its pictures are (n, c, height * stride): rows of pixels, each followed by a zero, one after the other. Neighbours
    are then at the same distances everywhere, and every operation runs over one long row.

    Attributes:
        hole: 1 for unknown pixels, else 0.
        degree: sum of the weights of a pixel's neighbours: 12, or less at the border.
        inverse: hole divided by degree.
        stride: width + 1.
    """

    hole: Float[Tensor, "n 1 p"]
    degree: Float[Tensor, "1 1 p"]
    inverse: Float[Tensor, "n 1 p"]
    stride: int

    @classmethod
    def of(cls, hole: Float[Tensor, "n 1 h w"], within: Float[Tensor, "1 1 h w"]) -> "_Grid":
        """Return the grid of unknown pixels in a picture, which may be a part of the tensor."""
        rows, inside, stride = _to_rows(hole), _to_rows(within), hole.shape[-1] + 1
        degree = (_neighbours(inside, stride) - 4 * inside).clamp(min=1)
        return cls(rows, degree, rows / degree, stride)

    def square(self, x: Float[Tensor, "n c p"]) -> Float[Tensor, "n c h w"]:
        """Return rows as a picture."""
        return x.reshape(*x.shape[:2], -1, self.stride)[..., :-1]

    def neighbours(self, x: Float[Tensor, "n c p"]) -> Float[Tensor, "n c p"]:
        """Return the sum of each pixel's neighbours, the pixel itself four times."""
        return _neighbours(x, self.stride)


def _to_rows(pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c p"]:
    """Return the rows of pictures one after the other, each followed by a zero."""
    return F.pad(pictures, (0, 1)).flatten(2)


def _impute(images: Images, removed: Bool[Tensor, "n s s"]) -> Images:
    height, width = images.shape[-2:]
    halvings = max(0, (-(-max(height, width) // SMALLEST) - 1).bit_length())
    margin = [-side % (1 << halvings) for side in (width, height)]
    padding = (0, margin[0], 0, margin[1])
    hole = F.pad(removed[:, None].to(images), padding)
    grids = _grids(hole, F.pad(torch.ones_like(hole[:1, :, :height, :width]), padding), halvings)
    known = _to_rows(F.pad(images, padding) * (1 - hole))
    filled = known + _solve(grids[0].neighbours(known) * grids[0].hole, grids)
    return grids[0].square(filled)[..., :height, :width]


def _grids(hole: Float[Tensor, "n 1 h w"], within: Float[Tensor, "1 1 h w"], halvings: int) -> list[_Grid]:
    """Return the grid and its halves; a coarse pixel is unknown if all of its four are."""
    grids = [_Grid.of(hole, within)]
    for _ in range(halvings):
        hole, within = -F.max_pool2d(-hole, 2), F.max_pool2d(within, 2)
        grids.append(_Grid.of(hole, within))
    return grids


def _solve(right: Float[Tensor, "n c p"], grids: list[_Grid]) -> Float[Tensor, "n c p"]:
    """Return the unknown pixels, 0 elsewhere, by conjugate gradients.

    The cycle is not exactly symmetric at the border, so that each direction is made conjugate to the one before by the
    change of the residual (Polak and Ribiere). A picture that is solved stays as it is, so that its result does not
    depend on the others.
    """
    grid, diagonal = grids[0], grids[0].degree + 4
    x, residual = torch.zeros_like(right), right
    better = direction = _cycle(residual, grids)
    slope = _product(residual, better)
    for _ in range(ROUNDS):
        is_open = better.abs().amax((1, 2), keepdim=True) > TOLERANCE
        if not bool(is_open.any()):
            break
        image = (diagonal * direction).sub_(grid.neighbours(direction)).mul_(grid.hole)
        step = is_open * slope / _product(direction, image).clamp(min=1e-30)
        x = torch.addcmul(x, direction, step)
        change = image.mul_(step)
        residual = residual - change
        better = _cycle(residual, grids)
        before, slope = slope, _product(residual, better)
        conjugate = -_product(change, better) / before.clamp(min=1e-30)
        direction = torch.addcmul(better, direction, conjugate)
    return x


def _product(one: Float[Tensor, "n c p"], other: Float[Tensor, "n c p"]) -> Float[Tensor, "n c 1"]:
    product: Tensor = torch.linalg.vecdot(one, other)[..., None]
    return product


def _cycle(right: Float[Tensor, "n c p"], grids: list[_Grid]) -> Float[Tensor, "n c p"]:
    """Return an approximate solution: a sweep, the correction of the coarser grid, and another sweep."""
    grid, *coarser = grids
    x = right * grid.inverse
    if not coarser:
        for _ in range(COARSEST_ROUNDS):
            x = _sweep(x, right, grid)
        return x
    residual = torch.sub(grid.neighbours(x), x, alpha=4).mul_(grid.hole)
    correction = _cycle(_shrink(residual, grid).mul_(coarser[0].hole), coarser)
    x = torch.addcmul(x, _enlarge(correction, coarser[0]), grid.hole)
    return _sweep(x, right, grid)


def _sweep(x: Float[Tensor, "n c p"], right: Float[Tensor, "n c p"], grid: _Grid) -> Float[Tensor, "n c p"]:
    return torch.sub(right, x, alpha=4).add_(grid.neighbours(x)).mul_(grid.inverse)


def _neighbours(x: Float[Tensor, "n c p"], stride: int) -> Float[Tensor, "n c p"]:
    """Return the sum of each pixel's neighbours, weighted by 1 2 1 by 1 2 1, zero beyond the border.

    The pixel itself counts four times. 1 2 1 is 1 1 by 1 1: four additions replace a slower convolution.
    """
    long = F.pad(x, (stride + 1, stride + 1))
    pairs = long[..., :-1] + long[..., 1:]
    threes = pairs[..., :-1] + pairs[..., 1:]
    pairs = threes[..., :-stride] + threes[..., stride:]
    return pairs[..., :-stride] + pairs[..., stride:]


def _shrink(x: Float[Tensor, "n c p"], grid: _Grid) -> Float[Tensor, "n c q"]:
    """Return the sums of pixels with the weights by which ``_enlarge`` spreads: 1 3 3 1 by 1 3 3 1, over 16."""
    rows = _sum_pairs(grid.square(x).transpose(2, 3)).transpose(2, 3)
    return _to_rows(_sum_pairs(rows).div_(16))


def _sum_pairs(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w2"]:
    """Return the sums of pairs of columns three times, and the columns beside them once."""
    sums = (x[..., ::2] + x[..., 1::2]).mul_(3)
    sums[..., 1:] += x[..., 1:-1:2]
    sums[..., :-1] += x[..., 2::2]
    return sums


def _enlarge(x: Float[Tensor, "n c q"], grid: _Grid) -> Float[Tensor, "n c p"]:
    """Return pictures twice as large, bilinearly: between two pixels the nearer one has weight 3/4."""
    small = grid.square(x)
    count, channels, height, width = small.shape
    tall = small.new_empty(count, channels, height, 2, width)
    _spread(small, 2, tall[..., 0, :], tall[..., 1, :])
    tall = tall.flatten(2, 3)
    wide = small.new_zeros(count, channels, 2 * height, 2 * width + 1)
    _spread(tall, 3, wide[..., :-1:2], wide[..., 1::2])
    return wide.flatten(2)


def _spread(x: Tensor, axis: int, first: Tensor, second: Tensor) -> None:
    """Fill in the two values of each pixel along an axis, a quarter of the way to its neighbours."""
    last = x.shape[axis] - 1
    before = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, last)], axis)
    after = torch.cat([x.narrow(axis, 1, last), x.narrow(axis, last, 1)], axis)
    torch.lerp(x, before, 0.25, out=first)
    torch.lerp(x, after, 0.25, out=second)
