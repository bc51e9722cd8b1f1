"""Threads for many small operations on a CPU, and memory that is kept for reuse.

An operation on a few canvases is too small to be split among cores: synchronising them would take longer than the work,
above all while images are read in the background. Therefore each thread handles whole items.
"""

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from threading import Barrier
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

READERS = 8
"""Most threads that read images beside an accelerator."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""
KEPT_BYTES = 1 << 28
"""Most bytes of freed memory that each arena of glibc keeps."""
LARGE_BLOCK = 1 << 25
"""Size in bytes from which a block is always returned to the system; the largest value that glibc accepts."""


@contextmanager
def single_thread_pool(count: int) -> Iterator[Executor]:
    """Yield a pool of ``count`` threads in each of which torch uses one thread."""
    import torch

    default, all_started = torch.get_num_threads(), Barrier(count + 1)

    def initialise() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread adopts the last value set when it first asks, and keeps it
        all_started.wait()

    with ThreadPoolExecutor(count, initializer=initialise) as pool:
        for _ in range(count):
            pool.submit(int)  # submitting work is what starts a thread
        all_started.wait()
        torch.set_num_threads(default)  # new threads adopt the last value set, whichever thread set it
        yield pool


def prefetch(function: Callable[[Item], Result], items: Sequence[Item], workers: int = 1) -> Iterator[Result]:
    """Yield the result of a function for each item in order, computing the next ones in the background.

    Args:
        function: what is computed.
        items: what it is computed of.
        workers: number of threads.
    """
    ahead = workers + 1
    with single_thread_pool(workers) as pool:
        futures = deque(pool.submit(function, item) for item in items[:ahead])
        for following in range(ahead, len(items) + ahead):
            result = futures.popleft().result()
            if following < len(items):
                futures.append(pool.submit(function, items[following]))
            yield result


def count_readers(device: str) -> int:
    """Return how many threads read images: one beside a CPU that computes itself, several beside an accelerator.

    Args:
        device: its type, such as "cuda".

    Examples:
        >>> count_readers("cpu")
        1
    """
    return 1 if device == "cpu" else max(1, min(READERS, (os.cpu_count() or 1) - 1))


def parallel_map(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call a function for each item, in as many threads as torch is set to use, one torch thread in each.

    Returns:
        The results in the order of the items; they do not depend on the number of threads.
    """
    import torch

    threads = torch.get_num_threads()
    if threads == 1:
        return [function(item) for item in items]
    with single_thread_pool(threads) as pool:
        return list(pool.map(function, items))


@cache
def keep_freed_memory() -> None:
    """Let glibc keep up to ``KEPT_BYTES`` of freed memory per arena for the lifetime of this process.

    The first access to a new page costs more than most work on it; without this, metrics take 1.5 times as long. Does
    nothing for another C library, or if the user has set ``MALLOC_TRIM_THRESHOLD_``.
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
