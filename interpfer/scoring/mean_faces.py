"""Means over faces of many sizes and positions, aligned by their landmarks first."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.landmarks.alignment import invert_transform, similarity_transform, transform_points
from interpfer.types import CANVAS

SIDE = 112
"""Side of a mean face, in pixels."""

LOOSE, RAISE = 0.98, 0.05
"""The usual crop ends at the chin: this one is scaled by the first, shifted up by the second (share of the canvas)."""

LEAST = 0.05
"""A mean is shown where at least this share of the pictures covers the pixel."""


def alignment(points: Float[Tensor, "n 68 2"]) -> Float[Tensor, "n 2 3"]:
    """Return the transforms from the canvas to the canvas on which faces are aligned."""
    near = similarity_transform(points, CANVAS)
    middle = torch.tensor([CANVAS / 2, CANVAS / 2], dtype=near.dtype, device=near.device)
    moved = LOOSE * (near[..., 2] - middle) + middle
    moved[:, 1] -= RAISE * CANVAS
    return torch.cat([LOOSE * near[..., :2], moved[..., None]], -1)


def align_faces(
    pictures: Float[Tensor, "n c h w"], points: Float[Tensor, "n 68 2"]
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n 1 h w"]]:
    """Warp pictures of the whole canvas so that their faces are aligned.

    Args:
        pictures: at any resolution.
        points: on the canvas, all finite.

    Returns:
        The pictures, 0 where they do not cover, and the coverage of each pixel, in [0, 1].
    """
    back = invert_transform(alignment(points)).to(pictures.dtype)
    turn, shift = back[..., :2], back[..., 2:]
    theta = torch.cat([turn, turn.sum(-1, keepdim=True) + 2 * shift / CANVAS - 1], -1)
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    covered = torch.cat([pictures, torch.ones_like(pictures[:, :1])], 1)
    aligned = F.grid_sample(covered, grid, padding_mode="zeros", align_corners=False)
    return aligned[:, :-1], aligned[:, -1:]


def mean_where_covered(
    total: Float[Tensor, "*n h w"], coverage: Float[Tensor, "*#n h w"], most: Tensor
) -> Float[Tensor, "*n h w"]:
    """Divide sums of aligned pictures by their coverage; NaN where it is below ``LEAST`` of ``most``."""
    return torch.where(coverage >= LEAST * most.clamp(min=1), total / coverage.clamp(min=1e-6), torch.nan)


def align_points(points: Float[Tensor, "n 68 2"]) -> Float[Tensor, "n 68 2"]:
    """Transform landmarks as ``align_faces`` transforms pictures."""
    return transform_points(points, alignment(points))


def sum_faces(
    images: Float[Tensor, "n 3 s s"], points: Float[Tensor, "n 68 2"], classes: Sequence[int]
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Return the mean of the aligned faces of each class in a batch, with its coverage as a fourth plane.

    Args:
        images: in [0, 1].
        points: on the canvas; faces without are left out.
        classes: of each image, -1 where unknown (left out).

    Returns:
        (present, 4, side, side) means, and (present, 2) the class and the number of faces of each.
    """
    index = torch.tensor(classes, dtype=torch.long)
    usable = points.isfinite().flatten(1).all(1) & (index >= 0)
    members = sorted(set(index[usable].tolist()))
    if not members:
        return np.zeros((0, 4, SIDE, SIDE), np.float16), np.zeros((0, 2), np.int64)
    small = F.interpolate(images[usable], size=(SIDE, SIDE), mode="bilinear", antialias=True)
    aligned = torch.cat(align_faces(small, points[usable].to(small)), 1)
    means = torch.stack([aligned[index[usable] == member].mean(0) for member in members])
    counts = [[member, int((index[usable] == member).sum())] for member in members]
    return means.half().numpy(), np.array(counts, np.int64)
