"""Grad-CAM of the class against the others, as CLIP-ES takes it of a softmax."""

from dataclasses import replace

import torch
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import MapContext, RawMap, model_map
from interpfer.maps.capture import forward
from interpfer.maps.gradient import gradcam


@model_map(
    source="CLIP-ES, Lin et al. 2023, arXiv 2212.09506, without the factor that vanishes for a sure model",
    layer=True,
    gradient=True,
)
def softmax_gradcam(context: MapContext) -> RawMap:
    """Grad-CAM of the class's logit less the mean of the others, weighted by their probabilities."""
    with forward(context.model, context.x, [context.layer]) as run:
        score = contrast_logits(run.logits, context.targets)[:, None]
        captured = replace(run, logits=score).backward(torch.zeros_like(context.targets))
    return gradcam(captured.layers[context.layer])


def contrast_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the logits of the targets less the mean of the others by their softmax, which is constant.

    Its gradient is that of the target's probability, over ``p (1 - p)`` of it.

    Raises:
        ModelError: there is one class alone.

    Examples:
        >>> contrast_logits(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]))
        tensor([ 2., -1.])
    """
    if logits.shape[1] < 2:
        raise ModelError("softmax-gradcam needs at least two classes.")
    weights = logits.detach().scatter(1, targets[:, None], -torch.inf).softmax(1)
    others = (weights * logits.where(weights > 0, 0)).sum(1)
    return logits.gather(1, targets[:, None])[:, 0] - others
