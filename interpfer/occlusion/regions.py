"""The regions of the truth, all but them, and as much elsewhere."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.errors import InterpferError
from interpfer.occlusion.base import Cover, Scene, grey_cover, occluder

LEVEL = 0.5
"""A pixel belongs to the regions where the truth reaches this value."""

BLOBS = 7
"""Side of the random grid whose enlargement is the relief that ``elsewhere`` fills from its top."""


@occluder(needs="truth")
def regions(scene: Scene, argument: str) -> Cover:  # noqa: ARG001
    """The regions of the truth: of the label's action units, of coded ones, or the mask."""
    inside, drawn = _inside(scene)
    return _hide(inside, drawn, scene.size)


@occluder(needs="truth")
def inverse(scene: Scene, argument: str) -> Cover:  # noqa: ARG001
    """Everything but the regions of the truth."""
    inside, drawn = _inside(scene)
    return _hide(~inside, drawn, scene.size)


@occluder(needs="truth")
def elsewhere(scene: Scene, argument: str) -> Cover:  # noqa: ARG001
    """Blobs at random outside the regions of the truth, as large as these."""
    inside, drawn = _inside(scene)
    side = inside.shape[-1]
    relief = scene.keys.uniform(BLOBS * BLOBS).to(scene.images).view(-1, 1, BLOBS, BLOBS)
    relief = F.interpolate(relief, size=(side, side), mode="bicubic")[:, 0]
    order = torch.where(inside, -torch.inf, relief).flatten(1).argsort(dim=1, descending=True, stable=True)
    area = torch.minimum(inside.flatten(1).sum(1), (~inside).flatten(1).sum(1))
    chosen = torch.arange(order.shape[1], device=order.device) < area[:, None]
    hole = torch.zeros_like(order, dtype=torch.bool).scatter_(1, order, chosen)
    return _hide(hole.view_as(inside), drawn, scene.size)


def _inside(scene: Scene) -> tuple[Bool[Tensor, "n S S"], Bool[Tensor, " n"]]:
    if scene.truth is None:
        raise InterpferError("the occluders au, au-inverse and elsewhere need the truth of the faces.")
    inside = scene.truth >= LEVEL
    return inside, scene.truth.flatten(1).isfinite().all(1) & inside.flatten(1).any(1)


def _hide(hole: Bool[Tensor, "n S S"], drawn: Bool[Tensor, " n"], size: int) -> Cover:
    large: Float[Tensor, "n 1 s s"] = hole[:, None].float()
    if size != hole.shape[-1]:
        large = F.interpolate(large, size=(size, size), mode="nearest-exact")
    return grey_cover(large[:, 0], drawn)
