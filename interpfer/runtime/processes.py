"""Several processes that work on one run, started by a launcher (`accelerate launch`, `torchrun`).

A single process imports nothing for this and never waits.
"""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from interpfer.errors import InterpferError
from interpfer.runtime.shards import Shard

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import Tensor

T = TypeVar("T")

TIMEOUT = timedelta(days=1)
"""How long processes wait for one another; the main process may have to write large tables."""


class Processes:
    """The processes of a launcher, or a single process.

    Args:
        state: state of accelerate; None for a single process.

    Attributes:
        count: number of processes.
        index: index of this process.
    """

    def __init__(self, state: "PartialState | None" = None) -> None:
        self._state = state
        self.count: int = state.num_processes if state else 1
        self.index: int = state.process_index if state else 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes the tables."""
        return self.index == 0

    @property
    def device(self) -> str | None:
        """Device that the launcher assigned to this process; None for a single process."""
        return str(self._state.device) if self._state else None

    def share(self, items: Sequence[T], group_size: int) -> list[T]:
        """Return the items of this process.

        Args:
            items: items of all processes.
            group_size: number of consecutive items that stay together; the groups alternate between the processes.
        """
        return Shard(self.index, self.count).share(items, group_size)

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        if self._state:
            self._state.wait_for_everyone()

    def from_main(self, value: T) -> T:
        """Return the value of the main process."""
        if self._state is None:
            return value
        from accelerate.utils import broadcast_object_list

        values = [value]
        broadcast_object_list(values)
        return values[0]

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by index."""
        if self._state is None:
            return [value]
        from accelerate.utils import gather_object

        gathered: list[T] = gather_object([value])
        return gathered

    def run(self, step: Callable[[], T]) -> T:
        """Run a step on every process; if it fails on any, all raise the first one's error, so that none waits forever.

        Args:
            step: must not wait for other processes itself.

        Returns:
            The result of this process.

        Raises:
            InterpferError: the step failed on this process or on another one.
        """
        if self._state is None:
            return step()
        result, error = None, None
        try:
            result = step()
        except Exception as raised:
            error = raised
        reports = self.gather(None if error is None else _portable(error, self.index))
        failed = [index for index, report in enumerate(reports) if report is not None]
        if error is not None and failed[0] == self.index:
            raise error
        if failed:
            raise cast(InterpferError, reports[failed[0]]) from error
        return cast(T, result)

    def add(self, values: "Tensor") -> "Tensor":
        """Return the sum of a tensor over all processes."""
        if self._state is None:
            return values
        from accelerate.utils import reduce

        total: Tensor = reduce(values.to(self._state.device), reduction="sum").to(values.device)
        return total


def _portable(error: Exception, index: int) -> InterpferError:
    """Return an error that can be sent to another process."""
    if isinstance(error, InterpferError):
        return error
    return InterpferError(f"process {index} failed: {type(error).__name__}: {error}")


def join_processes(device: str = "auto") -> Processes:
    """Join the processes of a launcher; without a launcher, return a single process.

    Args:
        device: "cpu" keeps all processes off the accelerators.
    """
    if not is_distributed():
        return Processes()
    import torch
    from accelerate import PartialState

    return Processes(PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=TIMEOUT))


def is_distributed() -> bool:
    """Return whether a launcher started several processes."""
    size = os.environ.get("WORLD_SIZE", "1")
    return size.isdigit() and int(size) > 1


def shut_down() -> None:
    """Leave the group of processes at the end of a command."""
    if is_distributed():
        from accelerate import PartialState

        if PartialState._shared_state:
            PartialState().destroy_process_group()
