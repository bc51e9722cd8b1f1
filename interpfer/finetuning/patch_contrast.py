"""Contrast of the features at places inside the AU heatmap with those outside of it (``--patch-contrast``).

The patch-token contrast of ToCo (Ru et al. 2023, arXiv 2303.01267) with labels from the AU heatmap in place of a CAM's.
ToCo takes the pairs of a batch together; here each face has its own mean, so that a loss does not depend on the batch.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

INSIDE, OUTSIDE = 0.5, 0.25
"""Heat from which on a place is inside, and up to which it is outside; places between are left out."""


def label_places(
    heat: Float[Tensor, "n S S"], grid: tuple[int, int], ignore: Bool[Tensor, "n S S"] | None = None
) -> Int[Tensor, "n p"]:
    """Return 1 for each cell of a grid inside the heatmap, 0 for each outside, -1 for the others.

    Args:
        heat: heatmaps in [0, 1], shrunk to the grid by their mean per cell.
        grid: (height, width).
        ignore: pixels of which nothing is known; a cell with half of them or more is -1.
    """
    small = F.adaptive_avg_pool2d(heat[:, None], grid)[:, 0]
    labels = torch.where(small >= INSIDE, 1, torch.where(small <= OUTSIDE, 0, -1))
    if ignore is not None:
        labels = torch.where(F.adaptive_avg_pool2d(ignore[:, None].float(), grid)[:, 0] >= 0.5, -1, labels)
    return labels.flatten(1)


def patch_contrast(features: Float[Tensor, "n c p"], labels: Int[Tensor, "n p"]) -> Float[Tensor, " n"]:
    """Return per face .5 (1 - mean |cosine| of alike pairs) + .5 mean |cosine| of unlike pairs.

    Both means divide by the number of pairs plus 1, as ToCo's do; a pair counts both ways.

    Args:
        features: of the places.
        labels: 1 inside, 0 outside, -1 for a place that is left out.

    Examples:
        Two equal features inside, and a third one that is left out, have 1 - 2 / 3, halved:

        >>> features = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> patch_contrast(features, torch.tensor([[1, 1, -1]]))
        tensor([0.1667])
    """
    unit = F.normalize(features, dim=1)
    similarity = (unit.mT @ unit).abs()
    known = labels >= 0
    pairs = known[:, :, None] & known[:, None, :] & ~torch.eye(labels.shape[1], dtype=torch.bool, device=labels.device)
    alike = labels[:, :, None] == labels[:, None, :]
    near, far = (
        (similarity * chosen).sum((1, 2)) / (chosen.sum((1, 2)) + 1) for chosen in (pairs & alike, pairs & ~alike)
    )
    return 0.5 * (1 - near) + 0.5 * far
