"""Identifies the architecture that some weights belong to, among the networks of torchvision and timm."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from interpfer.errors import InterpferError
from interpfer.models.known_networks import SIZE_ARGUMENTS, build_network, find_shapes
from interpfer.models.match import Match, find_matches
from interpfer.models.reparametrised import compute_weights, find_remedy, without_inner_wrappers

MAX_TWINS = 8
"""Networks with the same tensors that are run to see whether they are the same function."""
TOLERANCE = 1e-4
"""Largest difference of the logits of the same function, relative to the largest logit."""
RARE = re.compile(r":\w*(blur|aa\d)")
"""Rarely used variants (blurred pooling) of a network with the same tensors."""


@dataclass(frozen=True)
class ArchitectureGuess:
    """Architectures that some weights may belong to.

    Attributes:
        matches: networks, the best first.
        chosen: the only function whose tensors all fit; None if there is none or more than one.
        why: reason for the choice, or why there is none.
        remedy: what to do with weights that no plain network has, such as those of an adapter; else "".
    """

    matches: tuple[Match, ...]
    chosen: Match | None
    why: str
    remedy: str = ""


def identify_architecture(weights: Mapping[str, Tensor]) -> ArchitectureGuess:
    """Identify the architecture of some weights.

    A network is chosen if all names and shapes fit, and if all networks that they fit return the same logits. Rare
    variants with blurred pooling have the tensors of the plain network; they are mentioned, the plain one is chosen.

    Args:
        weights: name -> tensor.
    """
    guess = _identify(weights)
    if guess.chosen is not None:
        return guess
    computed, _ = compute_weights(without_inner_wrappers(weights))
    other = _identify(computed) if set(computed) != set(weights) else guess
    if other.chosen is not None:
        return other
    remedy = find_remedy(list(weights), weights)
    return replace(guess, why=remedy, remedy=remedy) if remedy else guess


def _identify(weights: Mapping[str, Tensor]) -> ArchitectureGuess:
    matches = find_matches(find_shapes(weights))
    complete = [match for match in matches if match.is_complete]
    if not complete:
        near = f"; the nearest is {matches[0].arch} with {matches[0].share:.0%} of the tensors" if matches else ""
        return ArchitectureGuess(matches, None, f"no network of torchvision or timm has all these weights{near}")
    best = complete[0]
    names = [name for match in complete for name in (match.arch, *match.twins)]
    fit = f"all {len(weights)} tensors fit {best.arch}"
    if len(names) == 1:
        return ArchitectureGuess(matches, best, f"{fit}, and no other known network")
    if len(names) > MAX_TWINS:
        return ArchitectureGuess(matches, None, f"{len(names)} networks fit: {', '.join(names[:MAX_TWINS])}, ...")
    is_same = {name: _is_same_function(best, name, weights) for name in names[1:]}
    same = [name for name in names[1:] if is_same[name]]
    different = [name for name in names[1:] if is_same[name] is False]
    rare = [name for name in different if RARE.search(name) and not RARE.search(best.arch)]
    if len(different) > len(rare):
        candidates = ", ".join([best.arch, *different])
        why = f"these networks have all {len(weights)} tensors but differ: {candidates}; specify which one"
        return ArchitectureGuess(matches, None, why)
    remarks = [
        *([f"{', '.join(same)} is the same function"] if same else []),
        *([f"{', '.join(rare)} has the same tensors; pass it as arch to use it"] if rare else []),
    ]
    return ArchitectureGuess(matches, best, fit + (f" ({'; '.join(remarks)})" if remarks else ""))


def _is_same_function(match: Match, other: str, weights: Mapping[str, Tensor]) -> bool | None:
    """Return whether another network gives the same logits with the same weights; None if it cannot be run."""
    noise = torch.randn(2, match.channels, match.size, match.size, generator=torch.Generator().manual_seed(0))
    outputs: list[Tensor] = []
    for arch in (match.arch, other):
        arguments = dict(match.arch_args)
        if arch.partition(":")[0] != match.arch.partition(":")[0]:
            size = arguments.pop(SIZE_ARGUMENTS[match.arch.partition(":")[0]], None)
            arguments |= {SIZE_ARGUMENTS[arch.partition(":")[0]]: size} if size else {}
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                network = build_network(arch, {"num_classes": match.classes} | arguments)
                network.load_state_dict(match.strip_prefix(weights), strict=False)
                network.eval()
                outputs.append(network(noise))
            except (InterpferError, RuntimeError, TypeError, ValueError):
                return None
    one, two = outputs
    return bool(one.shape == two.shape and (one - two).abs().max() <= TOLERANCE * one.abs().max())
