"""A draft of the model card of a checkpoint, in which guesses replace missing fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from interpfer.models.card import ModelCard, parse_card
from interpfer.models.input import describe_input
from interpfer.models.loading import CheckpointInfo
from interpfer.models.match import Match

MAX_OUTPUTS = 20
"""Largest number of outputs that may be expressions."""
DEFAULT_SIZE, DEFAULT_CLASSES = 224, 7
"""Input size and number of classes if nothing is known of them."""
NORMALISATION_FIELDS = {"mean", "std", "scale"}


@dataclass(frozen=True)
class CardDraft:
    """A model card with guesses.

    Attributes:
        raw: fields of the card without guesses, except for an architecture that fits all weights.
        card: the card with guesses; its classes are numbers if ``raw`` has none.
        class_count: number of classes; None if unknown.
        assumed: reasons for fields that are guesses, by names such as "input.size".
    """

    raw: Mapping[str, Any]
    card: ModelCard
    class_count: int | None
    assumed: Mapping[str, str] = field(default_factory=dict)


def draft_card(info: CheckpointInfo, weights: Mapping[str, Tensor], match: Match | None) -> CardDraft:
    """Fill the missing fields of a card with guesses.

    Args:
        info: the checkpoint and the fields of its card.
        weights: name -> tensor.
        match: known network that all weights fit; None if there is none.

    Raises:
        ModelError: a field of the card has a wrong value.
    """
    raw = dict(info.raw)
    if raw.get("arch") is None and match is not None:
        raw |= {name: value for name, value in match.card_fields().items() if name != "input" and raw.get(name) is None}
    class_count = (match.classes if match else None) or _count_outputs(weights)
    classes, input_fields = raw.get("classes"), raw.get("input") or {}
    assumed: dict[str, str] = {}
    if isinstance(input_fields, Mapping):
        has_size = bool({"size", "crop"} & set(input_fields))
        if not has_size:
            assumed["input.size"] = "a guess"
        if not NORMALISATION_FIELDS & set(input_fields):
            assumed["input.mean"] = "a guess"
        guess = _guess_input(input_fields, weights, match)
        if has_size:
            del guess["size"]
        input_fields = {**guess, **input_fields}
    has_aus_alone = not classes and bool(raw.get("aus"))
    placeholders = {
        "classes": classes or ([] if has_aus_alone else ["neutral"]),
        "arch": raw.get("arch") or "none:none",
        "input": input_fields,
    }
    card = parse_card(raw | placeholders, info.where, info.folder, has_module=info.data.module is not None)
    if not classes and not has_aus_alone:
        card = replace(card, classes=tuple(map(str, range(class_count or DEFAULT_CLASSES))))
    return CardDraft(raw, replace(card, arch=raw.get("arch")), class_count, assumed)


def describe_card(raw: Mapping[str, Any], card: ModelCard) -> dict[str, Any]:
    """Return the fields of a card in the usual order.

    Args:
        raw: fields of the card without guesses.
        card: the card with guesses.
    """
    fields: dict[str, Any] = {"arch": card.arch} if card.arch else {}
    if card.arch_args:
        fields["arch_args"] = dict(card.arch_args)
    fields |= {name: raw[name] for name in ("head", "head_args") if raw.get(name)}
    if raw.get("classes") or not card.aus:
        fields["classes"] = list(card.classes) if raw.get("classes") else []
    fields["input"] = describe_input(card.input)
    for name in ("output", "aus", "aus_output", "layers", "forward_args", "prompts"):
        if raw.get(name) is not None:
            fields[name] = raw[name]
    return fields


def _guess_input(fields: Mapping[str, Any], weights: Mapping[str, Tensor], match: Match | None) -> dict[str, Any]:
    """Return likely fields of the input; ``fields`` are those that are known."""
    channels = match.channels if match else _count_channels(weights)
    guess: dict[str, Any] = {"size": match.size if match else DEFAULT_SIZE}
    if channels == 1:
        guess["color"] = "gray"
    if match and "mean" not in fields and "std" not in fields and channels == 3:
        guess |= match.normalisation
    return guess


def _count_channels(weights: Mapping[str, Tensor]) -> int:
    first = next((value for value in weights.values() if value.dim() == 4), None)
    return 1 if first is not None and first.shape[1] == 1 else 3


def _count_outputs(weights: Mapping[str, Tensor]) -> int | None:
    """Return the number of outputs of the last matrix or convolution; None if it is too large for expressions."""
    counts = [len(value) for value in weights.values() if value.dim() in (2, 4)]
    return counts[-1] if counts and counts[-1] <= MAX_OUTPUTS else None
