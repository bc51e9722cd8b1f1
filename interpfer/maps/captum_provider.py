"""Attributions of captum as maps at the resolution of the input: absolute values, summed over the channels.

Baselines are zero in the prepared input: the mean colour of a model that normalises. In-place modules work out of place
meanwhile, and the network is restored afterwards.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.maps.gradcam_provider import Logits, add_problem, require_torch_layers
from interpfer.models.layers import split_call
from interpfer.registry import also_called

PROVIDER = "captum"
STEPS = 32
"""Number of steps on the path of integrated gradients."""

RUNAWAY = 1e4
"""Relevance per unit of the logit from which on LRP has not conserved it."""


@model_map(source="Sundararajan et al. 2017, arXiv 1703.01365", layer=False, gradient=True, provider=PROVIDER)
def integrated_gradients(context: MapContext) -> RawMap:
    """Gradients along the path from the mean colour, times the input."""
    from captum.attr import IntegratedGradients

    size = max(len(context.x), STEPS)
    return _attribute("integrated-gradients", context, IntegratedGradients, n_steps=STEPS, internal_batch_size=size)


@also_called("vanilla gradient")
@model_map(
    source="Simonyan et al. 2013, arXiv 1312.6034",
    layer=False,
    gradient=True,
    provider=PROVIDER,
    cost=ONE_PASS,
    clips=True,
)
def saliency(context: MapContext) -> RawMap:
    """Absolute gradient of the input."""
    from captum.attr import Saliency

    return _attribute("saliency", context, Saliency)


@model_map(
    source="Shrikumar et al. 2016, arXiv 1605.01713",
    layer=False,
    gradient=True,
    provider=PROVIDER,
    cost=ONE_PASS,
    clips=True,
)
def input_x_gradient(context: MapContext) -> RawMap:
    """Absolute product of input and gradient."""
    from captum.attr import InputXGradient

    return _attribute("input-x-gradient", context, InputXGradient)


@model_map(source="Shrikumar et al. 2017, arXiv 1704.02685", layer=False, gradient=True, provider=PROVIDER, inside=True)
def deeplift(context: MapContext) -> RawMap:
    """DeepLIFT, rescale rule; not for networks that use one activation module twice."""
    from captum.attr import DeepLift

    require_torch_layers(context.model, "deeplift")
    return _attribute("deeplift", context, DeepLift)


@model_map(
    source="Springenberg et al. 2014, arXiv 1412.6806", layer=False, gradient=True, provider=PROVIDER, inside=True
)
def guided_backprop(context: MapContext) -> RawMap:
    """Gradients that pass a ReLU only where they are positive."""
    from captum.attr import GuidedBackprop

    require_torch_layers(context.model, "guided-backprop")
    return _attribute("guided-backprop", context, GuidedBackprop)


@model_map(source="Selvaraju et al. 2017, arXiv 1610.02391", layer=True, gradient=True, provider=PROVIDER)
def guided_gradcam(context: MapContext) -> RawMap:
    """Guided backpropagation times Grad-CAM of a layer, at the resolution of the input."""
    from captum.attr import GuidedGradCam

    require_torch_layers(context.model, "guided-gradcam")
    if context.model.layer(context.layer).layout != "nchw":
        raise ModelError(
            "guided-gradcam of captum needs a layer of a convolutional network; it reads tokens as channels."
        )
    layer = context.model.module.get_submodule(split_call(context.layer)[0])
    return _attribute("guided-gradcam", context, lambda network: GuidedGradCam(network, layer))


@model_map(source="Bach et al. 2015, PLOS ONE 10(7)", layer=False, gradient=True, provider=PROVIDER, inside=True)
def lrp(context: MapContext) -> RawMap:
    """Layer-wise relevance propagation, for plain networks of the layers that captum has rules for."""
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    require_torch_layers(context.model, "lrp")
    reshaping = [m for m in context.model.module.modules() if isinstance(m, nn.Flatten | nn.Identity)]
    with _attribute_set(reshaping, "rule", EpsilonRule()):
        relevance = _attribute("lrp", context, LRP)
    logits = context.model.logits(context.x).detach().gather(1, context.targets[:, None])[:, 0]
    if not (relevance.sum((1, 2)) <= RUNAWAY * logits.abs().clamp(min=1)).all():
        raise ModelError("lrp of captum does not conserve relevance in this network (it has no rule for its branches).")
    return relevance


def _attribute(name: str, context: MapContext, method: Callable[[nn.Module], Any], **options: Any) -> RawMap:
    network = Logits(context.model)
    with add_problem(name, PROVIDER), torch.enable_grad(), _out_of_place(network):
        x = context.x.detach().clone().requires_grad_()
        attribution: Tensor = method(network).attribute(x, target=context.targets, **options)
    return attribution.detach().abs().sum(1)


@contextmanager
def _attribute_set(modules: Sequence[nn.Module], name: str, value: Any) -> Iterator[None]:
    """Set an attribute of modules that captum reads, within a ``with`` block."""
    for module in modules:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module in modules:
            vars(module).pop(name, None)


@contextmanager
def _out_of_place(network: nn.Module) -> Iterator[None]:
    changed: list[Any] = [module for module in network.modules() if getattr(module, "inplace", False) is True]
    for module in changed:
        module.inplace = False
    try:
        yield
    finally:
        for module in changed:
            module.inplace = True
