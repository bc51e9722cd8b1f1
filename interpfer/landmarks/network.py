"""The network of the embedded landmarks: from a grey face crop to 68 points and a confidence.

It uses plain 3x3 convolutions with few channels: on a CPU core they run several times faster than depthwise-separable
ones of the same accuracy. A point is the centre of mass of a score map, which is finer than a cell of the map.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.types import LANDMARKS

CROP = 96
"""Side in pixels of the network's input."""

MARGIN = 1.3
"""Side of the crop of the second pass, in sides of the box around the 68 points."""


@dataclass(frozen=True)
class Squares:
    """Rotated squares on n pictures, in pixels from the outer edge of the first pixel.

    Attributes:
        centres: (n, 2) as (x, y).
        sides: (n,) length of a side.
        angles: (n,) clockwise rotation in radians, as seen with y down.
    """

    centres: Float[Tensor, "n 2"]
    sides: Float[Tensor, " n"]
    angles: Float[Tensor, " n"]

    @classmethod
    def around(cls, points: Float[Tensor, "n 68 2"], margin: float = MARGIN) -> "Squares":
        """Return the squares around faces, rotated so that the eyes are level."""
        eyes = points[:, 42:48].mean(1) - points[:, 36:42].mean(1)
        angles = torch.atan2(eyes[:, 1], eyes[:, 0])
        rotated = torch.bmm(points, _rotation(angles))
        low, high = rotated.amin(1), rotated.amax(1)
        centres = torch.bmm((low + high)[:, None] / 2, _rotation(-angles))[:, 0]
        return cls(centres, (high - low).amax(1).clamp_min(1e-3) * margin, angles)

    def to_picture(self, points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p 2"]:
        """Convert points of the squares, each spanning [-1, 1], to pixels of the pictures."""
        return self.centres[:, None] + torch.bmm(points, _rotation(-self.angles)) * (self.sides / 2)[:, None, None]

    def from_picture(self, points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p 2"]:
        """Convert pixels of the pictures to points of the squares, each spanning [-1, 1]."""
        return torch.bmm(points - self.centres[:, None], _rotation(self.angles)) / (self.sides / 2)[:, None, None]

    def cut(self, pictures: Float[Tensor, "n c h w"], size: int = CROP) -> Float[Tensor, "n c s s"]:
        """Sample the squares at ``size`` x ``size`` pixels; beyond its edge, a picture repeats its last pixel."""
        n, _, height, width = pictures.shape
        ticks = (torch.arange(size, device=pictures.device, dtype=pictures.dtype) + 0.5) * (2 / size) - 1
        grid = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1).view(1, -1, 2).expand(n, -1, -1)
        scale = pictures.new_tensor([2 / width, 2 / height])
        grid = (self.to_picture(grid) * scale - 1).view(n, size, size, 2)
        return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _rotation(angles: Float[Tensor, " n"]) -> Float[Tensor, "n 2 2"]:
    """Return matrices that rotate row vectors back by the angles (row @ matrix)."""
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)


class Conv(nn.Module):
    """3x3 convolution, normalisation, ReLU; with a shortcut if the shape is unchanged."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, folded: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=folded)
        self.norm: nn.Module = nn.Identity() if folded else nn.BatchNorm2d(outputs)
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """Apply the block."""
        y = F.relu(self.norm(self.conv(x)), inplace=True)
        return x + y if self.shortcut else y


class LandmarkNet(nn.Module):
    """Predicts 68 points and a confidence for grey crops.

    Args:
        folded: leave out the normalisation layers, as in the stored weights; see ``fold``.
    """

    REACH = 1.25
    """Width of the score maps, in widths of the crop, so that points near its edge are covered."""

    def __init__(self, folded: bool = False) -> None:
        super().__init__()

        def stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
            further = [Conv(outputs, outputs, folded=folded) for _ in range(blocks)]
            return nn.Sequential(Conv(inputs, outputs, 2, folded), *further)

        self.level2 = stage(1, 16, 1)
        self.level4 = stage(16, 32, 2)
        self.level8 = stage(32, 48, 3)
        self.level16 = stage(48, 64, 3)
        self.lateral = nn.Conv2d(48, 64, 1)
        self.merge = nn.Sequential(Conv(64, 64, folded=folded), Conv(64, 64, folded=folded))
        self.maps = nn.Conv2d(64, LANDMARKS, 1)
        self.squeeze = nn.Conv2d(64, 64, 6, groups=64)
        self.confidence = nn.Linear(64, 1)

    def forward(self, crops: Float[Tensor, "n 1 s s"]) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
        """Predict points and the logit of a face.

        Args:
            crops: (n, 1, CROP, CROP) in [0, 1].

        Returns:
            (n, 68, 2) as (x, y) with the crop spanning [-1, 1], and (n,) logits.
        """
        mean, std = crops.mean((2, 3), keepdim=True), crops.std((2, 3), keepdim=True)
        x = (crops - mean) / (std + 0.03)
        fine = self.level8(self.level4(self.level2(x)))
        coarse = self.level16(fine)
        logit = self.confidence(F.relu(self.squeeze(coarse)).flatten(1))[:, 0].float()
        up = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return self._centres(self.maps(self.merge(self.lateral(fine) + up)).float()), logit

    def _centres(self, maps: Float[Tensor, "n 68 h w"]) -> Float[Tensor, "n 68 2"]:
        """Return the centre of mass of each map's softmax."""
        size = maps.shape[-1]
        mass = maps.flatten(2).softmax(-1).view_as(maps)
        ticks = ((torch.arange(size, device=maps.device, dtype=maps.dtype) + 0.5) * (2 / size) - 1) * self.REACH
        return torch.stack([(mass.sum(2) * ticks).sum(-1), (mass.sum(3) * ticks).sum(-1)], -1)


def fold(net: LandmarkNet) -> LandmarkNet:
    """Return a copy for inference with the normalisation folded into the convolutions."""
    folded = LandmarkNet(folded=True).eval()
    state = dict(net.state_dict())
    for name, module in net.named_modules():
        if isinstance(module, Conv) and isinstance(module.norm, nn.BatchNorm2d):
            fused = nn.utils.fuse_conv_bn_eval(module.conv.eval(), module.norm.eval())
            state |= {f"{name}.conv.{part}": value for part, value in fused.state_dict().items()}
    folded.load_state_dict({key: value for key, value in state.items() if ".norm." not in key})
    return folded
