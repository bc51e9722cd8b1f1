"""What becomes of a map where a part of the face is hidden: how much of it lies on what hides, and how far it moves."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interpfer.metrics.base import ImageMetric, MapBatch, Scores, image_metric

OCCLUSION = "occlusion"
"""Group of these metrics; they are computed with ``--occlude`` alone."""


@image_metric(higher_is_better=False, bounds=(0.0, 1.0), source="interpfer", group=OCCLUSION)
def leak(maps: MapBatch, hole: MapBatch) -> Scores:
    """Share of a map's energy inside the hole: 0 is right, and a uniform map leaks the hole's area.

    Args:
        maps: (n, S, S) maps, not negative, NaN all over where undefined.
        hole: (n, S, S) 1 at the hidden pixels, 0 elsewhere; NaN all over where nothing could be hidden.

    Examples:
        >>> hole = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> leak(torch.tensor([[[1.0, 3.0], [0.0, 0.0]]]), hole), leak(torch.ones(1, 2, 2), hole)
        (tensor([0.2500]), tensor([0.2500]))
    """
    total = maps.flatten(1).sum(1)
    inside = (maps * hole).flatten(1).sum(1)
    return torch.where(total > 0, inside / total, torch.nan)


@image_metric(higher_is_better=True, bounds=(-math.inf, 1.0), source="interpfer", group=OCCLUSION)
def leak_skill(maps: MapBatch, hole: MapBatch) -> Scores:
    """Leak on a scale where a uniform map scores 0 and a map that leaves the hole alone 1; undefined without a hole.

    Args:
        maps: as for ``leak``.
        hole: as for ``leak``.

    Examples:
        >>> hole = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> leak_skill(torch.tensor([[[1.0, 9.0], [0.0, 0.0]]]), hole)
        tensor([0.6000])
    """
    area: Float[Tensor, " n"] = hole.flatten(1).mean(1)
    return torch.where(area > 0, 1 - leak(maps, hole) / area, torch.nan)


@image_metric(higher_is_better=True, bounds=(0.0, 1.0), source="interpfer", group=OCCLUSION)
def map_similarity(maps: MapBatch, clean: MapBatch) -> Scores:
    """Cosine of the map of the occluded face and that of the clean one: 1 for a map that has not moved.

    Args:
        maps: (n, S, S) maps of the occluded faces.
        clean: (n, S, S) maps of the same faces as they are.

    Examples:
        >>> map_similarity(torch.eye(2)[None], torch.ones(1, 2, 2))
        tensor([0.7071])
    """
    a, b = maps.flatten(1), clean.flatten(1)
    defined = (a.norm(dim=1) > 0) & (b.norm(dim=1) > 0)
    return torch.where(defined, F.cosine_similarity(a, b, eps=1e-12), torch.nan)


HOLE_METRICS: dict[str, ImageMetric] = {"leak": leak, "leak_skill": leak_skill, "map_similarity": map_similarity}
"""By name, in the order of the tables: the last compares with the clean map, the others with the hole."""
