"""Consistency of class maps under mirroring (``--flip-consistency``): each face is trained on with its mirror image."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.finetuning.augment import Mixture
from interpfer.maps.base import RawMap
from interpfer.maps.canvas import normalise
from interpfer.truth.base import Truth


def add_mirrored(mixture: Mixture) -> Mixture:
    """Return a batch followed by its mirror images, in the same order, with mirrored heatmaps."""
    return replace(
        mixture,
        images=torch.cat([mixture.images, mixture.images.flip(-1)]),
        targets=mixture.targets.repeat(2),
        others=mixture.others.repeat(2),
        truth=_with_mirrored(mixture.truth),
        cam_truth=_with_mirrored(mixture.cam_truth),
    )


def flip_distance(maps: RawMap) -> Float[Tensor, ""]:
    """Return the mean difference of the maps of faces, each in [0, 1], from those of their mirror images, turned back.

    Args:
        maps: (2 n, h, w) maps of n faces, then those of their mirror images.

    Returns:
        The mean over the faces of which both maps are defined; zero where there are none.

    Examples:
        >>> own = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> flip_distance(torch.cat([own, own.flip(-1)])), flip_distance(torch.cat([own, own]))
        (tensor(0.), tensor(0.5000))
    """
    own, mirrored = maps.chunk(2)
    defined = normalise(own.detach())[1] & normalise(mirrored.detach())[1]
    if not bool(defined.any()):
        return maps.sum() * 0
    own, mirrored = (normalise(each[defined])[0] for each in (own, mirrored))
    return (own - mirrored.flip(-1)).abs().mean()


def _with_mirrored(truth: Truth) -> Truth:
    ignore = None if truth.ignore is None else torch.cat([truth.ignore, truth.ignore.flip(-1)])
    return Truth(torch.cat([truth.maps, truth.maps.flip(-1)]), truth.valid.repeat(2), ignore)
