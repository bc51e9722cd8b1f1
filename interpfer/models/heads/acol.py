"""ACoL (Zhang et al. 2018): two classifiers, of which the second sees what the first one does not use."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.models.heads.base import Head, require_number


class AcolHead(Head):
    """Two classifiers of three convolutions; features that the first one uses are erased for the second one.

    The logits are those of the first. The map of a class is the larger one of both classifiers' maps, each scaled to
    [0, 1], after erasing by the map of that class.

    Args:
        channels: of the features.
        classes: number of logits.
        threshold: share of the range of the first map from which on a place is erased; the authors use 0.5 to 0.9 and
            recommend 0.6, the code of arXiv 2402.00281 has 0.1.
        width: channels of the hidden convolutions.
    """

    summary: ClassVar[str] = "two classifiers, the second on features that the first does not use"
    source: ClassVar[str] = "Zhang et al. 2018, arXiv 1804.06962"

    def __init__(self, channels: int, classes: int, threshold: float = 0.6, width: int = 1024) -> None:
        super().__init__(channels, classes)
        require_number("acol", "threshold", threshold, 0, 1)
        require_number("acol", "width", width, 1, float("inf"))
        self.threshold = threshold
        self.first, self.second = (_classifier(channels, classes, width) for _ in range(2))

    def scores(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the maps of the first classifier."""
        maps: Tensor = self.first(features)
        return maps

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the mean of each map."""
        return scores.mean((2, 3))

    def erase(
        self, features: Float[Tensor, "n c h w"], scores: Float[Tensor, "n k h w"], classes: Int[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """Return features without the places that the first classifier uses for a class."""
        used = _unit(scores.detach()[torch.arange(len(scores)), classes]) >= self.threshold
        return features * ~used[:, None]

    def class_map(self, features: Float[Tensor, "n c h w"], classes: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
        """Return the larger one of both classifiers' maps of one class per image, each in [0, 1]."""
        rows, scores = torch.arange(len(features)), self.scores(features)
        second = self.second(self.erase(features, scores, classes))
        return torch.maximum(_unit(scores[rows, classes]), _unit(second[rows, classes]))

    def training_loss(self, features: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, ""] | None:
        """Return the cross-entropy of the second classifier, on features erased by the map of the true class."""
        chosen = (targets >= 0).nonzero()[:, 0]
        if not len(chosen):
            return None
        kept, classes = features[chosen], targets[chosen]
        logits = self.pool(self.second(self.erase(kept, self.scores(kept), classes)))
        return F.cross_entropy(logits, classes)


def _classifier(channels: int, classes: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, classes, 1),
    )


def _unit(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Scale each map to [0, 1]; a constant one becomes 0."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)
