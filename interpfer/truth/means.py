"""Mean truth of a data set, leaving out the image at hand, or its clip."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.truth.base import Truth
from interpfer.types import CANVAS

KEPT_BYTES = 1 << 26
"""Most memory in bytes for truths that were drawn for a sum and are compared with maps later."""


class TruthMeans:
    """Sums of the truth per class, so that the mean of all *other* images is known for each.

    Args:
        classes: number of classes.

    Attributes:
        sums: (classes + 1, S, S), float64, so that the order of a batch does not show; the last of unknown classes.
        counts: (classes + 1,) faces in each sum.
        ignored: (classes + 1, S, S) faces of which a pixel counts neither way, and is in no sum; None for none.
        clips: position of an image -> the sums of its clip, which is left out with it.
        kept: position of an image -> its truth, for the first ``KEPT_BYTES`` of them.
    """

    def __init__(self, classes: int) -> None:
        self.sums = torch.zeros(classes + 1, CANVAS, CANVAS, dtype=torch.float64)
        self.counts = torch.zeros(classes + 1, dtype=torch.float64)
        self.ignored: Float[Tensor, "c S S"] | None = None
        self.clips: dict[int, TruthMeans] = {}
        self.kept: dict[int, Truth] = {}

    def add(self, truth: Truth, classes: Sequence[int], rows: Sequence[int] = ()) -> None:
        """Add the truth of a batch.

        Args:
            truth: of n images.
            classes: the class index of each, -1 where unknown.
            rows: their positions, so that ``kept_truth`` returns some of them; none to keep none.
        """
        for picture, ok, index in zip(truth.maps.cpu(), truth.valid.tolist(), classes, strict=True):
            if ok:
                self.sums[index] += picture
                self.counts[index] += 1
        if truth.ignore is not None:
            self.ignored = torch.zeros_like(self.sums) if self.ignored is None else self.ignored
            for ignore, ok, index in zip(truth.ignore.cpu(), truth.valid.tolist(), classes, strict=True):
                if ok:
                    self.ignored[index] += ignore
        elif (len(self.kept) + len(rows)) * CANVAS**2 * truth.maps.element_size() <= KEPT_BYTES:
            self.kept |= {row: truth[place : place + 1] for place, row in enumerate(rows)}

    def kept_truth(self, rows: Sequence[int]) -> Truth | None:
        """Return the truth of the images at some positions, if all of them were kept."""
        if not rows or not all(row in self.kept for row in rows):
            return None
        own = [self.kept[row] for row in rows]
        return Truth(torch.cat([truth.maps for truth in own]), torch.cat([truth.valid for truth in own]))

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
        return self._means(truth, [None] * len(truth.maps), rows)

    def class_mean_of_others(
        self, truth: Truth, classes: Sequence[int], rows: Sequence[int] = ()
    ) -> Float[Tensor, "n S S"]:
        """Return the mean over the other images of each one's class; NaN where the class is unknown (-1).

        Args:
            truth: of n images.
            classes: their classes.
            rows: their positions, of frames of clips.
        """
        return self._means(truth, classes, rows)

    def _means(self, truth: Truth, classes: Sequence[int | None], rows: Sequence[int]) -> Float[Tensor, "n S S"]:
        """Return the means of the others of a class, of all for None: one by one, so that they stay in the cache."""
        totals = {each: self._sum(each) for each in set(classes)}
        maps, means = truth.maps.cpu(), torch.empty_like(truth.maps, device="cpu")
        ignored: list[Tensor | None] = [None] * len(maps) if truth.ignore is None else list(truth.ignore.cpu())
        for place, (each, ok) in enumerate(zip(classes, truth.valid.tolist(), strict=True)):
            clip = self.clips.get(rows[place]) if rows else None
            own = _Sums(maps[place], 1.0, ignored[place]) if ok else _Sums(None, 0.0, None)
            means[place] = totals[each].without(own if clip is None else clip._sum(each))
        return means.to(truth.maps)

    def _sum(self, index: int | None) -> "_Sums":
        """Return the sums over a class, over all for None, over none for -1."""
        if index is None:
            ignored = None if self.ignored is None else self.ignored.sum(0)
            return _Sums(self.sums.sum(0), float(self.counts.sum()), ignored)
        if index < 0:
            return _Sums(None, 0.0, None)
        return _Sums(self.sums[index], float(self.counts[index]), None if self.ignored is None else self.ignored[index])


class _Sums(NamedTuple):
    """Truths that are added up.

    Attributes:
        maps: (S, S); None for none.
        faces: how many they are.
        ignored: (S, S) how many of them have a pixel that counts neither way; None for none.
    """

    maps: Tensor | None
    faces: float
    ignored: Tensor | None

    def without(self, own: "_Sums") -> Tensor:
        """Return the mean of these without some of them; NaN where none is left."""
        left = self.faces - own.faces
        if self.maps is None or left <= 0:
            return torch.tensor(torch.nan)
        others = self.maps.clone() if own.maps is None else self.maps - own.maps
        if self.ignored is None:
            return others.mul_(1 / left)
        kept = left - (self.ignored if own.ignored is None else self.ignored - own.ignored.double())
        return others.div_(kept.where(kept > 0, 1))
