"""Mean truth of a data set, leaving out the image at hand."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.truth.base import Truth
from interpfer.types import CANVAS


class TruthMeans:
    """Sums of the truth per class, so that the mean of all *other* images is known for each.

    Args:
        classes: number of classes.

    Attributes:
        sums: (classes, S, S), float64, so that the order of a batch does not show.
        counts: (classes,) faces in each sum.
    """

    def __init__(self, classes: int) -> None:
        self.sums = torch.zeros(classes, CANVAS, CANVAS, dtype=torch.float64)
        self.counts = torch.zeros(classes, dtype=torch.float64)

    def add(self, truth: Truth, classes: Sequence[int]) -> None:
        """Add the truth of a batch; ``classes`` holds the class index of each face."""
        for picture, ok, index in zip(truth.maps.cpu(), truth.valid.tolist(), classes, strict=True):
            if ok:
                self.sums[index] += picture
                self.counts[index] += 1

    def mean_of_others(self, truth: Truth) -> Float[Tensor, "n S S"]:
        """Return the mean over all images but each; NaN where there is no other."""
        return _without(self.sums.sum(0), self.counts.sum(), truth)

    def class_mean_of_others(self, truth: Truth, classes: Sequence[int]) -> Float[Tensor, "n S S"]:
        """Return the mean over the other images of each one's class; NaN where the class is unknown (-1)."""
        index = torch.tensor(classes, dtype=torch.long)
        count = torch.where(index >= 0, self.counts[index], 0)
        return _without(self.sums[index], count, truth)


def _without(sums: Tensor, counts: Tensor, truth: Truth) -> Tensor:
    own = torch.where(truth.valid[:, None, None], truth.maps, 0).cpu().double()
    left = counts - truth.valid.cpu().double()
    return (torch.where(left > 0, 1 / left, torch.nan)[:, None, None] * (sums - own)).to(truth.maps)
