"""What every reader of checkpoints is asked, and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

TRUST = "if you trust where it comes from, say --trust (trust=True)"
"""How a message ends that refuses what would run code."""


@dataclass(frozen=True)
class Request:
    """What a reader may do.

    Attributes:
        trust: whether code that the file brings may run.
        source: the FILE.py of the card, in which classes of a pickle are looked for; used only with ``trust``.
    """

    trust: bool = False
    source: Path | None = None


@dataclass(frozen=True)
class Read:
    """What a file or folder held: weights for an architecture, a module, or both for a program.

    Attributes:
        format: as messages call it, such as "state_dict" or "TorchScript program".
        weights: names -> tensors as the file has them, wrappers (``module.``) taken off; None if there are none.
        module: the network, or a ``Program``; None if the weights need an architecture.
        card: raw fields of a model card that the file knows: arch, classes, input, output.
        where: under which key of the file the weights were, such as "model_state_dict"; "" for the file itself.
        skipped: keys of the file that were not read.
        notes: what the user should know, one sentence each.
        program: whether the module can only be called: no layer of it can be seen.
        class_name: the class of a pickled module, whether or not it was run.
        imports: what a pickle would import; empty if it was read without running anything.
        sha256: of the file, or of the files of a folder.
        file: the checkpoint that was read in a folder; None for the path itself.
    """

    format: str
    weights: Mapping[str, Tensor] | None = None
    module: nn.Module | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    program: bool = False
    class_name: str | None = None
    imports: tuple[str, ...] = ()
    sha256: str = ""
    file: Path | None = None


class Reader(Protocol):
    """Reads one format."""

    def accepts(self, path: Path) -> bool:
        """Say by content whether the file or folder is of this format; cheap, imports nothing heavy, runs nothing."""

    def read(self, path: Path, request: Request) -> Read:
        """Read it.

        Raises:
            TrustError: code would run that was not asked for; the message says what.
            ModelError: it is broken, or a package is missing; the message says the remedy.
        """
