"""The model card: what a checkpoint does not say about itself.

A YAML file beside the checkpoint with the same stem, or an entry ``card`` inside it::

    arch: my_model.py:build                    # FILE.py:callable, package.module:callable, torchvision:NAME, timm:NAME
    arch_args: {}
    classes: [neutral, happiness, ...]        # in output order
    input: {size: 112, color: rgb, scale: 1, mean: [0, 0, 0], std: [1, 1, 1]}
    output: 0                                  # which element or key of the output holds the logits
    layers: [layer1, layer2, layer3, layer4]   # optional, shallow to deep
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from interpfer.errors import DataError, ModelError, nearest
from interpfer.expressions import canonical_classes

COLORS = {"rgb": 3, "bgr": 3, "gray": 1}


@dataclass(frozen=True)
class InputSpec:
    """What the model eats: x = (pixel / 255 * scale - mean) / std, at size x size.

    Attributes:
        size: side in pixels.
        color: "rgb", "bgr" or "gray".
        scale: 255 for a model that wants bytes.
        mean: one value, or one per channel in the model's own order.
        std: likewise.
    """

    size: int = 224
    color: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class ModelCard:
    """All that is needed to make a classifier out of weights.

    Attributes:
        arch: where the architecture comes from; None for a checkpoint that brings its module along.
        classes: canonical expressions in output order.
        arch_args: keyword arguments of the architecture.
        input: how images are prepared.
        output: the element or key of the output that holds the logits; None for the output itself.
        layers: names out of ``named_modules()``, shallow to deep; None to find them.
        folder: what a relative FILE.py is relative to.
    """

    arch: str | None
    classes: tuple[str, ...]
    arch_args: Mapping[str, Any] = field(default_factory=dict)
    input: InputSpec = field(default_factory=InputSpec)
    output: int | str | None = None
    layers: tuple[str, ...] | None = None
    folder: Path = Path()


def card_path(checkpoint: Path) -> Path:
    """Return where the card of a checkpoint lies."""
    return checkpoint.with_suffix(".yaml")


def read_card(path: Path) -> dict[str, Any]:
    """Read the raw fields of a card file.

    Raises:
        ModelError: the file is not YAML, or no mapping.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"model card {path}: not YAML ({error}).") from error
    if not isinstance(raw, dict):
        raise ModelError(f"model card {path}: expected fields such as 'arch:' and 'classes:', found {raw!r}.")
    return raw


def parse_card(raw: Mapping[str, Any], where: str, folder: Path, module_given: bool = False) -> ModelCard:
    """Check the fields of a card.

    Args:
        raw: the fields, overrides merged in.
        where: the card's name, for messages.
        folder: what a relative FILE.py is relative to.
        module_given: whether the network is there already, so that ``arch`` is not needed.

    Raises:
        ModelError: a field is missing, unknown or of the wrong kind; the message names it.
    """
    _refuse_unknown(raw, ("arch", "arch_args", "classes", "input", "output", "layers"), f"model card {where}")
    if raw.get("arch") is None and not module_given:
        raise ModelError(
            f"model card {where}: the field 'arch' is missing (FILE.py:callable, package.module:callable, "
            "torchvision:NAME or timm:NAME); write it into the card or pass --arch."
        )
    if not raw.get("classes"):
        raise ModelError(
            f"model card {where}: the field 'classes' is missing: the expressions in output order; "
            "write it into the card or pass --classes."
        )
    try:
        classes = canonical_classes(_texts(raw["classes"], where, "classes"))
    except DataError as error:
        raise ModelError(f"model card {where}: classes: {error}") from error
    arch_args = raw.get("arch_args") or {}
    if not isinstance(arch_args, Mapping):
        raise ModelError(f"model card {where}: arch_args should be a mapping, found {arch_args!r}.")
    output = raw.get("output")
    if not isinstance(output, int | str | None):
        raise ModelError(f"model card {where}: output should be a number or a key, found {output!r}.")
    layers = raw.get("layers")
    return ModelCard(
        arch=None if raw.get("arch") is None else str(raw["arch"]),
        classes=classes,
        arch_args=dict(arch_args),
        input=_parse_input(raw.get("input") or {}, where),
        output=output,
        layers=None if layers is None else tuple(_texts(layers, where, "layers")),
        folder=folder,
    )


def _parse_input(raw: Any, where: str) -> InputSpec:
    if not isinstance(raw, Mapping):
        raise ModelError(f"model card {where}: input should be a mapping such as {{size: 112}}, found {raw!r}.")
    _refuse_unknown(raw, ("size", "color", "scale", "mean", "std"), f"model card {where}: input")
    spec = InputSpec()
    readers: dict[str, Callable[[Any], Any]] = {
        "size": int,
        "color": lambda value: str(value).lower().replace("grey", "gray"),
        "scale": float,
        "mean": _numbers,
        "std": _numbers,
    }
    for name, value in raw.items():
        try:
            spec = replace(spec, **{name: readers[name](value)})
        except (TypeError, ValueError):
            raise ModelError(f"model card {where}: input.{name} cannot be {value!r}.") from None
    if spec.size < 1:
        raise ModelError(f"model card {where}: input.size {spec.size} is not a number of pixels.")
    if spec.color not in COLORS:
        raise ModelError(f"model card {where}: input.color '{spec.color}' is none of {', '.join(COLORS)}.")
    for name in ("mean", "std"):
        if len(getattr(spec, name)) not in (1, COLORS[spec.color]):
            raise ModelError(
                f"model card {where}: input.{name} has {len(getattr(spec, name))} values for the "
                f"{COLORS[spec.color]} channel(s) of {spec.color}."
            )
    if 0 in spec.std:
        raise ModelError(f"model card {where}: input.std holds a zero.")
    return spec


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(item) for item in (value if isinstance(value, Sequence) else [value]))


def _texts(value: Any, where: str, name: str) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Sequence) or not all(isinstance(item, str) for item in items):
        raise ModelError(f"model card {where}: {name} should be a list of names, found {value!r}.")
    return [item.strip() for item in items]


def _refuse_unknown(raw: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in raw:
        if name not in known:
            raise ModelError(f"{where}: unknown field '{name}'.{nearest(str(name), known)} Known: {', '.join(known)}.")
