"""Randomness in a training: a step's draws follow from its position, and the caller's generators are left alone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def step_seed(seed: int, epoch: int, step: int, rank: int) -> int:
    """Return the seed of everything random in a step."""
    return int(np.random.SeedSequence([seed, epoch, step, rank]).generate_state(1)[0])


@contextmanager
def own_randomness() -> Iterator[None]:
    """Restore the global generators of python, numpy and torch afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
