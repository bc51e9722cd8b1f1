"""From what a reader found and a card to a network that runs."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from interpfer.errors import InterpferError, TrustError
from interpfer.models.architectures import build
from interpfer.models.card import ModelCard
from interpfer.models.checkpoint import require_runnable
from interpfer.models.fit import load_weights
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


def assemble(read: Read, card: ModelCard, trust: bool, path: Path) -> Assembled:
    """Build the architecture and load the weights, or take the module that the file brought.

    Args:
        read: what the file held.
        card: whose ``arch`` may be None if the file brought a module.
        trust: whether the architecture's own code may run.
        path: of the checkpoint, for messages.

    Raises:
        ModelError: weights and architecture do not fit, or there is no architecture.
        TrustError: code would run that was not asked for.
    """
    if isinstance(read.module, Program):
        return _from_program(read, read.module, card, trust)
    if read.module is not None:
        return Assembled(read.module, read.notes)
    if card.arch is None:
        require_runnable(read, path)
    assert read.weights is not None
    module = build(card, trust)
    module.eval()
    found = load_weights(module, read.weights, str(path), len(card.classes))
    inert = (f"of the pickled {read.class_name} only the weights were read",) if read.wants else ()
    return Assembled(module, (*read.notes, *inert, *found))


def _from_program(read: Read, program: Program, card: ModelCard, trust: bool) -> Assembled:
    note = ""
    if card.arch is not None:
        try:
            rebuilt = rebuild(read, program, build(card, trust), card)
        except TrustError:
            raise
        except InterpferError as error:
            rebuilt, note = None, str(error)
        if rebuilt is not None:
            return Assembled(rebuilt, (*read.notes, f"the {read.format} was rebuilt as {card.arch}: same outputs"))
    return Assembled(program, (*read.notes, note) if note else read.notes)
