"""Compares weights with the networks of torchvision and timm.

The index (``interpfer.models.fingerprints``) returns networks that may have these weights. Each is built without
storage, adapted to the weights (number of classes, channels, image size), and compared tensor by tensor.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from interpfer.models.fingerprints import ODD_CLASSES, Shapes, nearest_networks
from interpfer.models.known_networks import (
    SIZE_ARGUMENTS,
    build_without_storage,
    find_network_shapes,
    find_shapes,
    find_usual_input,
)

MAX_GROUPS = 5
"""Groups of networks with the same tensors that are built and compared."""
MIN_ESTIMATE, MIN_SHARE = 0.25, 0.5
"""Smallest estimated share of common tensors to build a network, and smallest share to return it."""


@dataclass(frozen=True)
class Match:
    """A network that some weights may belong to.

    Attributes:
        arch: source and name, as in a card.
        share: share of tensors with the same name and shape, of all tensors of the weights and the network.
        arch_args: keyword arguments of the network, except the number of classes.
        classes: number of outputs of the weights; None if they have another classifier.
        channels: number of channels of the input.
        size: usual or necessary side of the input in pixels.
        normalisation: fields of a card's ``input`` for the pretrained weights.
        missing: tensors of the network that the weights lack.
        unexpected: tensors of the weights that the network lacks.
        differing: tensors of another shape.
        prefix: prefix of the names of the weights.
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
    def is_complete(self) -> bool:
        """Whether every tensor fits."""
        return not (self.missing or self.unexpected or self.differing)

    def strip_prefix(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights under the names of the network."""
        return {name.removeprefix(self.prefix): value for name, value in weights.items()}

    def card_fields(self) -> dict[str, Any]:
        """Return the raw fields of a card that follow from the match."""
        arch_args = {"arch_args": dict(self.arch_args)} if self.arch_args else {}
        return {"arch": self.arch, **arch_args, "input": {"size": self.size}}


def find_matches(shapes: Shapes) -> tuple[Match, ...]:
    """Return the networks with at least half of the tensors in common, the best first.

    Args:
        shapes: name -> shape of each tensor of the weights.
    """
    matches = []
    is_gray = next((shape[1] == 1 for shape in shapes.values() if len(shape) == 4), False)  # only timm has gray input
    for prefix, part in _candidate_prefixes(shapes):
        for names in nearest_networks(part, MAX_GROUPS, MIN_ESTIMATE):
            names = sorted(names, key=lambda name: (name.startswith("torchvision:") == is_gray, len(name), name))
            match = _compare(names[0], tuple(names[1:]), part, prefix, len(shapes) - len(part))
            if match is not None and match.share >= MIN_SHARE:
                matches.append(match)
    return tuple(sorted(matches, key=lambda match: (-match.share, not match.arch.startswith("torchvision:"))))


def _candidate_prefixes(shapes: Shapes) -> Iterator[tuple[str, Shapes]]:
    """Yield the shapes as they are, and those below the first part of a name that most names share."""
    yield "", shapes
    counts = Counter(name.partition(".")[0] for name in shapes if "." in name)
    if counts and (top := counts.most_common(1)[0])[1] > len(shapes) / 2:
        prefix = f"{top[0]}."
        yield prefix, {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def _without_counters(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}


def _compare(arch: str, twins: tuple[str, ...], shapes: Shapes, prefix: str, outside: int) -> Match | None:
    """Build the network with the arguments that these tensors need, and compare; None if that fails.

    Args:
        arch: source and name.
        twins: other networks with the same tensors.
        shapes: shapes of the weights below the prefix.
        prefix: prefix of the names of the weights.
        outside: number of tensors outside the prefix.
    """
    source, actual = arch.partition(":")[0], _without_counters(shapes)
    try:
        network = build_without_storage(arch, {"num_classes": ODD_CLASSES})
        expected = _without_counters(find_shapes(network.state_dict()))
        head = {name: shape.index(ODD_CLASSES) for name, shape in expected.items() if ODD_CLASSES in shape}
        outputs = Counter(actual[name][axis] for name, axis in head.items() if len(actual.get(name, ())) > axis)
        classes = outputs.most_common(1)[0][0] if outputs else None
        size, normalisation = find_usual_input(network, arch)
        arguments = _find_arguments(source, actual, expected, size)
        expected = _without_counters(find_network_shapes(arch, {"num_classes": classes or ODD_CLASSES} | arguments))
    except Exception:  # the library is missing or older than the index, or refuses the arguments
        return None
    missing = tuple(name for name in expected if name not in actual)
    unexpected = tuple(name for name in actual if name not in expected)
    differing = tuple(name for name in actual if name in expected and actual[name] != expected[name])
    fits = len(actual) - len(unexpected) - len(differing)
    first = next((shape for shape in actual.values() if len(shape) == 4), (0, 3))
    return Match(
        arch,
        fits / (len(actual) + len(missing) + outside),
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


def _find_arguments(source: str, actual: Shapes, expected: Shapes, size: int) -> dict[str, Any]:
    """Return the input channels and the image size with which tensors of another shape would fit."""
    arguments: dict[str, Any] = {}
    for name, shape in expected.items():
        other = actual.get(name, shape)
        if other == shape or len(other) != len(shape):
            continue
        if source == "timm" and len(shape) == 4 and shape[1] == 3 and other[1] != 3 and other[2:] == shape[2:]:
            arguments["in_chans"] = other[1]
        elif "pos_embed" in name and len(shape) == 3 and other[2] == shape[2]:
            grid = math.isqrt(shape[1])
            extra, patch = shape[1] - grid**2, size // max(grid, 1)
            side = math.isqrt(max(other[1] - extra, 0))
            if side and side**2 == other[1] - extra:
                arguments[SIZE_ARGUMENTS[source]] = side * patch
    return arguments
