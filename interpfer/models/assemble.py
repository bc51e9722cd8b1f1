"""Builds a network from the content of a checkpoint and a model card."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from interpfer.errors import InterpferError, TrustError
from interpfer.models.architectures import build
from interpfer.models.card import ModelCard
from interpfer.models.checkpoint import require_module
from interpfer.models.heads.network import join_names
from interpfer.models.image_text.towers import TwoTowers
from interpfer.models.load_weights import load_weights
from interpfer.models.program import Program
from interpfer.models.readers.base import CheckpointData
from interpfer.models.rebuild import rebuild


@dataclass(frozen=True)
class Assembled:
    """A network with its weights.

    Attributes:
        module: the network; a ``Program`` if its layers are not accessible.
        notes: notes for the user, one sentence each.
    """

    module: nn.Module
    notes: tuple[str, ...] = ()


def assemble(data: CheckpointData, card: ModelCard, trust: bool, path: Path, has_arch: bool = True) -> Assembled:
    """Build the architecture and load the weights, or return the module in the file.

    Args:
        data: content of the checkpoint.
        card: the model card; its ``arch`` may be None if the file holds a module.
        trust: allow the code of the architecture to run.
        path: the checkpoint, for messages.
        has_arch: whether the user named the architecture; a guessed one that does not fit a program gives no note.

    Raises:
        ModelError: weights and architecture do not fit, or there is no architecture.
        TrustError: code would run that ``trust`` does not allow.
    """
    assembled = _assemble(data, card, trust, path, has_arch)
    if not isinstance(assembled.module, TwoTowers):
        return assembled
    assert card.prompts is not None
    return Assembled(assembled.module.bind(card.prompts), (*assembled.notes, card.prompts.describe()))


def _assemble(data: CheckpointData, card: ModelCard, trust: bool, path: Path, has_arch: bool) -> Assembled:
    if isinstance(data.module, Program):
        return _assemble_program(data, data.module, card, trust, has_arch)
    if data.module is not None:
        data.module.eval()
        if data.weights is not None and card.arch is not None and has_arch:
            return _assemble_converted(data, data.module, card, trust)
        return Assembled(data.module, data.notes)
    if card.arch is None:
        require_module(data, path)
    assert data.weights is not None
    module = build(card, trust)
    if data.fill is not None:
        return Assembled(data.fill(module).eval(), data.notes)
    module.eval()
    load_notes = load_weights(module, join_names(module, data.weights), str(path), card.output_count)
    pickle_notes = (f"only the weights of the pickled {data.class_name} were read",) if data.imports else ()
    return Assembled(module, (*data.notes, *pickle_notes, *load_notes))


def _assemble_converted(data: CheckpointData, module: nn.Module, card: ModelCard, trust: bool) -> Assembled:
    """Return the named architecture if its outputs equal those of the converted module, else the module."""
    network = build(card, trust)
    try:
        return Assembled(rebuild(data, module, network, card), (_rebuilt_note(data, card),))
    except InterpferError as error:
        return Assembled(module, (*data.notes, str(error)))


def _assemble_program(
    data: CheckpointData, program: Program, card: ModelCard, trust: bool, has_arch: bool
) -> Assembled:
    """Return the architecture if its outputs equal those of the program, else the program with a note."""
    reason = ""
    if card.arch is not None:
        try:
            network = rebuild(data, program, build(card, trust), card)
        except TrustError:
            raise
        except InterpferError as error:
            reason = f"{error}; " if has_arch else ""
        else:
            return Assembled(network, (*data.notes, _rebuilt_note(data, card)))
    methods = "input gradients and perturbation" if program.differentiable else "perturbation"
    reason += f"{program.reason}; " if program.reason else ""
    note = (
        f"{reason}the layers of this {data.format} are not accessible, so attention and CAMs are not available, only "
        f"maps by {methods}" + ("; pass --arch for the others" if data.weights else "")
    )
    return Assembled(program, (*data.notes, note))


def _rebuilt_note(data: CheckpointData, card: ModelCard) -> str:
    return f"the {data.format} was rebuilt as {card.arch}: same outputs"
