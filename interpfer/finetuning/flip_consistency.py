"""Consistency of class maps under mirroring (``--flip-consistency``): each face is trained on with its mirror image.

With ``--flip-scale`` the mirror image is enlarged around its centre, and class maps have to agree on what it shows.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interpfer.finetuning.augment import Mixture
from interpfer.maps.base import RawMap
from interpfer.maps.canvas import normalise
from interpfer.truth.base import Truth


def add_mirrored(mixture: Mixture, scale: float = 1.0) -> Mixture:
    """Return a batch followed by its mirror images, in the same order, with mirrored heatmaps.

    Args:
        mixture: the batch.
        scale: enlargement of the mirror images.
    """
    return replace(
        mixture,
        images=torch.cat([mixture.images, mirror(mixture.images, scale)]),
        targets=mixture.targets.repeat(2),
        others=mixture.others.repeat(2),
        truth=_with_mirrored(mixture.truth, scale),
        cam_truth=_with_mirrored(mixture.cam_truth, scale),
    )


def mirror(images: Float[Tensor, "n c h w"], scale: float = 1.0) -> Float[Tensor, "n c h w"]:
    """Return mirror images, enlarged around the centre (bilinear).

    Examples:
        >>> mirror(torch.tensor([[[[0.0, 1.0, 2.0, 3.0]] * 4]]), 2.0)[0, 0, 0].tolist()
        [2.25, 1.75, 1.25, 0.75]
    """
    if scale == 1:
        return images.flip(-1)
    theta = images.new_tensor([[-1 / scale, 0.0, 0.0], [0.0, 1 / scale, 0.0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def flip_distance(maps: RawMap, scale: float = 1.0) -> Float[Tensor, ""]:
    """Return the mean difference of the maps of faces, each in [0, 1], from those of their mirror images.

    The maps of faces are mirrored, and enlarged as the mirror images are, before both are compared.

    Args:
        maps: (2 n, h, w) maps of n faces, then those of their mirror images.
        scale: enlargement of the mirror images.

    Returns:
        The mean over the faces of which both maps are defined; zero where there are none.

    Examples:
        >>> own = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> flip_distance(torch.cat([own, own.flip(-1)])), flip_distance(torch.cat([own, own]))
        (tensor(0.), tensor(0.5000))
    """
    own, mirrored = maps.chunk(2)
    own = mirror(own[:, None], scale)[:, 0]
    defined = normalise(own.detach())[1] & normalise(mirrored.detach())[1]
    if not bool(defined.any()):
        return maps.sum() * 0
    own, mirrored = (normalise(each[defined])[0] for each in (own, mirrored))
    return (own - mirrored).abs().mean()


def _with_mirrored(truth: Truth, scale: float) -> Truth:
    """Return a truth followed by its mirror image, valid where that still shows some of the heatmap."""
    mirrored = mirror(truth.maps[:, None], scale)[:, 0]
    seen = truth.valid if scale == 1 else truth.valid & (mirrored.flatten(1).nan_to_num(0).amax(1) > 0)
    ignore = truth.ignore
    if ignore is not None:
        ignore = torch.cat([ignore, mirror(ignore[:, None].float(), scale)[:, 0] > 0.5])
    return Truth(torch.cat([truth.maps, mirrored]), torch.cat([truth.valid, seen]), ignore)
