"""Distillation to the network at the start of a training (``--keep-predictions``).

Learning without forgetting (Li and Hoiem 2016, arXiv 1606.09282) on the same classes, at temperature 1.
"""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interpfer.models.model import Model


class InitialPredictions:
    """The predictions of a network as it was.

    Args:
        model: the classifier before the training; it is copied.
    """

    def __init__(self, model: Model) -> None:
        module = copy.deepcopy(model.module).eval().requires_grad_(False)
        self._model = Model(model.name, module, model.card, model.device)

    def distance(self, images: Float[Tensor, "n 3 s s"], logits: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Return the mean divergence of the present predictions from those of the network as it was.

        Args:
            images: in [0, 1], at the input size.
            logits: of the network that is trained.
        """
        with torch.no_grad():
            before = self._model.select(self._model.forward(self._model.normalise(images)), len(images))
        return divergence(before, logits)


def divergence(before: Float[Tensor, "n k"], now: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """Return the mean Kullback-Leibler divergence of the softmax of some logits from that of others.

    Examples:
        .5 log(.5 / .75) + .5 log(.5 / .25):

        >>> divergence(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log())
        tensor(0.1438)
    """
    return F.kl_div(now.log_softmax(1), before.log_softmax(1), reduction="batchmean", log_target=True)
