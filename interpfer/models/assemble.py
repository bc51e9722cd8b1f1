"""From what a reader found and a card to a network that runs."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from interpfer.errors import InterpferError, TrustError
from interpfer.models.architectures import build
from interpfer.models.card import ModelCard
from interpfer.models.checkpoint import require_runnable
from interpfer.models.load_weights import load_weights
from interpfer.models.program import Program
from interpfer.models.readers.base import Read
from interpfer.models.rebuild import rebuild


@dataclass(frozen=True)
class Assembled:
    """A network.

    Attributes:
        module: that runs; a ``Program`` if its inside cannot be seen.
        notes: what the user should know, one sentence each.
    """

    module: nn.Module
    notes: tuple[str, ...] = ()


def assemble(read: Read, card: ModelCard, trust: bool, path: Path, named: bool = True) -> Assembled:
    """Build the architecture and load the weights, or take the module that the file brought.

    Args:
        read: what the file held.
        card: whose ``arch`` may be None if the file brought a module.
        trust: whether the architecture's own code may run.
        path: of the checkpoint, for messages.
        named: whether the user named the architecture; that a guessed one is not a program's needs no word.

    Raises:
        ModelError: weights and architecture do not fit, or there is no architecture.
        TrustError: code would run that was not asked for.
    """
    if isinstance(read.module, Program):
        return _from_program(read, read.module, card, trust, named)
    if read.module is not None:
        read.module.eval()
        if read.weights is not None and card.arch is not None and named:
            return _rebuilt(read, read.module, card, trust)
        return Assembled(read.module, read.notes)
    if card.arch is None:
        require_runnable(read, path)
    assert read.weights is not None
    module = build(card, trust)
    module.eval()
    found = load_weights(module, read.weights, str(path), len(card.classes))
    inert = (f"of the pickled {read.class_name} only the weights were read",) if read.imports else ()
    return Assembled(module, (*read.notes, *inert, *found))


def _rebuilt(read: Read, module: nn.Module, card: ModelCard, trust: bool) -> Assembled:
    """Prefer the modules of a named architecture to those of a converter, if the two do the same."""
    network = build(card, trust)
    try:
        return Assembled(
            rebuild(read, module, network, card), (f"the {read.format} was rebuilt as {card.arch}: same outputs",)
        )
    except InterpferError as error:
        return Assembled(module, (*read.notes, str(error)))


def _from_program(read: Read, program: Program, card: ModelCard, trust: bool, named: bool) -> Assembled:
    """Give a program its modules back if the architecture is the one; else leave it as it is, and say so."""
    reason = ""
    if card.arch is not None:
        try:
            network = rebuild(read, program, build(card, trust), card)
        except TrustError:
            raise
        except InterpferError as error:
            reason = f"{error}; " if named else ""
        else:
            return Assembled(network, (*read.notes, f"the {read.format} was rebuilt as {card.arch}: same outputs"))
    able = "input gradients and perturbation" if program.differentiable else "perturbation"
    note = (
        f"{reason}the layers of this {read.format} cannot be seen, so there is no attention and no CAM, only maps by "
        f"{able}; name its architecture (--arch) for the others"
    )
    return Assembled(program, (*read.notes, note))
