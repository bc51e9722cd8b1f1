"""Mean AU heatmaps of a data set, leaving out the image at hand."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.types import CANVAS


class TruthMeans:
    """Sums of AU heatmaps per class, so that the mean of all *other* images can be told of each.

    Args:
        classes: number of classes.

    Attributes:
        sums: (classes, S, S), float64, so that the order of a batch does not show.
        counts: (classes,) heatmaps in each sum.
    """

    def __init__(self, classes: int) -> None:
        self.sums = torch.zeros(classes, CANVAS, CANVAS, dtype=torch.float64)
        self.counts = torch.zeros(classes, dtype=torch.float64)

    def add(self, heat: Float[Tensor, "n s s"], valid: Bool[Tensor, " n"], classes: Sequence[int]) -> None:
        """Add a batch of heatmaps; ``classes`` holds the class index of each."""
        for picture, ok, index in zip(heat.cpu(), valid.tolist(), classes, strict=True):
            if ok:
                self.sums[index] += picture
                self.counts[index] += 1

    def others(self, heat: Float[Tensor, "n s s"], valid: Bool[Tensor, " n"]) -> Float[Tensor, "n s s"]:
        """Return the mean heatmap of all images but each; NaN where there is no other."""
        return _without(self.sums.sum(0), self.counts.sum(), heat, valid)

    def class_mean_of_others(
        self, heat: Float[Tensor, "n s s"], valid: Bool[Tensor, " n"], classes: Sequence[int]
    ) -> Float[Tensor, "n s s"]:
        """Return the mean heatmap of the other images of each one's class; NaN where the class is unknown (-1)."""
        index = torch.tensor(classes, dtype=torch.long)
        count = torch.where(index >= 0, self.counts[index], 0)
        return _without(self.sums[index], count, heat, valid)


def _without(sums: Tensor, counts: Tensor, heat: Tensor, valid: Tensor) -> Tensor:
    own = torch.where(valid[:, None, None], heat, 0).cpu().double()
    left = counts - valid.cpu().double()
    return (torch.where(left > 0, 1 / left, torch.nan)[:, None, None] * (sums - own)).to(heat)
