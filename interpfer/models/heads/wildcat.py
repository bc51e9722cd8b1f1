"""WILDCAT (Durand et al. 2017): several maps per class, pooled by their largest and smallest values."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from interpfer.models.heads.base import Head, require_number


class WildcatHead(Head):
    """Several maps per class by a 1 x 1 convolution, averaged; the mean of the largest and of the smallest values.

    The logit is (mean of the largest + alpha x mean of the smallest) / 2, as in the authors' code.

    Args:
        channels: of the features.
        classes: number of logits.
        modalities: maps per class.
        kmax: how many of the largest values: a share below 1, or a number.
        kmin: how many of the smallest; None for ``kmax``, 0 for none.
        alpha: weight of the smallest.
        dropout: probability with which training sets a value to zero before it is pooled.
    """

    summary: ClassVar[str] = "several maps per class; mean of the largest values and of the smallest"
    source: ClassVar[str] = "Durand et al. 2017, WILDCAT, CVPR; defaults of their code for VOC"

    def __init__(
        self,
        channels: int,
        classes: int,
        modalities: int = 8,
        kmax: float = 0.2,
        kmin: float | None = None,
        alpha: float = 0.7,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(channels, classes)
        require_number("wildcat", "modalities", modalities, 1, float("inf"))
        require_number("wildcat", "kmax", kmax, 1e-9, float("inf"))
        require_number("wildcat", "kmin", kmax if kmin is None else kmin, 0, float("inf"))
        require_number("wildcat", "dropout", dropout, 0, 1)
        self.modalities, self.kmax, self.kmin, self.alpha = modalities, kmax, kmax if kmin is None else kmin, alpha
        self.conv = nn.Conv2d(channels, classes * modalities, 1)
        self.dropout = nn.Dropout(dropout)

    def scores(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the mean over the maps of each class."""
        maps: Tensor = self.conv(features)
        return maps.reshape(len(maps), self.classes, self.modalities, *maps.shape[2:]).mean(2)

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the logits."""
        kept: Tensor = self.dropout(scores)
        return pool_extremes(kept, self.kmax, self.kmin, self.alpha)


class WildcatReferenceHead(WildcatHead):
    """WILDCAT as the code of arXiv 2402.00281 computes it: its result with the smallest values is thrown away.

    ``kmin`` and ``alpha`` are taken, and do nothing; the defaults are those of that code.
    """

    summary: ClassVar[str] = "WILDCAT as in the code of arXiv 2402.00281: the largest values alone"
    source: ClassVar[str] = "code of Belharbi et al. 2024, arXiv 2402.00281"

    def __init__(
        self,
        channels: int,
        classes: int,
        modalities: int = 5,
        kmax: float = 0.5,
        kmin: float | None = 0.1,
        alpha: float = 0.6,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(channels, classes, modalities, kmax, kmin, alpha, dropout)

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the mean of the largest values."""
        return pool_extremes(self.dropout(scores), self.kmax, 0, 0)


def pool_extremes(scores: Float[Tensor, "n k h w"], kmax: float, kmin: float, alpha: float) -> Float[Tensor, "n k"]:
    """Return (mean of the largest + alpha x mean of the smallest values) / 2; without the smallest, the first mean.

    Args:
        scores: (n, k, h, w) maps.
        kmax: how many of the largest: a share below 1 (rounded), or a number.
        kmin: how many of the smallest, likewise; 0 for none.
        alpha: weight of the smallest; 0 leaves them out.

    Examples:
        >>> import torch
        >>> maps = torch.arange(4.0, -6.0, -1.0).reshape(1, 1, 2, 5)
        >>> round(pool_extremes(maps, 0.5, 0.1, 0.6).item(), 4), pool_extremes(maps, 0.5, 0, 0.6).item()
        (-0.5, 2.0)
    """
    values = scores.flatten(2)
    most, least = (_number(share, values.shape[2]) for share in (kmax, kmin))
    largest = values.topk(max(most, 1), 2).values.mean(2)
    if not least or not alpha:
        return largest
    smallest = values.topk(least, 2, largest=False).values.mean(2)
    return (largest + alpha * smallest) / 2


def _number(share: float, cells: int) -> int:
    return (
        round(share * cells)
        if share < 1
        else cells
        if isinstance(share, float) and share == 1
        else min(int(share), cells)
    )
