"""Faces with what covers them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.landmarks.points import MIRRORED
from interpfer.occlusion.base import Scene
from interpfer.occlusion.keys import Keys
from interpfer.occlusion.kinds import Occlusion
from interpfer.truth.base import Truth
from interpfer.types import CANVAS

HIDDEN = 0.5
"""A pixel of the canvas is hidden where this share of it is covered, or more."""


@dataclass(frozen=True)
class Occluded:
    """Faces that something covers.

    Attributes:
        images: (n, 3, r, r) RGB in [0, 1].
        hole: (n, 224, 224) which pixels of the canvas are hidden.
        drawn: (n,) which faces could be covered; the others are as they were, without a hole.
    """

    images: Float[Tensor, "n 3 r r"]
    hole: Bool[Tensor, "n S S"]
    drawn: Bool[Tensor, " n"]

    def __getitem__(self, rows: slice) -> "Occluded":
        return Occluded(self.images[rows], self.hole[rows], self.drawn[rows])


def occlude(
    occlusion: Occlusion,
    images: Float[Tensor, "n 3 r r"],
    points: Float[Tensor, "n 68 2"],
    ids: Sequence[str],
    seed: int,
    truth: Float[Tensor, "n S S"] | None = None,
    ranking: Float[Tensor, "n S S"] | None = None,
    mirrored: Bool[Tensor, " n"] | None = None,
) -> Occluded:
    """Cover faces; what covers a face depends on its name, the seed and its landmarks alone.

    Args:
        occlusion: what covers them.
        images: RGB in [0, 1].
        points: landmarks on the canvas, NaN for a face without.
        ids: names of the faces.
        seed: random seed.
        truth: maps of the truth, for the occluders that need one.
        ranking: a map of the clean faces, for ``guided``.
        mirrored: which faces are shown mirrored: what covers them is mirrored too.

    Examples:
        >>> from interpfer.occlusion.kinds import parse_occlusion
        >>> faces, nowhere = torch.zeros(1, 3, 28, 28), torch.full((1, 68, 2), torch.nan)
        >>> covered = occlude(parse_occlusion("patches:0.5"), faces, nowhere, ["a.png"], seed=0)
        >>> float(covered.hole.float().mean()), float(covered.images.mean())
        (0.5, 0.25)
    """
    side = max(CANVAS, images.shape[-1])
    if not len(images):
        empty = torch.zeros(0, CANVAS, CANVAS, dtype=torch.bool, device=images.device)
        return Occluded(images, empty, empty[:, 0, 0])
    flip = None if mirrored is None else mirrored.to(images.device)
    points = _upright_points(points.to(images.device), flip)
    upright = [None if plane is None else _upright(plane, flip) for plane in (images, truth, ranking)]
    assert upright[0] is not None
    keys = Keys.of(ids, seed, occlusion.kind)
    cover = occlusion.occluder.draw(Scene(upright[0], points, keys, side, upright[1], upright[2]), occlusion.argument)
    alpha, colour = _upright(cover.alpha, flip), _upright(cover.colour, flip)
    near = F.adaptive_avg_pool2d(torch.cat([colour, alpha[:, None]], 1), images.shape[-1])
    hole = F.adaptive_avg_pool2d(alpha[:, None], CANVAS)[:, 0] >= HIDDEN
    return Occluded(images * (1 - near[:, 3:]) + near[:, :3], hole, cover.drawn)


def hide_truth(truth: Truth, occluded: Occluded) -> Truth:
    """Return what of a truth is visible: the hidden pixels are ignored; a face without visible truth has none."""
    hole = occluded.hole.to(truth.maps.device)
    ignore = truth.ignore
    if hole.any():
        ignore = hole if ignore is None else hole | ignore
    maps = truth.maps if ignore is None else torch.where(ignore & truth.maps.isfinite(), 0, truth.maps)
    visible = maps.flatten(1).amax(1) > 0
    valid = truth.valid & occluded.drawn.to(truth.valid.device) & visible
    return Truth(torch.where(valid[:, None, None], maps, torch.nan), valid, ignore)


def _upright(planes: Tensor, mirrored: Bool[Tensor, " n"] | None) -> Tensor:
    if mirrored is None:
        return planes
    return torch.where(mirrored.view(-1, *[1] * (planes.dim() - 1)).to(planes.device), planes.flip(-1), planes)


def _upright_points(points: Float[Tensor, "n 68 2"], mirrored: Bool[Tensor, " n"] | None) -> Float[Tensor, "n 68 2"]:
    if mirrored is None:
        return points
    back = points[:, list(MIRRORED)] * points.new_tensor([-1, 1]) + points.new_tensor([CANVAS, 0])
    return torch.where(mirrored[:, None, None], back, points)
