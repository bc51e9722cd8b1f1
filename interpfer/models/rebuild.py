"""Gives the modules back to a program whose inside cannot be seen.

The weights of the program are put into a network that may be the same: by name where names are kept, else in the order
in which the network uses them, by shape; batch normalisation that an exporter has folded into convolutions is put back
as one that does nothing but add. The network counts only if its outputs are the program's.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from interpfer.errors import InterpferError, ModelError
from interpfer.models.card import ModelCard
from interpfer.models.input import COLORS
from interpfer.models.load_weights import load_weights
from interpfer.models.program import AGREE, largest_gap
from interpfer.models.readers.base import Read

TRIALS = 2
"""Random images on which outputs are compared."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def rebuild(read: Read, program: nn.Module, network: nn.Module, card: ModelCard) -> nn.Module:
    """Return ``network`` with the program's weights.

    Args:
        read: what the file held; its weights.
        program: what it does.
        network: that may be the same; untrained.
        card: the input.

    Raises:
        ModelError: the weights do not fit, or the outputs differ; the message says by how much.
    """
    channels, size = COLORS[card.input.color], card.input.size
    x = torch.randn(TRIALS, channels, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = program(x)
    reasons = []
    for fill in (_by_name, _in_order, partial(_in_order, turned=True)):
        candidate = deepcopy(network).eval()
        try:
            fill(candidate, read.weights or {}, x, len(card.classes))
            with torch.no_grad():
                gap = largest_gap(candidate(x), expected)
        except (InterpferError, RuntimeError, TypeError, ValueError) as error:
            reasons.append(str(error))
            continue
        if gap <= AGREE:
            return candidate
        reasons.append(f"its outputs are off by {gap:.2g}")
    raise ModelError(f"{card.arch} is not the network in the {read.format}: {reasons[-1]}")


def _by_name(network: nn.Module, weights: Mapping[str, Tensor], _: Tensor, classes: int) -> None:
    load_weights(network, weights, "the program", classes)


def _in_order(network: nn.Module, weights: Mapping[str, Tensor], x: Tensor, _: int, turned: bool = False) -> None:
    """Fill the network in the order in which it runs, each tensor with the one of its name or the first of its shape.

    Named ones are kept for their own places. ``turned`` takes square matrices transposed, as exporters write products.
    """
    left = {name: value for name, value in weights.items() if value.is_floating_point() and value.dim()}
    names = {module: name for name, module in network.named_modules()}
    own = network.state_dict()
    used = _in_running_order(network, x)
    folded = sum(isinstance(module, NORMS) for module in used) and not _has_norms(network, left)
    after = dict(zip(used, used[1:], strict=False))
    with torch.no_grad():
        for module in used:
            if folded and isinstance(module, NORMS):
                continue
            for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
                if value.is_floating_point() and value.dim():
                    _take(value, left, f"{names[module]}.{name}", own, turned)
            norm = after.get(module)
            if folded and isinstance(norm, NORMS):
                _only_add(norm, left, names[norm], own)


def _in_running_order(network: nn.Module, x: Tensor) -> list[nn.Module]:
    order: dict[nn.Module, None] = {}

    def note(module: nn.Module, _: object) -> None:
        order.setdefault(module)

    own = [m for m in network.modules() if next(m.parameters(recurse=False), None) is not None]
    handles = [module.register_forward_pre_hook(note) for module in own]
    try:
        with torch.no_grad():
            network(x[:1])
    finally:
        for handle in handles:
            handle.remove()
    return list(order)


def _has_norms(network: nn.Module, left: Mapping[str, Tensor]) -> bool:
    """Whether there are as many tensors as the network has with its normalisation."""
    needed = [value for value in network.state_dict().values() if value.is_floating_point() and value.dim()]
    return len(left) >= len(needed)


def _take(target: Tensor, left: dict[str, Tensor], name: str, own: Mapping[str, Tensor], turned: bool = False) -> None:
    """Fill a tensor with the one of its name, else with the first one of its shape; a used one is gone."""
    for known in [name] if name in left else [key for key in left if key not in own]:
        value = left[known]
        ways = (value, value.mT) if value.dim() == 2 else (value,)
        for shaped in reversed(ways) if turned else ways:
            if shaped.shape == target.shape:
                target.copy_(shaped)
                del left[known]
                return
    raise ModelError(f"no weights of shape {tuple(target.shape)} are left for {name}")


def _only_add(norm: nn.Module, left: dict[str, Tensor], name: str, own: Mapping[str, Tensor]) -> None:
    """Make a batch normalisation add the bias that was folded into the convolution before it."""
    assert isinstance(norm, NORMS)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    _take(norm.bias, left, f"{name}.bias", own)
    norm.weight.fill_(1)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
