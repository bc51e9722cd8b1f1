"""Small work on the cores of a CPU: pieces dealt out to threads, and memory that is kept.

An operation on a few canvases is too small to be divided among cores: they would wait for one another longer than they
work, above all while images are read beside them. Whole pieces of work are dealt out instead.
"""

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from threading import Barrier
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""
KEPT = 1 << 28
"""Bytes of freed memory that each arena of glibc keeps at most."""
LARGE = 1 << 25
"""Blocks of so many bytes are handed back in any case; glibc takes no more."""


@contextmanager
def lone_threads(count: int) -> Iterator[Executor]:
    """Yield threads beside this one, in each of which torch counts with that thread alone."""
    import torch

    usual, begun = torch.get_num_threads(), Barrier(count + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes over what was set last when it first asks, and never again
        begun.wait()

    with ThreadPoolExecutor(count, initializer=begin) as pool:
        for _ in range(count):
            pool.submit(int)  # work is what starts a thread
        begun.wait()
        torch.set_num_threads(usual)  # other threads to come begin with what was set last, whoever set it
        yield pool


def ahead(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield what a function makes of each item, made in a thread beside while the one before is worked on."""
    with lone_threads(1) as thread:
        waiting = [thread.submit(function, item) for item in items[:2]]
        for following in range(2, len(items) + 2):
            ready = waiting.pop(0).result()
            if following < len(items):
                waiting.append(thread.submit(function, items[following]))
            yield ready


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call a function for each item, in as many threads as torch counts with, each counting alone.

    Results keep the order of the items, and do not depend on the number of threads.
    """
    import torch

    threads = torch.get_num_threads()
    if threads == 1:
        return [function(item) for item in items]
    with lone_threads(threads) as pool:
        return list(pool.map(function, items))


@cache
def keep_memory() -> None:
    """Let glibc keep freed memory for the next use, ``KEPT`` an arena, for as long as this process lives.

    The first touch of a fresh page costs more than most work on it: without this, metrics take half as long again.
    Another C library is left alone, and so is a choice of the user's (``MALLOC_TRIM_THRESHOLD_``).
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, KEPT)
        library.mallopt(M_MMAP_THRESHOLD, LARGE)
