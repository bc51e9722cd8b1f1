"""CutMix and mixup: pictures of a batch are mixed, and the heatmaps move along.

The first face of a pair always has the larger share. Its class map answers for its own pixels alone; attention, which
knows no class, answers for both.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from interpfer.finetuning.augment import Augment, rectangles


@dataclass(frozen=True)
class Mixture:
    """A batch that goes into the network.

    Attributes:
        images: (n, 3, s, s).
        targets: (n,) the class with the larger share.
        others: (n,) the class with the smaller one.
        share: of the first class, in [0.5, 1].
        heat: (n, S, S) where attention should lie; NaN where undefined.
        cam_heat: (n, S, S) where the class map of ``targets`` should lie.
        valid: (n,) which faces have heatmaps.
    """

    images: Float[Tensor, "n 3 s s"]
    targets: Int[Tensor, " n"]
    others: Int[Tensor, " n"]
    share: float
    heat: Float[Tensor, "n S S"]
    cam_heat: Float[Tensor, "n S S"]
    valid: Bool[Tensor, " n"]


def mix(
    images: Float[Tensor, "n 3 s s"],
    targets: Int[Tensor, " n"],
    heat: Float[Tensor, "n S S"],
    valid: Bool[Tensor, " n"],
    augment: Augment,
    random: Generator,
) -> Mixture:
    """Mix a batch by CutMix, by mixup, or not at all, as chance has it."""
    plain = Mixture(images, targets, targets, 1.0, heat, heat, valid)
    if not augment.cutmix + augment.mixup:
        return plain
    chance, portion, top, left = torch.rand(4, generator=random).tolist()
    partner = torch.randperm(len(images), generator=random).to(images.device)
    if chance < augment.cutmix:
        side = (portion / 2) ** 0.5  # the smaller share is even in [0, 0.5]
        down, right, wide = (torch.tensor([value]) for value in ((1 - side) * top, (1 - side) * left, side))
        inside = rectangles(down, right, wide, wide, images.shape[-1]).to(images.device)
        cut = rectangles(down, right, wide, wide, heat.shape[-1]).to(images.device)
        share = 1 - float(inside.float().mean())
        mixed = torch.where(inside[:, None], images[partner], images)
        own = torch.where(cut, 0, heat)
        both = torch.where(cut, heat[partner].nan_to_num(0), own)
    elif chance < augment.cutmix + augment.mixup:
        share = 1 - portion / 2
        mixed = torch.lerp(images[partner], images, share)
        own = heat
        both = share * heat + (1 - share) * heat[partner].nan_to_num(0)
    else:
        return plain
    seen = valid & (own.flatten(1).nan_to_num(0).amax(1) > 0)
    return Mixture(mixed, targets, targets[partner], share, both, own, seen)
