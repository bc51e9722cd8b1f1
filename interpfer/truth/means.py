"""Mean truth of a data set, leaving out the image at hand, or its clip."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import NamedTuple

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
        clips: position of an image -> the sums of its clip, which is left out with it.
    """

    def __init__(self, classes: int) -> None:
        self.sums = torch.zeros(classes + 1, CANVAS, CANVAS, dtype=torch.float64)
        self.counts = torch.zeros(classes + 1, dtype=torch.float64)
        self.ignored: Float[Tensor, "c S S"] | None = None
        self.clips: dict[int, TruthMeans] = {}

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

    def leaving_out(self, clips: Mapping[int, "TruthMeans"]) -> "TruthMeans":
        """Return the same sums, from which the whole clip of an image is left out in place of the image alone.

        Args:
            clips: position of an image -> the sums of all frames of its clip.
        """
        other = copy(self)
        other.clips = dict(clips)
        return other

    def mean_of_others(self, truth: Truth, rows: Sequence[int] = ()) -> Float[Tensor, "n S S"]:
        """Return the mean over all images but each; NaN where there is no other, 0 where all others are ignored.

        Args:
            truth: of n images.
            rows: their positions, of frames of clips.
        """
        ignored = None if self.ignored is None else self.ignored.sum(0)
        own = self._own(truth, rows, [slice(None)] * len(truth.maps))
        return _without(self.sums.sum(0), self.counts.sum(), ignored, own).to(truth.maps)

    def class_mean_of_others(
        self, truth: Truth, classes: Sequence[int], rows: Sequence[int] = ()
    ) -> Float[Tensor, "n S S"]:
        """Return the mean over the other images of each one's class; NaN where the class is unknown (-1).

        Args:
            truth: of n images.
            classes: their classes.
            rows: their positions, of frames of clips.
        """
        index = torch.tensor(classes, dtype=torch.long)
        count = torch.where(index >= 0, self.counts[index], 0)
        ignored = None if self.ignored is None else self.ignored[index]
        own = self._own(truth, rows, [slice(place, place + 1) if place >= 0 else slice(-1, None) for place in classes])
        return _without(self.sums[index], count, ignored, own).to(truth.maps)

    def _own(self, truth: Truth, rows: Sequence[int], classes: Sequence[slice]) -> "_Own":
        """Return what is left out for each image: itself, or the frames of its clip, of those classes."""
        sums = torch.where(truth.valid[:, None, None], truth.maps, 0).cpu().double()
        counts = truth.valid.cpu().double()
        ignored = torch.zeros_like(sums)
        if truth.ignore is not None:
            ignored = (truth.ignore & truth.valid[:, None, None]).cpu().double()
        for place, (row, chosen) in enumerate(zip(rows, classes, strict=False)):
            if (clip := self.clips.get(row)) is not None:
                sums[place], counts[place] = clip.sums[chosen].sum(0), clip.counts[chosen].sum()
                ignored[place] = 0 if clip.ignored is None else clip.ignored[chosen].sum(0)
        return _Own(sums, counts, ignored)


class _Own(NamedTuple):
    """What is left out of the sums for each of n images.

    Attributes:
        sums: (n, S, S).
        counts: (n,).
        ignored: (n, S, S) faces of which a pixel counts neither way.
    """

    sums: Tensor
    counts: Tensor
    ignored: Tensor


def _without(sums: Tensor, counts: Tensor, ignored: Tensor | None, own: _Own) -> Tensor:
    left = counts - own.counts
    if ignored is None:
        return torch.where(left > 0, 1 / left, torch.nan)[:, None, None] * (sums - own.sums)
    kept = left[:, None, None] - (ignored - own.ignored)
    means = (sums - own.sums) / kept.where(kept > 0, 1)
    return torch.where(left[:, None, None] > 0, means, torch.nan)
