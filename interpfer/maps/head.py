"""Finds the linear head of a classifier behind a layer, and proves it on the very batch.

CAM (Zhou et al. 2016) is defined where the logits are a pooled linear function of the layer: global average (or sum)
pooling and one linear layer, or one convolution and pooling. A candidate counts only if summing its class map over the
grid gives the logits back, up to its bias, for every image and class.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import ModelError

FINE, COARSE = 1e-4, 3e-2
"""Relative error of the logits up to which a head counts as found, in full and in half precision."""

Head = Callable[[Float[Tensor, "n c gh gw"], Int[Tensor, " n"]], Float[Tensor, "n gh gw"]]


def class_map(
    network: nn.Module,
    activation: Float[Tensor, "n c gh gw"],
    logits: Float[Tensor, "n k"],
    targets: Int[Tensor, " n"],
    precision: torch.dtype = torch.float32,
) -> Float[Tensor, "n gh gw"]:
    """Return the map of the target class whose sum over the grid is the logit without its bias; NaN for no target.

    Args:
        network: whose head it is.
        activation: of the layer before the head.
        logits: that it gave.
        targets: class index per image, -1 for none.
        precision: that the logits were computed in.

    Raises:
        ModelError: no linear layer or convolution turns this activation into the logits.
    """
    tried = []
    for name, sums, drawn in _candidates(network, activation, logits.shape[1]):
        if same_logits(sums, logits, precision):
            return drawn(targets.clamp(min=0)).where((targets >= 0)[:, None, None], torch.nan)
        tried.append(name)
    reason = f"{', '.join(tried)} of the pooled activation does not give the logits" if tried else "none was found"
    raise ModelError(
        "cam needs a head of pooling and one linear layer, or of one convolution and pooling, right after the layer: "
        f"{reason}."
    )


def _candidates(
    network: nn.Module, activation: Tensor, classes: int
) -> Iterator[tuple[str, Tensor, Callable[[Tensor], Tensor]]]:
    """Yield name, the logits that a head would give, and its class maps."""
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
    """Whether two sets of logits are one, with a margin for the precision that they were computed in."""
    error = (sums - logits).abs().amax(1)
    margin = (FINE if precision.itemsize >= 4 else COARSE) * logits.abs().amax(1).clamp(min=1e-6)
    return bool((error <= margin).all())
