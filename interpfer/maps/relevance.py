"""Relevance of the pixels, propagated back from the logit by the rules of AttnLRP; it must add up to the logit."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.maps.relevance_layers import RULES
from interpfer.maps.relevance_rules import RelevanceRules
from interpfer.models.hooks import hooked
from interpfer.models.model import Model

TOLERANCE, HALF_TOLERANCE = 1e-3, 5e-2
"""Largest part of the logits by which relevance and the shares of constants may miss them, in full and half precision.
"""
ROUNDING = 1e-5
"""The same, as a part of the sum of the magnitudes of all relevance, which is larger where much of it cancels."""


class Relevance(NamedTuple):
    """Relevance of a batch.

    Attributes:
        pixels: (n, c, s, s) relevance of the prepared input.
        share: what biases and other constants keep, of all images together.
        logits: (n,) logits of the targets.
    """

    pixels: Float[Tensor, "n c s1 s2"]
    share: Tensor
    logits: Float[Tensor, " n"]

    @property
    def gap(self) -> float:
        """What is missing for relevance and shares to add up to the logits, of all images together."""
        return float(self.pixels.double().sum() + self.share.to(self.pixels.device) - self.logits.double().sum())


@model_map(
    source="AttnLRP, Achtibat et al. 2024, arXiv 2402.05602, with epsilon 0; gates after Arras et al. 2019",
    layer=False,
    gradient=True,
    cost=ONE_PASS,
    inside=True,
)
def relevance(context: MapContext) -> RawMap:
    """Relevance of each pixel by the rules of AttnLRP, for convolutions and attention; signed, and conserved."""
    found = propagate(context.model, context.x, context.targets)
    allowed = HALF_TOLERANCE if context.model.precision.itemsize < 4 else TOLERANCE
    margin = allowed * found.logits.abs().sum() + ROUNDING * found.pixels.double().abs().sum()
    if not abs(found.gap) <= margin:
        raise ModelError(
            f"relevance does not add up to the logits in this network ({found.gap:+.3g} of "
            f"{float(found.logits.abs().sum()):.3g}): one of its functions has no rule."
        )
    return found.pixels.float().sum(1)


def propagate(model: Model, x: Float[Tensor, "n c s s"], targets: Tensor) -> Relevance:
    """Return the relevance of prepared input to the logits of the targets.

    Args:
        model: the classifier.
        x: (n, c, s, s) prepared input (``Model.preprocess``).
        targets: (n,) class index per image.

    Raises:
        ModelError: the logits do not depend on the input through a graph.
    """
    with hooked(model.module, {}), torch.enable_grad():
        pixels = x.detach().clone().requires_grad_()
        with RelevanceRules(RULES) as rules:
            logits = model.logits(pixels)
        chosen = logits.gather(1, targets[:, None])[:, 0]
        if not chosen.requires_grad:
            raise ModelError("the logits do not depend on the input through a graph.")
        (gradient,) = torch.autograd.grad(chosen.sum(), pixels)
    return Relevance(gradient.float() * x, rules.share, chosen.detach())
