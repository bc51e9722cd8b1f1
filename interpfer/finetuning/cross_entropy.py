"""The cross-entropy of a batch, with class weights and mixed targets."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.finetuning.augment import Mixture


@dataclass(frozen=True)
class CrossEntropy:
    """The cross-entropy of a training.

    Attributes:
        weights: (k,) weight per class; None for equal weights.
        label_smoothing: share of the target that is spread over all classes.
        temperature: what logits are divided by: above 1 the gradient is spread over more faces, below 1 over fewer.

    Examples:
        >>> from interpfer.truth.base import Truth
        >>> none = Truth(torch.full((1, 1, 1), torch.nan), torch.tensor([False]))
        >>> mixture = Mixture(torch.rand(1, 3, 1, 1), torch.tensor([0]), torch.tensor([0]), 1.0, none, none)
        >>> CrossEntropy(temperature=2.0)(torch.tensor([[2.0, 0.0]]), mixture)  # log(1 + exp(-2 / 2))
        tensor(0.3133)
    """

    weights: Float[Tensor, " k"] | None = None
    label_smoothing: float = 0.0
    temperature: float = 1.0

    def __call__(self, logits: Float[Tensor, "n k"], mixture: Mixture) -> Float[Tensor, ""]:
        """Return the mean over a batch; in a mixture, of both targets by their shares."""
        if mixture.share == 1:
            return self._against(logits, mixture.targets)
        main, other = (self._against(logits, targets) for targets in (mixture.targets, mixture.others))
        return mixture.share * main + (1 - mixture.share) * other

    def _against(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits if self.temperature == 1 else logits / self.temperature
        return F.cross_entropy(logits, targets, self.weights, label_smoothing=self.label_smoothing)


def class_weights(targets: Int[Tensor, " n"], classes: int) -> Float[Tensor, " k"]:
    """Return the weight of each class: total / (classes x count), 0 for a class without a face.

    With label smoothing, any other weight of an absent class would draw all faces to it.

    Args:
        targets: class of each face.
        classes: number of classes.

    Examples:
        >>> class_weights(torch.tensor([0, 0, 0, 1]), 3)
        tensor([0.6667, 2.0000, 0.0000])
    """
    counts = torch.bincount(targets, minlength=classes).float()
    weights = counts.sum() / (counts.clamp(min=1) * (counts > 0).sum())
    weights[counts == 0] = 0
    return weights
