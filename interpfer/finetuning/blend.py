"""Weights between a guided and a plain training (``--blend``).

Both start from the same weights and see the same batches, so that the networks between them are good ones (Wortsman et
al. 2022, arXiv 2109.01903): most of the agreement of the guided network is kept, and the accuracy of the plain one.
"""

import copy

import torch
from torch import nn


def blend_weights(guided: nn.Module, plain: nn.Module, share: float) -> nn.Module:
    """Return a copy of a network with weights and statistics between its own and those of another.

    Args:
        guided: the network.
        plain: another one of the same architecture.
        share: of the other one, in [0, 1].

    Examples:
        >>> first, second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(first.weight, 1.0), nn.init.constant_(second.weight, 3.0)
        >>> blend_weights(first, second, 0.25).weight.item()
        1.5
    """
    own, other = guided.state_dict(), plain.state_dict()
    blended = copy.deepcopy(guided)
    with torch.no_grad():
        blended.load_state_dict(
            {
                name: torch.lerp(value, other[name].to(value), share) if value.is_floating_point() else value
                for name, value in own.items()
            }
        )
    return blended
