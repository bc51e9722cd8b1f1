"""Head of a classifier after a layer, from which CAM takes the map of a class; verified on the batch itself.

CAM (Zhou et al. 2016) is defined where the logits are a pooled linear function of the layer: global average (or sum)
pooling and one linear layer, or one convolution and pooling. A candidate is accepted only if its pooled map is the
logit for every image and class. After a mean or a sum the map is divided by its cells and has no bias, so that the sum
over the grid is the logit without its bias. A ``Head`` of interpfer has the map that it was made for. Of other
networks, a convolution that is pooled by its maximum, by log-sum-exp or by the mean of its local maxima has its output,
bias included, as its map.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.heads.base import Head
from interpfer.models.heads.log_sum_exp import log_sum_exp
from interpfer.models.heads.peaks import WINDOW, mean_of_window_maxima
from interpfer.models.keras_network.heads import as_torch_layer

FINE, COARSE = 1e-4, 3e-2
"""Largest relative error of the logits for which a head is accepted, in full and in half precision."""


POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "maximum": lambda maps: maps.amax((2, 3)),
    "log-sum-exp": log_sum_exp,
    "mean of local maxima": mean_of_window_maxima,
}
"""Pooling of a convolution's maps to logits, other than the mean."""


class _Candidate(NamedTuple):
    """A head that a network may have.

    Attributes:
        name: name of its module, and how it pools.
        logits: (n, k) that it gives.
        draw: function from (n,) classes to (n, gh, gw) maps.
    """

    name: str
    logits: Tensor
    draw: Callable[[Tensor], Tensor]


def class_map(
    network: nn.Module,
    activation: Float[Tensor, "n c gh gw"],
    logits: Float[Tensor, "n k"],
    targets: Int[Tensor, " n"],
    precision: torch.dtype = torch.float32,
) -> Float[Tensor, "n gh gw"]:
    """Return the map of the target class, whose pooled value is the logit; NaN for no target.

    Args:
        network: the classifier.
        activation: (n, c, gh, gw) of the layer before the head.
        logits: (n, k) of the same batch.
        targets: (n,) class index per image, -1 for none.
        precision: type in which the logits were computed.

    Returns:
        Maps whose sum over the grid is the logit without its bias; for a convolution pooled otherwise than by the mean,
        its output.

    Raises:
        ModelError: no linear layer or convolution turns this activation into the logits.
    """
    tried = []
    for name, sums, draw_map in _candidates(network, activation, logits.shape[1]):
        if same_logits(sums, logits, precision):
            return draw_map(targets.clamp(min=0)).where((targets >= 0)[:, None, None], torch.nan)
        tried.append(name)
    reason = f"{', '.join(tried)} of the pooled activation does not give the logits" if tried else "none was found"
    raise ModelError(
        "cam needs a head of pooling and one linear layer, or of one convolution and pooling, right after the layer: "
        f"{reason}."
    )


def _candidates(network: nn.Module, activation: Tensor, classes: int) -> Iterator[_Candidate]:
    """Yield the heads that the modules of a network may be; a first output for the background may be left out."""
    channels = activation.shape[1]
    heads = {name: module for name, module in network.named_modules() if isinstance(module, Head)}
    for name, head in heads.items():
        if head.has_class_maps and head.channels == channels and head.classes - classes in (0, 1):
            yield _of_head(name, head, activation, classes)
    for name, each in network.named_modules():
        if any(name.startswith(f"{head}.") for head in heads):
            continue
        module = as_torch_layer(each)
        if module is None or module.weight.shape[1] != channels:
            continue
        background = module.weight.shape[0] - classes
        if background not in (0, 1):
            continue
        weight = module.weight.detach().float()[background:]
        bias = activation.new_zeros(classes) if module.bias is None else module.bias.detach().float()[background:]
        if isinstance(module, nn.Linear):
            yield from _linear_heads(name, weight, bias, activation)
        elif module.groups == 1 and module.padding_mode == "zeros":
            maps = F.conv2d(activation, weight, None, module.stride, module.padding, module.dilation)
            if maps.shape[2:] == activation.shape[2:]:
                yield from _convolution_heads(name, maps, bias)


def _of_head(name: str, head: Head, activation: Tensor, classes: int) -> _Candidate:
    """Return a head as it is; where its map of a class is that which it pools, the features pass it once."""
    background, kind = head.classes - classes, type(head)
    features = activation.to(next(head.parameters()).dtype)

    def draw(targets: Tensor) -> Tensor:
        with torch.no_grad():
            return head.class_map(features, targets + background).float()

    with torch.no_grad():
        if kind.forward is not Head.forward or kind.class_map is not Head.class_map:
            return _Candidate(name, head(features).float()[:, background:], draw)
        scores = head.scores(features)
        maps, rows = scores.float()[:, background:], torch.arange(len(scores))
        return _Candidate(name, head.pool(scores).float()[:, background:], lambda targets: maps[rows, targets])


def _linear_heads(name: str, weight: Tensor, bias: Tensor, activation: Tensor) -> Iterator[_Candidate]:
    cells = activation.shape[2] * activation.shape[3]
    pooled = activation.mean((2, 3)) @ weight.T

    def draw_sum(targets: Tensor) -> Tensor:
        return torch.einsum("nc,nchw->nhw", weight[targets], activation)

    yield _Candidate(name, pooled + bias, lambda targets: draw_sum(targets) / cells)
    yield _Candidate(f"{name} (summed)", pooled * cells + bias, draw_sum)


def _convolution_heads(name: str, maps: Tensor, bias: Tensor) -> Iterator[_Candidate]:
    cells, rows = maps.shape[2] * maps.shape[3], torch.arange(len(maps))
    yield _Candidate(name, maps.mean((2, 3)) + bias, lambda targets: maps[rows, targets] / cells)
    outputs = maps + bias[:, None, None]
    for pooling, pool in POOLS.items():
        if pool is not mean_of_window_maxima or min(maps.shape[2:]) >= WINDOW:
            yield _Candidate(f"{name} ({pooling})", pool(outputs), lambda targets: outputs[rows, targets])


def same_logits(sums: Tensor, logits: Tensor, precision: torch.dtype) -> bool:
    """Return whether two sets of logits are equal, within the error of the precision in which they were computed."""
    error = (sums - logits).abs().amax(1)
    margin = (FINE if precision.itemsize >= 4 else COARSE) * logits.abs().amax(1).clamp(min=1e-6)
    return bool((error <= margin).all())


def linear_gradients(
    network: nn.Module,
    activation: Float[Tensor, "n c gh gw"],
    logits: Float[Tensor, "n k"],
    precision: torch.dtype = torch.float32,
) -> Float[Tensor, "k c"] | None:
    """Return the gradient of each logit at every cell where the mean or the sum and a linear layer give the logits.

    Args:
        network: the classifier.
        activation: (n, c, gh, gw) of the layer before the head.
        logits: (n, k) of the same batch.
        precision: type in which the logits were computed.

    Returns:
        The same gradient for all images and cells; None where no such head follows.
    """
    classes, cells = logits.shape[1], activation.shape[2] * activation.shape[3]
    pooled = activation.mean((2, 3))
    for each in network.modules():
        module = as_torch_layer(each)
        if not isinstance(module, nn.Linear) or module.weight.shape[1] != activation.shape[1]:
            continue
        background = module.weight.shape[0] - classes
        if background not in (0, 1):
            continue
        weight = module.weight.detach().float()[background:]
        bias = 0 if module.bias is None else module.bias.detach().float()[background:]
        for factor in (1, cells):
            if same_logits(factor * pooled @ weight.T + bias, logits, precision):
                return weight * (factor / cells)
    return None
