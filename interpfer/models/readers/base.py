"""The interface of a reader of checkpoints: what it is asked, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn


@dataclass(frozen=True)
class Request:
    """Permissions and hints for a reader.

    Attributes:
        trust: whether code in the file may run.
        source: FILE.py of the card, in which classes of a pickle are looked up; used only with ``trust``.
        key: place of the network in a file that holds several; None for the only one.
    """

    trust: bool = False
    source: Path | None = None
    key: str | None = None


@dataclass(frozen=True)
class CheckpointData:
    """Content of a checkpoint: weights for an architecture, a module, or both for a program.

    Attributes:
        format: name of the format in messages, such as "state_dict" or "TorchScript program".
        weights: name -> tensor as in the file, without the prefixes of wrappers (``module.``); None if there are none.
        module: the network, or a ``Program``; None if the weights need an architecture.
        card: raw fields of a model card in the file: arch, classes, input, output.
        where: key of the weights in the file, such as "model_state_dict"; "" for the file itself.
        skipped: keys of the file that were not read.
        notes: notes for the user, one sentence each.
        input_note: what was assumed of the input for lack of a file; "" for nothing.
        input_problem: why the publisher's preparation of images cannot be repeated; "" if it can.
        classes_problem: why the names of classes in the file are not used; "" if they are, or if there are none.
        program: whether the module is a program, whose layers are not accessible.
        class_name: class of a pickled module, whether or not its code ran.
        imports: names that the pickle would import; empty unless the module in it was left out for that reason.
        sha256: hash of the file, or of the files of a folder.
        file: checkpoint that was read in a folder; None for the path itself.
        fill: function that puts the weights into the network of the architecture and returns it, for a format whose
            weights are no state_dict; None for the usual one.
    """

    format: str
    weights: Mapping[str, Tensor] | None = None
    module: nn.Module | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    input_note: str = ""
    input_problem: str = ""
    classes_problem: str = ""
    program: bool = False
    class_name: str | None = None
    imports: tuple[str, ...] = ()
    sha256: str = ""
    file: Path | None = None
    fill: Callable[[nn.Module], nn.Module] | None = None


class Reader(Protocol):
    """Reads one format."""

    def accepts(self, path: Path) -> bool:
        """Return whether the content of a file or folder is of this format; fast, and without running its code."""

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Read a file or folder.

        Args:
            path: a file or folder that ``accepts`` returned True for.
            request: permissions and hints.

        Raises:
            TrustError: code would run that ``request`` does not allow; the message names it.
            ModelError: the file is broken, or a package is missing; the message says what to do.
        """
