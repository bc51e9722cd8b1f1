"""Finds the architecture that some weights belong to, among the networks of torchvision and timm.

The index (``interpfer.models.fingerprints``) names networks that have much in common with the weights. Each is built
without storage, fitted to the weights (number of classes, channels, size of the picture), and compared tensor by
tensor.
"""

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import InterpferError
from interpfer.models import ARCHITECTURES
from interpfer.models.fingerprints import ODD_CLASSES, Shapes, nearest_networks

GROUPS = 5
"""Kinds of network that are built and compared."""
LEAST_ESTIMATE, LEAST_SHARE = 0.25, 0.5
"""Shares of common tensors below which a network is not built, and not named."""
MOST_TWINS = 8
"""Networks of the same tensors that are run to see whether they are the same function."""
TOLERANCE = 1e-4
RARE = re.compile(r":\w*(blur|aa\d)")
"""Twins of a plain network that few train."""
SIZE_ARGUMENTS = {"timm": "img_size", "torchvision": "image_size"}


@dataclass(frozen=True)
class Match:
    """A network that some weights may belong to.

    Attributes:
        arch: as a card says it.
        arch_args: what it has to be built with, beside the number of classes.
        share: of tensors that fit by name and shape, out of those of the weights or the network.
        classes: outputs that the weights have; None where the classifier is another.
        channels: of the input.
        size: side in pixels that the network is usually used at, or must be.
        normalisation: fields of a card's ``input`` with which its pretrained weights go.
        missing: tensors of the network that the weights lack.
        unexpected: tensors that the network does not have.
        differing: tensors of another shape.
        prefix: what stands before the names of the weights.
        twins: other networks with the same tensors.
    """

    arch: str
    share: float
    arch_args: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    channels: int = 3
    size: int = 224
    normalisation: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    prefix: str = ""
    twins: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every tensor fits."""
        return not (self.missing or self.unexpected or self.differing)

    def strip(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights under the network's own names."""
        return {name.removeprefix(self.prefix): value for name, value in weights.items()}

    def card(self) -> dict[str, Any]:
        """Return the fields of a card that the match knows."""
        found: dict[str, Any] = {"arch": self.arch}
        return found | ({"arch_args": dict(self.arch_args)} if self.arch_args else {}) | {"input": {"size": self.size}}


@dataclass(frozen=True)
class ArchitectureGuess:
    """What is known of the architecture of some weights.

    Attributes:
        matches: networks, the best first.
        chosen: the one that fits whole and is the only function that does; None if there is no such one.
        why: one sentence: why it was chosen, or why none was.
    """

    matches: tuple[Match, ...]
    chosen: Match | None
    why: str


def shapes_of_weights(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return names -> shapes."""
    return {name: tuple(value.shape) for name, value in weights.items()}


def identify_architecture(weights: Mapping[str, Tensor]) -> ArchitectureGuess:
    """Say which architecture some weights belong to.

    A network is chosen where all names and shapes fit, and where all networks that they fit give the same logits; the
    rare twins with blurred pooling, whose tensors are those of the plain network, are named but not waited for.
    """
    matches = find_matches(shapes_of_weights(weights))
    complete = [match for match in matches if match.complete]
    if not complete:
        near = f"; the nearest is {matches[0].arch} with {matches[0].share:.0%} of the tensors" if matches else ""
        return ArchitectureGuess(matches, None, f"no network of torchvision or timm has all these weights{near}")
    best = complete[0]
    names = [name for match in complete for name in (match.arch, *match.twins)]
    if len(names) == 1:
        return ArchitectureGuess(
            matches, best, f"all {len(weights)} tensors fit {best.arch}, and no other known network"
        )
    if len(names) > MOST_TWINS:
        return ArchitectureGuess(matches, None, f"{len(names)} networks fit: {', '.join(names[:MOST_TWINS])}, ...")
    same = {name: _same_function(best, name, weights) for name in names[1:]}
    twins = [name for name in names[1:] if same[name]]
    apart = [name for name in names[1:] if same[name] is False]
    rare = [name for name in apart if RARE.search(name) and not RARE.search(best.arch)]
    if len(apart) > len(rare):
        told = ", ".join([best.arch, *apart])
        return ArchitectureGuess(
            matches, None, f"these networks have all {len(weights)} tensors and differ: {told}; say which"
        )
    remarks = [
        *([f"{', '.join(twins)} is the same function"] if twins else []),
        *([f"for {', '.join(rare)}, which has the same tensors, name it"] if rare else []),
    ]
    told = f" ({'; '.join(remarks)})" if remarks else ""
    return ArchitectureGuess(matches, best, f"all {len(weights)} tensors fit {best.arch}{told}")


def find_matches(shapes: Shapes) -> tuple[Match, ...]:
    """Return the networks that have at least half of the tensors in common, the best first."""
    found = []
    gray = next((shape[1] == 1 for shape in shapes.values() if len(shape) == 4), False)  # which only timm takes
    for prefix, part in _views(shapes):
        for names in nearest_networks(part, GROUPS, LEAST_ESTIMATE):
            names = sorted(names, key=lambda name: (name.startswith("torchvision:") == gray, len(name), name))
            match = _compare(names[0], tuple(names[1:]), part, prefix, len(shapes) - len(part))
            if match is not None and match.share >= LEAST_SHARE:
                found.append(match)
    return tuple(sorted(found, key=lambda match: (-match.share, not match.arch.startswith("torchvision:"))))


@cache
def known_networks() -> tuple[str, ...]:
    """Return the classifiers of torchvision, and of timm if it is there."""
    import torchvision.models

    names = [f"torchvision:{name}" for name in torchvision.models.list_models(module=torchvision.models)]
    try:
        import timm
    except ModuleNotFoundError:
        return tuple(names)
    return (*names, *(f"timm:{name}" for name in timm.list_models()))


def shapes_of(arch: str, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Build a network without storage, and return the shapes of its tensors."""
    return shapes_of_weights(_skeleton(arch, arguments).state_dict())


def _skeleton(arch: str, arguments: Mapping[str, Any]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"):
                return _build(arch, arguments)
        except (RuntimeError, NotImplementedError):  # it computes something while it is built
            return _build(arch, arguments)


def _build(arch: str, arguments: Mapping[str, Any]) -> nn.Module:
    source, _, name = arch.partition(":")
    return ARCHITECTURES.get(source)(name, **{"classes": 1000} | {k: v for k, v in arguments.items() if k != "classes"})


def _views(shapes: Shapes) -> Iterator[tuple[str, Shapes]]:
    """Yield the weights as they are, and without a first part that most names share."""
    yield "", shapes
    heads = Counter(name.partition(".")[0] for name in shapes if "." in name)
    if heads and (top := heads.most_common(1)[0])[1] > len(shapes) / 2:
        prefix = f"{top[0]}."
        yield prefix, {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def _counted(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}


def _compare(arch: str, twins: tuple[str, ...], shapes: Shapes, prefix: str, outside: int) -> Match | None:
    """Build a network as it would have to be for these tensors, and compare."""
    source, own = arch.partition(":")[0], _counted(shapes)
    try:
        network = _skeleton(arch, {"num_classes": ODD_CLASSES})
        theirs = _counted(shapes_of_weights(network.state_dict()))
        head = {name: shape.index(ODD_CLASSES) for name, shape in theirs.items() if ODD_CLASSES in shape}
        outputs = Counter(own[name][place] for name, place in head.items() if len(own.get(name, ())) > place)
        classes = outputs.most_common(1)[0][0] if outputs else None
        size, normalisation = _usual_input(network, arch)
        arguments = _fitting_arguments(source, own, theirs, size)
        theirs = _counted(shapes_of(arch, {"num_classes": classes or ODD_CLASSES} | arguments))
    except Exception:  # the library is missing or older than the index, or the arguments lead nowhere
        return None
    missing = tuple(name for name in theirs if name not in own)
    unexpected = tuple(name for name in own if name not in theirs)
    differing = tuple(name for name in own if name in theirs and own[name] != theirs[name])
    fits = len(own) - len(unexpected) - len(differing)
    first = next((shape for shape in own.values() if len(shape) == 4), (0, 3))
    return Match(
        arch,
        fits / (len(own) + len(missing) + outside),
        arguments,
        classes,
        int(arguments.get("in_chans", first[1] if first[1] in (1, 3) else 3)),
        int(arguments.get(SIZE_ARGUMENTS.get(source, ""), size)),
        normalisation,
        missing,
        unexpected if not outside else (*unexpected, f"{outside} outside {prefix}"),
        differing,
        prefix,
        twins,
    )


def _fitting_arguments(source: str, own: Shapes, theirs: Shapes, size: int) -> dict[str, Any]:
    """Find with which channels and picture size the tensors that differ would fit."""
    arguments: dict[str, Any] = {}
    for name, shape in theirs.items():
        mine = own.get(name, shape)
        if mine == shape or len(mine) != len(shape):
            continue
        if source == "timm" and len(shape) == 4 and shape[1] == 3 and mine[1] != 3 and mine[2:] == shape[2:]:
            arguments["in_chans"] = mine[1]
        elif "pos_embed" in name and len(shape) == 3 and mine[2] == shape[2]:
            grid = math.isqrt(shape[1])
            extra, patch = shape[1] - grid**2, size // max(grid, 1)
            side = math.isqrt(max(mine[1] - extra, 0))
            if side and side**2 == mine[1] - extra:
                arguments[SIZE_ARGUMENTS[source]] = side * patch
    return arguments


def _usual_input(network: nn.Module, arch: str) -> tuple[int, dict[str, Any]]:
    source, _, name = arch.partition(":")
    imagenet = {"mean": "imagenet"}
    if source == "timm":
        known = getattr(network, "pretrained_cfg", None) or {}
        mean, std = known.get("mean"), known.get("std")
        told = {"mean": [*mean], "std": [*std]} if mean and std and round(mean[0], 3) != 0.485 else imagenet
        return int((known.get("input_size") or (3, 224, 224))[-1]), told
    from torchvision.models import get_model_weights

    transforms = getattr(next(iter(get_model_weights(name)), None), "transforms", None)
    return int(getattr(transforms, "keywords", {}).get("crop_size", 224)), imagenet


def _same_function(match: Match, other: str, weights: Mapping[str, Tensor]) -> bool | None:
    """Whether another network gives the same logits with the same weights, on noise; None if it cannot take them."""
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
                network = _build(arch, {"num_classes": match.classes} | arguments)
                network.load_state_dict(match.strip(weights), strict=False)
                network.eval()
                outputs.append(network(noise))
            except (InterpferError, RuntimeError, TypeError, ValueError):
                return None
    one, two = outputs
    return bool(one.shape == two.shape and (one - two).abs().max() <= TOLERANCE * one.abs().max())
