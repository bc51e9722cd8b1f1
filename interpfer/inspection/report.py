"""What an inspection found, as plain values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from interpfer.models.identify import Match

MOST_GROUPS = 24


@dataclass(frozen=True)
class KeyGroup:
    """Tensors whose names begin alike.

    Attributes:
        prefix: of the names.
        tensors: how many.
        parameters: numbers in them.
        example: name and shape of the last one.
    """

    prefix: str
    tensors: int
    parameters: int
    example: str


@dataclass(frozen=True)
class LayerLine:
    """One module of the network.

    Attributes:
        name: out of ``named_modules()``.
        shape: what it returns, without the batch.
        spatial: whether that lies on a grid of at least 2 x 2.
        last: whether ``--layers last`` takes it.
        all: whether ``--layers all`` does.
    """

    name: str
    shape: str
    spatial: bool
    last: bool = False
    all: bool = False


@dataclass(frozen=True)
class Report:
    """All that is known of a checkpoint.

    Attributes:
        path: of the file.
        format: what kind of file it is.
        sha256: of it.
        wants: what a pickle would import if it were run.
        class_name: the class of a pickled module.
        notes: of the reader and the loader.
        keys: tensors, grouped by name.
        parameters: numbers in all of them.
        matches: networks of torchvision and timm with these tensors.
        verdict: one sentence on the architecture.
        outputs: what the forward returned; "" if it was not run.
        output_count: numbers per image that the logits seem to have.
        layers: of the network, in the order in which they finish.
        card: fields of a card.
        assumed: fields of the card that are a guess, as "input.size" and why.
        missing: what is needed before the file can be scored, one sentence each.
        ready: whether the file can be scored as it is.
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
    output_count: int | None = None
    layers: tuple[LayerLine, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    assumed: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def facts(self) -> dict[str, Any]:
        """Return everything as values that JSON knows."""
        return asdict(self) | {"ready": self.ready, "card_yaml": self.card_text()}

    def card_text(self) -> str:
        """Return the card as YAML to paste; what is a guess or missing says so in a comment."""
        lines = []
        for name, value in self.card.items():
            text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).strip()
            reasons = [
                f"{key.rpartition('.')[2]} is {why}" if "." in key else why
                for key, why in self.assumed.items()
                if key.partition(".")[0] == name
            ]
            comment = f"   # {'; '.join(reasons)}" if reasons else ""
            lines.append(f"{name}: {text.removesuffix('...').strip()}{comment}")
        return "\n".join(lines) + "\n"


def group_keys(shapes: Mapping[str, tuple[int, ...]]) -> tuple[KeyGroup, ...]:
    """Group tensors by the first part of their names; a part that holds most of them by its second part too."""
    depth = 1
    while depth < 4:
        groups: dict[str, list[str]] = {}
        for name in shapes:
            parts = name.split(".")
            groups.setdefault(".".join(parts[: min(depth, len(parts) - 1)]) if len(parts) > 1 else name, []).append(
                name
            )
        deeper = {".".join(name.split(".")[: min(depth + 1, name.count("."))]) or name for name in shapes}
        if max(map(len, groups.values()), default=0) <= len(shapes) / 2 or len(deeper) > MOST_GROUPS:
            break
        depth += 1
    return tuple(
        KeyGroup(
            prefix,
            len(names),
            sum(_count(shapes[name]) for name in names),
            f"{names[-1]} {' x '.join(map(str, shapes[names[-1]])) or 'number'}",
        )
        for prefix, names in groups.items()
    )


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total
