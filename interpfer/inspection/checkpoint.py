"""Inspects a checkpoint; without trust none of its code runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import ModelError, TrustError
from interpfer.inspection.draft import CardDraft, describe_card, draft_card
from interpfer.inspection.forward import ForwardResult, run_on_noise
from interpfer.inspection.report import Report, group_keys
from interpfer.models.assemble import assemble
from interpfer.models.card import card_path
from interpfer.models.hub import locate
from interpfer.models.identify import ArchitectureGuess, identify_architecture
from interpfer.models.known_networks import find_shapes
from interpfer.models.loading import CheckpointInfo, card_fields, read_with_card
from interpfer.models.messages import TRUST
from interpfer.models.model import Model
from interpfer.models.readers.base import CheckpointData

MAX_IMPORTS = 4
"""Imports of a pickle that a message lists."""


@dataclass(frozen=True)
class _Network:
    """A network with its weights, or what is needed to build it.

    Attributes:
        module: the network; None if it cannot be built.
        notes: notes of the loader.
        missing: what is needed to build it, one sentence each.
    """

    module: nn.Module | None = None
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def inspect_checkpoint(
    path: str | Path,
    trust: bool = False,
    *,
    name: str | None = None,
    preset: str | None = None,
    key: str | None = None,
    **overrides: Any,
) -> tuple[Report, Model | None]:
    """Inspect a checkpoint: its format, weights, architecture, outputs, layers, and the model card that it needs.

    Args:
        path: a checkpoint, with or without a card.
        trust: allow code of the card or of a pickle to run.
        name: name of the model in messages; by default the file's stem.
        preset: a published classifier; see ``load_model``.
        key: place of the network in a file that holds several; see ``load_model``.
        overrides: fields of the model card; see ``load_model``.

    Returns:
        The report, and the model if it could be built; its classes are numbers if nothing names them.

    Raises:
        ModelError: the file or the card cannot be read.
        TrustError: the file holds code that no weights need.
    """
    located = locate(path)
    shown, path = located.source or str(path), located.path
    info = read_with_card(path, trust, key=key, overrides=located.add_arch(card_fields(overrides, preset)))
    data, has_arch = info.data, info.raw.get("arch") is not None
    weights = _find_weights(data)
    guess = _guess_architecture(info, weights)
    draft = draft_card(info, weights, guess.chosen)
    network = _build_network(data, draft, guess, trust, path)
    forward = ForwardResult()
    if network.module is not None:
        forward = run_on_noise(Model(name or located.name or path.stem, network.module, draft.card), draft.raw)
    missing, assumed = _check_classes(draft, forward)
    report = Report(
        shown,
        data.format,
        data.sha256,
        wants=data.imports,
        class_name=data.class_name,
        notes=(*(network.notes or data.notes), *(forward.model.notes if forward.model else ())),
        keys=group_keys(find_shapes(weights)),
        parameters=sum(value.numel() for value in weights.values()),
        matches=() if has_arch else guess.matches,
        verdict=f"{info.raw['arch']}, as the card says" if has_arch else guess.why,
        outputs=forward.outputs,
        heads=forward.heads,
        output_count=forward.output_count,
        layers=forward.layers,
        card=describe_card(draft.raw, forward.model.card if forward.model else draft.card),
        assumed={**draft.assumed, **forward.assumed, **assumed},
        missing=(*missing, *network.missing, *forward.missing),
        card_file=str(card_path(data.file or path)),
    )
    return report, forward.model


def _find_weights(data: CheckpointData) -> Mapping[str, Tensor]:
    if data.weights is not None:
        return data.weights
    return data.module.state_dict() if data.module is not None else {}


def _guess_architecture(info: CheckpointInfo, weights: Mapping[str, Tensor]) -> ArchitectureGuess:
    """Identify the architecture; none is chosen if the file holds a module and the card names no architecture."""
    guess = identify_architecture(weights) if weights else ArchitectureGuess((), None, "")
    if info.raw.get("arch") is None and info.data.module is not None and not info.data.program:
        return replace(guess, chosen=None)
    return guess


def _build_network(
    data: CheckpointData, draft: CardDraft, guess: ArchitectureGuess, trust: bool, path: Path
) -> _Network:
    if data.module is None and draft.raw.get("arch") is None:
        return _Network(missing=(_describe_no_architecture(data, guess),))
    try:
        with torch.random.fork_rng(devices=[]):
            assembled = assemble(data, draft.card, trust, path)
    except TrustError as error:
        return _Network(missing=(f"trust: {error}",))
    except ModelError as error:
        return _Network(missing=(f"arch: {error}",))
    return _Network(assembled.module, assembled.notes)


def _describe_no_architecture(data: CheckpointData, guess: ArchitectureGuess) -> str:
    if data.imports:
        names = ", ".join(data.imports[:MAX_IMPORTS]) + (" ..." if len(data.imports) > MAX_IMPORTS else "")
        return f"arch: {guess.why}, and the pickled module would import {names}; {TRUST}"
    return f"arch: {guess.why}; pass --arch FILE.py:callable, torchvision:NAME or timm:NAME"


def _check_classes(draft: CardDraft, forward: ForwardResult) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return what is missing, and the comment on the field ``classes``, if the classes are not known."""
    if draft.raw.get("classes") or draft.raw.get("aus"):
        return (), {}
    count = forward.output_count or draft.class_count
    missing = (
        f"classes: {f'{count} expressions ' if count else ''}in output order; pass --classes with a list or a known "
        "order such as rafdb; --dataset finds the most likely order"
    )
    return (missing,), {"classes": f"{count or 'the'} expressions in output order, or a known order such as rafdb"}
