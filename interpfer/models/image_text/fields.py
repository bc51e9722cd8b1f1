"""The fields of a card that an image-text model adds: prompts, and defaults for classes and outputs."""

from collections.abc import Mapping
from typing import Any

from interpfer.au.codebook import CODEBOOKS, load_codebook
from interpfer.errors import ModelError
from interpfer.labels import EXPRESSIONS
from interpfer.models.image_text.network import AUS, LOGITS
from interpfer.models.image_text.open_clip import describe_assumptions
from interpfer.models.image_text.prompts import DEFAULT_CODEBOOK, TEMPLATE
from interpfer.models.image_text.towers import TwoTowers
from interpfer.models.readers.base import CheckpointData

OF_TEXTS = ("image-text:", "open_clip:")
"""Architectures whose classes are texts."""

CODEBOOK = "codebook"
"""Value of ``aus`` for the action units of the default codebook."""


def has_text_tower(data: CheckpointData, arch: str | None) -> bool:
    """Return whether the texts of a checkpoint can be chosen."""
    return isinstance(data.module, TwoTowers) or (arch or "").startswith(OF_TEXTS[1])


def complete_fields(
    raw: Mapping[str, Any], data: CheckpointData, where: str, overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of a card with those of an image-text model, and notes on what was assumed.

    Args:
        raw: the fields, with overrides.
        data: the checkpoint.
        where: name of the card, for messages.
        overrides: fields that the user passed.

    Raises:
        ModelError: prompts are given to a model without a text tower.
    """
    fields, arch = dict(raw), str(raw.get("arch") or "")
    if not has_text_tower(data, arch):
        if overrides.get("prompts") is not None or (
            fields.get("prompts") is not None and not arch.startswith(OF_TEXTS)
        ):
            raise ModelError(
                f"model card {where}: prompts are the texts of an image-text model (CLIP, SigLIP), and this checkpoint "
                "has no text tower; leave prompts out."
            )
        return fields, ()
    notes: list[str] = []
    if arch.startswith(OF_TEXTS[1]) and not fields.get("input"):
        fields["input"], note = describe_assumptions(arch.partition(":")[2])
        notes.append(note)
    if not fields.get("classes"):
        fields["classes"] = list(EXPRESSIONS)
        notes.append(
            f"no classes are named: the {len(EXPRESSIONS)} expressions assumed ({', '.join(EXPRESSIONS)}); pass "
            "--classes for others"
        )
    if fields.get("prompts") is None:
        fields["prompts"] = TEMPLATE
    if fields.get("output") is None:
        fields["output"] = LOGITS
    if fields.get("aus"):
        named = str(fields["aus"]).strip().lower()
        if named == CODEBOOK or named in CODEBOOKS:
            fields["aus"] = list(load_codebook(DEFAULT_CODEBOOK if named == CODEBOOK else named).aus())
        if fields.get("aus_output") is None:
            fields["aus_output"] = AUS
    return fields, tuple(notes)
