"""Mean truth of a data set, leaving out the image at hand."""

from collections.abc import Callable, Sequence

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
        sums: (classes + 1, S, S), float64, so that the order of a batch does not show; the last of unknown classes.
        counts: (classes + 1,) faces in each sum.
        ignored: (classes + 1, S, S) faces of which a pixel counts neither way, and is in no sum; None for none.
    """

    def __init__(self, classes: int) -> None:
        self.sums = torch.zeros(classes + 1, CANVAS, CANVAS, dtype=torch.float64)
        self.counts = torch.zeros(classes + 1, dtype=torch.float64)
        self.ignored: Float[Tensor, "c S S"] | None = None

    def add(self, truth: Truth, classes: Sequence[int]) -> None:
        """Add the truth of a batch; ``classes`` holds the class index of each face."""
        for picture, ok, index in zip(truth.maps.cpu(), truth.valid.tolist(), classes, strict=True):
            if ok:
                self.sums[index] += picture
                self.counts[index] += 1
        if truth.ignore is not None:
            self.ignored = torch.zeros_like(self.sums) if self.ignored is None else self.ignored
            for ignore, ok, index in zip(truth.ignore.cpu(), truth.valid.tolist(), classes, strict=True):
                if ok:
                    self.ignored[index] += ignore

    def add_over(self, add: Callable[[Tensor], Tensor]) -> None:
        """Replace all sums by those over several processes.

        Args:
            add: function of a tensor of this process to the sum of those of all.
        """
        is_any = bool(add(torch.tensor([float(self.ignored is not None)])) > 0)
        if is_any:
            self.ignored = add(torch.zeros_like(self.sums) if self.ignored is None else self.ignored)
        self.sums, self.counts = add(self.sums), add(self.counts)

    def mean_of_others(self, truth: Truth) -> Float[Tensor, "n S S"]:
        """Return the mean over all images but each; NaN where there is no other, 0 where all others are ignored."""
        ignored = None if self.ignored is None else self.ignored.sum(0)
        return _without(self.sums.sum(0), self.counts.sum(), ignored, truth)

    def class_mean_of_others(self, truth: Truth, classes: Sequence[int]) -> Float[Tensor, "n S S"]:
        """Return the mean over the other images of each one's class; NaN where the class is unknown (-1)."""
        index = torch.tensor(classes, dtype=torch.long)
        count = torch.where(index >= 0, self.counts[index], 0)
        ignored = None if self.ignored is None else self.ignored[index]
        return _without(self.sums[index], count, ignored, truth)


def _without(sums: Tensor, counts: Tensor, ignored: Tensor | None, truth: Truth) -> Tensor:
    own = torch.where(truth.valid[:, None, None], truth.maps, 0).cpu().double()
    left = counts - truth.valid.cpu().double()
    if ignored is None:
        return (torch.where(left > 0, 1 / left, torch.nan)[:, None, None] * (sums - own)).to(truth.maps)
    mine = 0 if truth.ignore is None else (truth.ignore & truth.valid[:, None, None]).cpu().double()
    kept = left[:, None, None] - (ignored - mine)
    means = (sums - own) / kept.where(kept > 0, 1)
    return torch.where(left[:, None, None] > 0, means, torch.nan).to(truth.maps)
