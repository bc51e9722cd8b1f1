"""Distances of a map from a heatmap: one number per image, smallest where they agree.

Maps and heatmaps are flattened, (n, p), defined and finite. The formulas are those of Belharbi et al. 2024
(arXiv 2402.00281) and its public code.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interpfer.metrics.agreement import cosine as metric_cosine

Vectors = Float[Tensor, "n p"]
Distances = Float[Tensor, " n"]
Distance = Callable[[Vectors, Vectors], Distances]

SPREAD = 1e-4
"""Added to the standard deviation of a map that is standardised."""

BARRIER_START, BARRIER_END, BARRIER_GROWTH = 1.0, 10.0, 1.01
"""Temperature of the log barrier: first value, largest value, and growth per epoch."""


def cosine(maps: Vectors, heat: Vectors) -> Distances:
    """1 - cosine, that of the metric."""
    return 1 - metric_cosine(maps[:, None], heat[:, None])


def std_cosine(maps: Vectors, heat: Vectors) -> Distances:
    """1 - cosine of the standardised map and the heatmap."""
    centred = maps - maps.mean(1, keepdim=True)
    return cosine(centred / (maps.std(1, keepdim=True) + SPREAD), heat)


def l1(maps: Vectors, heat: Vectors) -> Distances:
    """Mean absolute difference."""
    return (maps - heat).abs().mean(1)


def l2(maps: Vectors, heat: Vectors) -> Distances:
    """Mean squared difference."""
    return (maps - heat).square().mean(1)


def kl(maps: Vectors, heat: Vectors) -> Distances:
    """Divergence of each pixel's (heat, 1 - heat) from the softmax of the map over all pixels, mean over pixels."""
    inside = maps.log_softmax(1)
    outside = torch.log1p(-inside.exp().clamp(max=1 - 1e-7))
    terms = F.kl_div(inside, heat, reduction="none") + F.kl_div(outside, 1 - heat, reduction="none")
    return terms.mean(1)


def log_barrier(maps: Vectors, heat: Vectors, temperature: float = BARRIER_START) -> Distances:
    """Extended log barrier of -cosine <= 0 (Kervadec et al. 2019, arXiv 1904.04205).

    Args:
        maps: flattened maps.
        heat: flattened heatmaps.
        temperature: the steepness t; see ``barrier_temperature``.
    """
    value = cosine(maps, heat) - 1
    bound = -1 / temperature**2
    within = -torch.log(-value.clamp(max=bound)) / temperature
    beyond = temperature * value - math.log(1 / temperature**2) / temperature + 1 / temperature
    return torch.where(value <= bound, within, beyond)


def barrier_temperature(epoch: int) -> float:
    """Return the temperature of the log barrier in an epoch, counted from 0."""
    return min(BARRIER_START * BARRIER_GROWTH**epoch, BARRIER_END)


DISTANCES: Mapping[str, Distance] = {
    "cosine": cosine,
    "std-cosine": std_cosine,
    "l1": l1,
    "l2": l2,
    "kl": kl,
    "log-barrier": log_barrier,
}

BY_ANGLE = frozenset({cosine, log_barrier})
"""Distances that depend on lengths and inner products alone, and so may be computed from shorter vectors."""
