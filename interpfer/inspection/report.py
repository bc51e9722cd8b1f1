"""The result of an inspection as plain values."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from interpfer.models.match import Match

MAX_GROUPS = 24
"""Groups of names into which tensors are divided."""
MAX_PARTS = 4
"""Parts of a name by which tensors are grouped."""


@dataclass(frozen=True)
class KeyGroup:
    """Tensors whose names begin with the same parts.

    Attributes:
        prefix: common beginning of the names.
        tensors: number of tensors.
        parameters: number of values in them.
        example: name and shape of the last one.
    """

    prefix: str
    tensors: int
    parameters: int
    example: str


@dataclass(frozen=True)
class LayerInfo:
    """One module of the network.

    Attributes:
        name: name in ``named_modules()``.
        shape: shape of its output, without the batch.
        spatial: whether the output lies on a grid of at least 2 x 2.
        last: whether ``--layers last`` selects it.
        all: whether ``--layers all`` selects it.
        place: whether bright patches on the input prove that its values lie where they are laid out; "" if untried.
    """

    name: str
    shape: str
    spatial: bool
    last: bool = False
    all: bool = False
    place: str = ""


@dataclass(frozen=True)
class Head:
    """One output of a network, or a slice of it.

    Attributes:
        output: value of ``output:`` in a card; "" for the output itself.
        shape: its shape for one image, without the batch.
        guess: what it may be, from its key and its width.
        accuracy: share of labelled faces that it classifies with its best class order; None where that was not tried.
        order: name of that order.
        n: number of faces.
    """

    output: str
    shape: str
    guess: str
    accuracy: float | None = None
    order: str = ""
    n: int = 0


@dataclass(frozen=True)
class Report:
    """Facts about a checkpoint.

    Attributes:
        path: the file.
        format: format of the file.
        sha256: hash of the file.
        wants: names that a pickle would import.
        class_name: class of a pickled module.
        notes: notes of the reader and the loader.
        keys: tensors, grouped by name.
        parameters: number of values in all tensors.
        matches: networks of torchvision and timm with these tensors.
        verdict: one sentence on the architecture.
        outputs: type and shapes of the output; "" if the network was not run.
        heads: every output, with what it may be; none if the network was not run.
        output_count: number of logits per image; None if unknown.
        layers: modules of the network, in the order in which they finish.
        card: fields of a model card.
        assumed: reasons for fields of the card that are guesses, by names such as "input.size".
        missing: what is needed to score the file, one sentence each.
        card_file: place of the card, beside the file.
    """

    path: str
    format: str
    sha256: str
    wants: tuple[str, ...] = ()
    class_name: str | None = None
    notes: tuple[str, ...] = ()
    keys: tuple[KeyGroup, ...] = ()
    parameters: int = 0
    matches: tuple[Match, ...] = ()
    verdict: str = ""
    outputs: str = ""
    heads: tuple[Head, ...] = ()
    output_count: int | None = None
    layers: tuple[LayerInfo, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    assumed: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    card_file: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether the file can be scored as it is."""
        return not self.missing

    def to_dict(self) -> dict[str, Any]:
        """Return everything as values of JSON."""
        return asdict(self) | {"ready": self.is_ready, "card_yaml": self.card_yaml()}

    def card_yaml(self) -> str:
        """Return the card as YAML, with a comment on each guess."""
        lines = []
        for name, value in self.card.items():
            text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).strip()
            reasons = [
                f"{key.rpartition('.')[2]} is {reason}" if "." in key else reason
                for key, reason in self.assumed.items()
                if key.partition(".")[0] == name
            ]
            comment = f"   # {'; '.join(reasons)}" if reasons else ""
            lines.append(f"{name}: {text.removesuffix('...').strip()}{comment}")
        return "\n".join(lines) + "\n"


def group_keys(shapes: Mapping[str, tuple[int, ...]]) -> tuple[KeyGroup, ...]:
    """Group tensors by the first parts of their names, by more parts until no group holds most of the tensors.

    Args:
        shapes: name -> shape of each tensor.
    """
    parts = 1
    while True:
        groups = _group_by_parts(list(shapes), parts)
        is_divided = max(map(len, groups.values()), default=0) <= len(shapes) / 2
        if is_divided or parts == MAX_PARTS - 1 or len(_group_by_parts(list(shapes), parts + 1)) > MAX_GROUPS:
            break
        parts += 1
    return tuple(
        KeyGroup(
            prefix,
            len(names),
            sum(math.prod(shapes[name]) for name in names),
            f"{names[-1]} {' x '.join(map(str, shapes[names[-1]])) or 'number'}",
        )
        for prefix, names in groups.items()
    )


def _group_by_parts(names: list[str], count: int) -> dict[str, list[str]]:
    """Group names by their first parts; the last part of a name is left out."""
    groups: dict[str, list[str]] = {}
    for name in names:
        parts = name.split(".")
        groups.setdefault(".".join(parts[: min(count, len(parts) - 1)]) or name, []).append(name)
    return groups
