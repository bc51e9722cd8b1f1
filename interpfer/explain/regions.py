"""Energy of one map per region: of the action units, and of the face."""

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.au.face_regions import FACE_REGIONS
from interpfer.explain.explanation import FaceRegion, Region
from interpfer.metrics.au_profile import USED, profile
from interpfer.metrics.regions import region_areas, region_shares
from interpfer.truth.base import TruthProvider
from interpfer.types import Landmarks


def share_of_face(large: Float[Tensor, "1 s s"], landmarks: Landmarks) -> tuple[FaceRegion, ...]:
    """Return the energy per named region of the face; none without landmarks or map."""
    shares, areas = (share(large, landmarks.points)[0] for share in (region_shares, region_areas))
    if not bool(shares.isfinite().all()):
        return ()
    return tuple(map(FaceRegion, FACE_REGIONS, shares.tolist(), areas.tolist()))


def share_of_aus(
    large: Float[Tensor, "1 s s"], expected: str, landmarks: Landmarks, truth: TruthProvider
) -> tuple[Region, ...]:
    """Return the energy per region of action units; none without landmarks or map.

    Args:
        large: the map on the canvas.
        expected: expression whose action units are expected, "" for none.
        landmarks: of the face, on the canvas.
        truth: knows the regions.
    """
    if not bool(landmarks.found.all()) or not bool(large.isfinite().all()):
        return ()
    shares = truth.shares(landmarks)
    energy, uniform = (profile(maps, shares)[0].tolist() for maps in (large, torch.ones_like(large)))
    wanted = truth.expected_aus(expected)
    return tuple(
        Region(aus, tuple(au for au in aus if au in wanted), share, blank, share >= USED * blank > 0)
        for aus, share, blank in zip(truth.parts.groups, energy, uniform, strict=False)
    )
