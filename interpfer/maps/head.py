"""Linear head of a classifier after a layer, verified on the batch itself.

CAM (Zhou et al. 2016) is defined where the logits are a pooled linear function of the layer: global average (or sum)
pooling and one linear layer, or one convolution and pooling. A candidate is accepted only if the sum of its class map
over the grid is the logit without its bias, for every image and class.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import ModelError

FINE, COARSE = 1e-4, 3e-2
"""Largest relative error of the logits for which a head is accepted, in full and in half precision."""


def class_map(
    network: nn.Module,
    activation: Float[Tensor, "n c gh gw"],
    logits: Float[Tensor, "n k"],
    targets: Int[Tensor, " n"],
    precision: torch.dtype = torch.float32,
) -> Float[Tensor, "n gh gw"]:
    """Return the map of the target class whose sum over the grid is the logit without its bias; NaN for no target.

    Args:
        network: the classifier.
        activation: (n, c, gh, gw) of the layer before the head.
        logits: (n, k) of the same batch.
        targets: (n,) class index per image, -1 for none.
        precision: type in which the logits were computed.

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


def _candidates(
    network: nn.Module, activation: Tensor, classes: int
) -> Iterator[tuple[str, Tensor, Callable[[Tensor], Tensor]]]:
    """Yield the name of a candidate, its logits, and a function that returns its class maps."""
    cells = activation.shape[2] * activation.shape[3]
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and module.weight.shape == (classes, activation.shape[1]):
            weight, bias = module.weight.detach().float(), _bias(module, activation)
            pooled = activation.mean((2, 3)) @ weight.T

            def from_linear(targets: Tensor, weight: Tensor = weight) -> Tensor:
                return torch.einsum("nc,nchw->nhw", weight[targets] / cells, activation)

            def from_sum(targets: Tensor, draw: Callable[[Tensor], Tensor] = from_linear) -> Tensor:
                return draw(targets) * cells

            yield name, pooled + bias, from_linear
            yield f"{name} (summed)", pooled * cells + bias, from_sum
        elif (
            isinstance(module, nn.Conv2d)
            and _is_plain(module)
            and module.weight.shape[:2] == (classes, activation.shape[1])
        ):
            maps = F.conv2d(
                activation,
                module.weight.detach().float(),
                None,
                module.stride,
                module.padding,
                module.dilation,
            )
            if maps.shape[2:] == activation.shape[2:]:
                bias = _bias(module, activation)

                def from_conv(targets: Tensor, maps: Tensor = maps) -> Tensor:
                    return maps[torch.arange(len(maps)), targets] / cells

                yield name, maps.mean((2, 3)) + bias, from_conv


def _is_plain(module: nn.Conv2d) -> bool:
    return module.groups == 1 and module.padding_mode == "zeros"


def _bias(module: nn.Linear | nn.Conv2d, like: Tensor) -> Tensor:
    return like.new_zeros(()) if module.bias is None else module.bias.detach().float()


def same_logits(sums: Tensor, logits: Tensor, precision: torch.dtype) -> bool:
    """Return whether two sets of logits are equal, within the error of the precision in which they were computed."""
    error = (sums - logits).abs().amax(1)
    margin = (FINE if precision.itemsize >= 4 else COARSE) * logits.abs().amax(1).clamp(min=1e-6)
    return bool((error <= margin).all())
