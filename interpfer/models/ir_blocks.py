"""The first stages of an IR-50, the improved residual network of face recognition (Deng et al. 2019, arXiv 1801.07698).

Parameters have the names of the code of APViT: ``body.STAGE.BLOCK``.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn


class FaceStages(nn.Module):
    """A stem at full resolution, and stages that each halve the grid.

    Args:
        widths: channels of the stem and of each stage.
        blocks: number of blocks of each stage.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        self.body = nn.ModuleList(
            nn.Sequential(FaceBlock(before, width, 2), *(FaceBlock(width, width, 1) for _ in range(count - 1)))
            for before, width, count in zip(widths, widths[1:], blocks, strict=False)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, x: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n c h w"]:
        """Return the features of the last stage."""
        x = self.input_layer(x)
        for stage in self.body:
            x = stage(x)
        return x


class FaceBlock(nn.Module):
    """Two convolutions between normalisations, added to the input.

    Args:
        before: channels of the input.
        width: channels of the output.
        stride: of the second convolution and of the shortcut.
    """

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = (
            nn.MaxPool2d(1, stride)
            if before == width
            else nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.Conv2d(before, width, 3, 1, 1, bias=False),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d u v"]:
        """Return the sum of both paths."""
        total: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return total
