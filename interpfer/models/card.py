"""The model card: the facts that a checkpoint does not contain.

A YAML file beside the checkpoint with the same stem, or an entry ``card`` inside it::

    arch: my_model.py:build                    # FILE.py:callable, package.module:callable, torchvision:NAME, timm:NAME
    arch_args: {}
    classes: [neutral, happiness, ...]        # in output order, or a known order such as rafdb
    input: {size: 112, color: rgb, scale: 1, mean: [0, 0, 0], std: [1, 1, 1]}    # or a name, mean: imagenet;
                                               # resize, crop, ...: see interpfer.models.input
    output: 0                                  # index, key or slice of the logits in the output
    aus: [1, 2, 4, ...]                        # optional: FACS numbers of an AU output, or an order such as disfa8
    aus_output: 1                              # its place in the output, like output
    head: wildcat                              # optional: head of interpfer in place of the architecture's own
    layers: [layer1, layer2, layer3, layer4]   # optional, shallow to deep
    forward_args: {phase: test}                # optional: arguments of forward beside the images
    prompts: aus                               # optional, of an image-text model: texts of the classes; see
                                               # interpfer.models.image_text.prompts
    published: {rafdb/test: 0.9221}            # optional: accuracy per data set and split, as published
    name: poster                               # optional: name in tables
    lineage: fine-tuned from poster, seed 2    # optional: where the weights come from; written by finetune
    source: hf://owner/name@3f2a...            # optional: address that the file was downloaded from
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from interpfer.au.orders import resolve_au_order
from interpfer.errors import DataError, ModelError, nearest
from interpfer.files import parse_yaml
from interpfer.labels import CLASS_ORDERS, resolve_classes
from interpfer.models.image_text.prompts import Prompts, parse_prompts
from interpfer.models.input import InputSpec, parse_input
from interpfer.models.output import Output, parse_output
from interpfer.models.published import Published, parse_published

FIELDS = (
    *("arch", "arch_args", "head", "head_args", "classes"),
    *("input", "output", "aus", "aus_output", "layers", "forward_args", "published"),
    *("name", "lineage", "source", "prompts"),
)
"""Fields of a card."""


@dataclass(frozen=True)
class ModelCard:
    """Everything that makes a classifier out of weights.

    Attributes:
        arch: source and name of the architecture; None for a checkpoint that contains its module.
        classes: canonical expressions in output order; none for a network with outputs for action units alone.
        arch_args: keyword arguments of the architecture.
        input: preprocessing of images.
        output: location of the logits in the output; None for the output itself, or its only part of that shape.
        layers: names in ``named_modules()``, shallow to deep; None to find them.
        folder: folder that FILE.py is relative to.
        forward_args: arguments of ``forward`` beside the images.
        published: DATASET/SPLIT -> accuracy as published; it decides no score.
        name: of the model in tables; "" for none.
        lineage: which weights were trained how, in words; "" where nothing is known.
        source: address that the file was downloaded from, with its commit; "" for none.
        aus: FACS numbers of the outputs for action units, in order; none where the network has no such output.
        aus_output: their location in the output, as ``output``.
        head: head of interpfer in place of the architecture's own; None for its own.
        head_args: keyword arguments of that head.
        prompts: texts of the classes and action units of an image-text model; None for any other.
    """

    arch: str | None
    classes: tuple[str, ...]
    arch_args: Mapping[str, Any] = field(default_factory=dict)
    input: InputSpec = field(default_factory=InputSpec)
    output: Output | None = None
    layers: tuple[str, ...] | None = None
    folder: Path = Path()
    forward_args: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Published] = field(default_factory=dict, repr=False)
    name: str = field(default="", repr=False)
    lineage: str = field(default="", repr=False)
    source: str = field(default="", repr=False)
    aus: tuple[int, ...] = field(default=(), repr=False)
    aus_output: Output | None = field(default=None, repr=False)
    head: str | None = field(default=None, repr=False)
    head_args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    prompts: Prompts | None = field(default=None, repr=False)

    @property
    def identity(self) -> str:
        """Text of all fields that decide a score, to recognise another card."""
        aus = f" aus={self.aus}, aus_output={self.aus_output}" if self.aus else ""
        prompts = "" if self.prompts is None else f" prompts={self.prompts.to_dict()}"
        head = f" head={self.head}, head_args={dict(self.head_args)}" if self.head else ""
        return repr(replace(self, folder=Path())) + aus + prompts + head

    @property
    def output_count(self) -> int:
        """Number of outputs that a network of this card alone has: those of its classes, and of its action units."""
        return len(self.classes) + len(self.aus)


def card_path(checkpoint: str | Path) -> Path:
    """Return the path of the card of a checkpoint."""
    checkpoint = Path(checkpoint)
    return checkpoint.with_suffix(".yaml")


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the raw fields of a card file.

    Raises:
        ModelError: the file is not YAML, or not a mapping.
    """
    path = Path(path)
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"model card {path}: not YAML ({error}).") from error
    if not isinstance(raw, dict):
        raise ModelError(f"model card {path}: must hold fields such as 'arch:' and 'classes:', got {raw!r}.")
    return raw


def parse_card(raw: Mapping[str, Any], where: str, folder: str | Path, has_module: bool = False) -> ModelCard:
    """Check the fields of a card.

    Args:
        raw: the fields, with overrides.
        where: name of the card, for messages.
        folder: folder that FILE.py is relative to.
        has_module: whether the network exists already, so that ``arch`` is not needed.

    Raises:
        ModelError: a field is missing, unknown or has a wrong value; the message names it.

    Examples:
        >>> fields = {"arch": "torchvision:resnet18", "classes": "angry, happy"}
        >>> parse_card(fields, "model.yaml", Path()).classes
        ('anger', 'happiness')
    """
    folder = Path(folder)
    _require_known(raw, FIELDS, f"model card {where}")
    if raw.get("arch") is None and not has_module:
        raise ModelError(
            f"model card {where}: the field 'arch' is missing (FILE.py:callable, package.module:callable, "
            "torchvision:NAME or timm:NAME); write it into the card or pass --arch."
        )
    aus = _parse_aus(raw, where)
    if not raw.get("classes") and not aus:
        raise ModelError(
            f"model card {where}: the field 'classes' is missing: the expressions in output order; "
            f"write it into the card or pass --classes; known orders: {', '.join(CLASS_ORDERS)}."
        )
    try:
        classes = resolve_classes(_parse_names(raw["classes"], where, "classes")) if raw.get("classes") else ()
    except DataError as error:
        raise ModelError(f"model card {where}: classes: {error}") from error
    layers = raw.get("layers")
    spec = parse_input(raw.get("input") or {}, where)
    if aus and spec.frames > 1:
        raise ModelError(f"model card {where}: outputs for action units are read of pictures, not of clips: omit aus.")
    return ModelCard(
        arch=None if raw.get("arch") is None else str(raw["arch"]),
        classes=classes,
        arch_args=_parse_mapping(raw, where, "arch_args"),
        input=spec,
        output=None if raw.get("output") is None else parse_output(raw["output"], where),
        layers=None if layers is None else tuple(_parse_names(layers, where, "layers")),
        folder=folder,
        forward_args=_parse_mapping(raw, where, "forward_args"),
        published=parse_published(raw.get("published") or {}, where),
        name=_parse_text(raw, where, "name"),
        lineage=_parse_text(raw, where, "lineage"),
        source=_parse_text(raw, where, "source"),
        aus=aus,
        head=_parse_text(raw, where, "head") or None,
        head_args=_parse_mapping(raw, where, "head_args"),
        aus_output=None if raw.get("aus_output") is None else parse_output(raw["aus_output"], where, "aus_output"),
        prompts=None if raw.get("prompts") is None else parse_prompts(raw["prompts"], classes, aus, folder, where),
    )


def _parse_aus(raw: Mapping[str, Any], where: str) -> tuple[int, ...]:
    value = raw.get("aus")
    if value is None:
        if raw.get("aus_output") is not None:
            raise ModelError(f"model card {where}: aus_output needs aus: the FACS numbers of that output, in order.")
        return ()
    if not isinstance(value, str | int | float | Sequence):
        raise ModelError(f"model card {where}: aus must be a list of FACS numbers, got {value!r}.")
    try:
        return resolve_au_order(value)
    except DataError as error:
        raise ModelError(f"model card {where}: aus: {error}") from error


def _parse_mapping(raw: Mapping[str, Any], where: str, name: str) -> dict[str, Any]:
    value = raw.get(name) or {}
    if not isinstance(value, Mapping):
        raise ModelError(f"model card {where}: {name} must be a mapping, got {value!r}.")
    return {str(key): item for key, item in value.items()}


def _parse_text(raw: Mapping[str, Any], where: str, name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str | int | float | None):
        raise ModelError(f"model card {where}: {name} must be a text, got {value!r}.")
    return "" if value is None else str(value).strip()


def _parse_names(value: Any, where: str, name: str) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Sequence) or not all(isinstance(item, str) for item in items):
        raise ModelError(f"model card {where}: {name} must be a list of names, got {value!r}.")
    return [item.strip() for item in items]


def _require_known(raw: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in raw:
        if name not in known:
            raise ModelError(f"{where}: unknown field '{name}'.{nearest(str(name), known)} Known: {', '.join(known)}.")
