"""Several processes that work on one run, where a launcher (`accelerate launch`, `torchrun`) started them.

Alone, nothing is imported and nothing is waited for.
"""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from interpfer.errors import InterpferError

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import Tensor

T = TypeVar("T")

TIMEOUT = timedelta(days=1)
"""How long processes wait for one another: the first one may have to write large tables."""


class Processes:
    """The processes of a launcher, or this one alone.

    Args:
        state: of accelerate; None where there is one process.

    Attributes:
        count: how many there are.
        index: which this is.
    """

    def __init__(self, state: "PartialState | None" = None) -> None:
        self._state = state
        self.count: int = state.num_processes if state else 1
        self.index: int = state.process_index if state else 0

    @property
    def main(self) -> bool:
        """Whether this is the process that prints, and writes the tables."""
        return self.index == 0

    @property
    def device(self) -> str | None:
        """The device that the launcher gave to this process."""
        return str(self._state.device) if self._state else None

    def share(self, items: Sequence[T], together: int) -> list[T]:
        """Return what this process works on: whole groups of ``together`` items, dealt out in turn."""
        groups = [items[start : start + together] for start in range(0, len(items), together)]
        return [item for group in groups[self.index :: self.count] for item in group]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self._state:
            self._state.wait_for_everyone()

    def from_main(self, value: T) -> T:
        """Return the value that the main process has."""
        if self._state is None:
            return value
        from accelerate.utils import broadcast_object_list

        held = [value]
        broadcast_object_list(held)
        return held[0]

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes."""
        if self._state is None:
            return [value]
        from accelerate.utils import gather_object

        gathered: list[T] = gather_object([value])
        return gathered

    def run(self, step: Callable[[], T]) -> T:
        """Run a step on every process; where one fails, all raise, so that none waits for it in vain.

        The step itself must not wait for other processes.

        Raises:
            InterpferError: the step failed here, or on another process.
        """
        result, error = None, None
        try:
            result = step()
        except Exception as raised:
            if self._state is None:
                raise
            error = raised
        if self._state is None:
            return cast(T, result)
        reports = self.gather(None if error is None else _portable(error, self.index))
        failures = [report for report in reports if report is not None]
        if error is not None:
            raise error
        if failures:
            raise failures[0]
        return cast(T, result)

    def add(self, values: "Tensor") -> "Tensor":
        """Return the sum of a tensor over all processes."""
        if self._state is None:
            return values
        from accelerate.utils import reduce

        total: Tensor = reduce(values.to(self._state.device), reduction="sum").to(values.device)
        return total


def _portable(error: Exception, index: int) -> InterpferError:
    """Return an error that another process can receive."""
    if isinstance(error, InterpferError):
        return error
    return InterpferError(f"process {index} failed: {type(error).__name__}: {error}")


def processes(device: str = "auto") -> Processes:
    """Return the processes that a launcher started, joined; this one alone where no launcher did.

    Args:
        device: "cpu" keeps all of them off the accelerators.
    """
    if not launched():
        return Processes()
    import torch
    from accelerate import PartialState

    return Processes(PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=TIMEOUT))


def launched() -> bool:
    """Return whether a launcher started several processes."""
    size = os.environ.get("WORLD_SIZE", "1")
    return size.isdigit() and int(size) > 1


def shut_down() -> None:
    """Part from the other processes at the end of a command."""
    if launched():
        from accelerate import PartialState

        if PartialState._shared_state:
            PartialState().destroy_process_group()
