"""Peak response maps: from the peaks of a class's map back to the pixels that excite them."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.maps.capture import LayerRecorder
from interpfer.maps.head import class_map
from interpfer.models.heads.base import Head
from interpfer.models.heads.peaks import find_peaks
from interpfer.models.hooks import hooked

ACTIVATIONS = {
    "relu",
    "relu_",
    "gelu",
    "silu",
    "silu_",
    "hardswish",
    "leaky_relu",
    "elu",
    "prelu",
    "hardtanh",
    "batch_norm",
}
GATES = {"sigmoid", "sigmoid_", "hardsigmoid"}
FORBIDDEN = {"linear", "matmul", "__matmul__", "softmax", "layer_norm", "scaled_dot_product_attention", "bmm"}


class ExcitationRules(TorchFunctionMode):
    """Functions of torch whose gradient is a probability that is handed down, its sum conserved, in a ``with`` block.

    A convolution hands it down in proportion to its input, less the image's least value, times its positive weights; a
    sum in proportion to its positive summands; activations and batch normalisation as it is.

    Attributes:
        is_attentive: whether a function of transformers was called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_attentive = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function by its rule."""
        del types
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name == "conv2d":
            return _convolve(*args, **kwargs)
        if name in ACTIVATIONS or name in GATES:
            if "inplace" in kwargs:
                kwargs = kwargs | {"inplace": False}
            with torch.no_grad():
                value = func(args[0].detach().clone(), *args[1:], **kwargs)
            return value if name in GATES else _like(args[0], 1.0) + value
        if name in ("add", "__add__", "__radd__", "add_", "__iadd__") and not kwargs:
            return _add(*args)
        self.is_attentive |= name in FORBIDDEN
        return func(*args, **kwargs)


class _Excitation(torch.autograd.Function):
    """A convolution that hands down probability by its positive weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, options: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.options = options
        return F.conv2d(x, weight, bias, *options)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, weight = ctx.saved_tensors
        with torch.enable_grad():
            shifted = (x - x.amin((1, 2, 3), keepdim=True)).detach().requires_grad_()
            total = F.conv2d(shifted, weight.relu(), None, *ctx.options)
            parts = (gradients[0] / total.detach()).where(total > 0, 0)
            (slope,) = torch.autograd.grad(total, shifted, parts)
        return shifted.detach() * slope, None, None, None


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    return _Excitation.apply(x, weight, bias, (stride, padding, dilation, groups))


def _like(x: Any, share: Any) -> Any:
    """Return zeros that pass a share of the gradient to a tensor."""
    return (x - x.detach()) * share if isinstance(x, Tensor) and x.requires_grad else 0.0


def _add(a: Any, b: Any) -> Any:
    in_graph = [isinstance(each, Tensor) and each.requires_grad for each in (a, b)]
    if not all(in_graph):
        return a + b
    first, second = a.detach().relu(), b.detach().relu()
    share = (first / (first + second)).where(first + second > 0, 0.5)
    return (a + b).detach() + _like(a, share) + _like(b, 1 - share)


@model_map(
    source="PRM, Zhou et al. 2018, arXiv 1804.00880; sums and batch normalisation conserve, too",
    layer=False,
    gradient=True,
    cost=ONE_PASS,
    inside=True,
)
def peak_response(context: MapContext) -> RawMap:
    """What excites the peaks of the class's map, handed down by positive weights; sums to 1, of convolutions."""
    model, x = context.model, context.x.detach().clone().requires_grad_()
    layers = [each.name for each in model.spatial_layers if each.layout == "nchw" and each.calls == 1]
    if not layers:
        raise ModelError("peak-response needs a convolutional network.")
    recorder, rules = LayerRecorder(model, layers[-1:]), ExcitationRules()
    with hooked(model.module, recorder.hooks), torch.enable_grad():
        reached: list[bool] = []
        last = model.module.get_submodule(layers[-1])
        handle = last.register_forward_hook(lambda *_: reached.append(rules.is_attentive))
        try:
            with rules:
                logits = model.logits(x)
        finally:
            handle.remove()
        (output,) = recorder.collect().values()
        if any(reached) or not output.requires_grad:
            raise ModelError("peak-response needs a convolutional network with a graph.")
        activation = model.to_grid(layers[-1], output).float()
        start = _excite_peaks(context, activation.detach(), logits.detach())
        (handed_down,) = torch.autograd.grad(activation, x, start)
    total = handed_down.float().sum(1).clamp(min=0)
    return total / total.sum((1, 2), keepdim=True)


def _excite_peaks(
    context: MapContext, activation: Float[Tensor, "n c gh gw"], logits: Float[Tensor, "n k"]
) -> Float[Tensor, "n c gh gw"]:
    """Return the probabilities at the last layer, from the peaks of the class's map; they sum to 1."""
    network, targets = context.model.module, context.targets
    features = activation.clone().requires_grad_()
    try:
        drawn = class_map(network, features, logits, targets, context.model.precision)
    except ModelError as error:
        raise ModelError(f"peak-response needs a convolutional network with maps of its classes: {error}") from error
    if not drawn.requires_grad:
        drawn = _of_head(network, features, targets, logits.shape[1])
    peaks = find_peaks(drawn.detach()[:, None])[:, 0]
    (slope,) = torch.autograd.grad((drawn * peaks).sum(), features)
    shifted = activation - activation.amin((1, 2, 3), keepdim=True)
    start = shifted * slope.relu()
    return start / start.sum((1, 2, 3), keepdim=True)


def _of_head(network: nn.Module, features: Tensor, targets: Tensor, classes: int) -> Tensor:
    heads = [each for each in network.modules() if isinstance(each, Head) and each.channels == features.shape[1]]
    if not heads:
        raise ModelError("peak-response needs a head whose map of a class has gradients.")
    head = heads[-1]
    return head.class_map(features.to(next(head.parameters()).dtype), targets + head.classes - classes).float()
