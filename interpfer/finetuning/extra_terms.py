"""Terms of the loss beside the cross-entropy and the guide: predictions that are kept, and action units."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from interpfer.finetuning.au_targets import au_loss, au_targets
from interpfer.finetuning.augment import Mixture
from interpfer.finetuning.keep_predictions import InitialPredictions
from interpfer.finetuning.recipe import Recipe
from interpfer.models.model import Model
from interpfer.truth.base import TruthProvider
from interpfer.types import Sample


class ExtraTerms:
    """The further terms of a recipe.

    Args:
        recipe: weights of the terms.
        model: the classifier before the training, with a head for action units where the recipe has one.
        truth: which action units are on a face.
    """

    def __init__(self, recipe: Recipe, model: Model, truth: TruthProvider) -> None:
        self._recipe, self._card, self._truth = recipe, model.card, truth
        self._initial = InitialPredictions(model) if recipe.keep_predictions else None

    def compute(
        self, samples: Sequence[Sample], mixture: Mixture, output: Any, logits: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        """Return column of the history -> weight and term, without those of weight 0.

        Args:
            samples: of the batch; a batch with mirror images holds each twice.
            mixture: what the network was given.
            output: what it returned.
            logits: of the classes.
        """
        terms: dict[str, tuple[float, Tensor]] = {}
        if self._initial is not None:
            terms["keep"] = self._recipe.keep_predictions, self._initial.distance(mixture.images, logits)
        if self._recipe.au_head and self._card.aus_output is not None:
            n = len(logits)
            own = self._card.aus_output.pick(output, n).float()
            targets = au_targets(self._truth, samples, self._card.aus).to(own.device)
            terms["aus"] = self._recipe.au_head, au_loss(own, targets.repeat(n // len(samples), 1))
        return terms
