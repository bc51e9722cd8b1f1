"""Where in the face the energy of a map lies: its share of the mouth, eyes, brows, nose, cheeks, chin and outside.

No codebook is needed: the regions are drawn at the landmarks (``interpfer.au.face_regions``). The share of a uniform
map is the region's part of the canvas; the skill is the share on a scale where that is 0 and all energy inside 1.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.au.face_regions import FACE_REGIONS, OUTSIDE, locate_face_regions
from interpfer.metrics.base import LandmarkMetric, MapBatch, Scores, landmark_metric
from interpfer.metrics.caching import cached_per_batch

REGIONS = "regions"
"""The group of these metrics."""

PREFIX, SKILL = "region_", "_skill"


@cache
def _masks_of(size: int) -> Callable[[Float[Tensor, "n 68 2"]], Float[Tensor, "n r p"]]:
    """Return a function of landmarks to which pixels belong to each region, NaN without landmarks; cached per batch."""

    @cached_per_batch
    def masks(points: Float[Tensor, "n 68 2"]) -> Float[Tensor, "n r p"]:
        located = locate_face_regions(points, size).flatten(1)
        names = torch.arange(len(FACE_REGIONS), device=located.device)
        belongs = (located[:, None] == names[:, None]).double()
        return torch.where((located[:, :1] >= 0)[..., None], belongs, torch.nan)

    return masks


@cached_per_batch
def region_shares(maps: MapBatch, points: Float[Tensor, "n 68 2"]) -> Float[Tensor, "n 7"]:
    """Return the share of each map's energy in each of ``FACE_REGIONS``; rows add up to 1, NaN where undefined.

    Args:
        maps: (n, S, S) on the canvas, not negative.
        points: (n, 68, 2) landmarks in pixels of the maps; NaN for a face without.

    Examples:
        >>> from interpfer.datasets.demo import DemoDataset
        >>> points = DemoDataset("test", count=1, size=224).landmarks().locate(["test_0001.png"]).points
        >>> shares = region_shares(torch.ones(1, 224, 224), points)
        >>> round(float(shares.sum()), 6)
        1.0
    """
    energy: Tensor = (_masks_of(maps.shape[-1])(points) @ maps.flatten(1).double()[..., None])[..., 0]
    total = energy.sum(1, keepdim=True)
    return torch.where(total > 0, energy / total, torch.nan)


@cached_per_batch
def region_areas(maps: MapBatch, points: Float[Tensor, "n 68 2"]) -> Float[Tensor, "n 7"]:
    """Return the share of the canvas of each of ``FACE_REGIONS``, which is a uniform map's; arguments as above."""
    return _masks_of(maps.shape[-1])(points).mean(2)


def _share(name: str) -> LandmarkMetric:
    """Return the metric of the share of a region."""
    index = FACE_REGIONS.index(name)

    def compute(maps: MapBatch, points: Float[Tensor, "n 68 2"]) -> Scores:
        return region_shares(maps, points)[:, index].to(maps.dtype)

    compute.__name__ = PREFIX + name
    compute.__doc__ = f"Share of the map's energy in the named region {name}."
    return landmark_metric(name != OUTSIDE, (0.0, 1.0), "interpfer", REGIONS)(compute)


def _skill(name: str) -> LandmarkMetric:
    """Return the metric of the skill of a region."""
    index = FACE_REGIONS.index(name)

    def compute(maps: MapBatch, points: Float[Tensor, "n 68 2"]) -> Scores:
        share, area = region_shares(maps, points)[:, index], region_areas(maps, points)[:, index]
        has_both = (area > 0) & (area < 1)
        return torch.where(has_both, (share - area) / (1 - area), torch.nan).to(maps.dtype)

    compute.__name__ = PREFIX + name + SKILL
    compute.__doc__ = f"Share in the region {name} on a scale where a uniform map scores 0 and all energy inside 1."
    return landmark_metric(name != OUTSIDE, (-math.inf, 1.0), "interpfer", REGIONS)(compute)


region_mouth, region_mouth_skill = _share("mouth"), _skill("mouth")
region_eyes, region_eyes_skill = _share("eyes"), _skill("eyes")
region_brows, region_brows_skill = _share("brows"), _skill("brows")
region_nose, region_nose_skill = _share("nose"), _skill("nose")
region_cheeks, region_cheeks_skill = _share("cheeks"), _skill("cheeks")
region_chin, region_chin_skill = _share("chin"), _skill("chin")
region_outside, region_outside_skill = _share(OUTSIDE), _skill(OUTSIDE)


def region_of(metric: str) -> str:
    """Return the region of the name of a share or skill, "" for another metric.

    Examples:
        >>> region_of("region_mouth_skill"), region_of("region_nose"), region_of("cosine")
        ('mouth', 'nose', '')
    """
    name = metric.removeprefix(PREFIX).removesuffix(SKILL)
    return name if metric.startswith(PREFIX) and name in FACE_REGIONS else ""
