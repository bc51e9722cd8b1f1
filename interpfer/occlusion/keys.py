"""Random numbers of a face: a function of its name, the seed of the run and the use, whatever else is drawn."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

_STEP, _FIRST, _SECOND = (np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True)
class Keys:
    """Source of the random numbers of n faces.

    Attributes:
        bits: (n,) 64 bits per face.
    """

    bits: NDArray[np.uint64]

    @classmethod
    def of(cls, ids: Sequence[str], seed: int, use: str) -> "Keys":
        """Return the keys of faces.

        Args:
            ids: names of the faces.
            seed: random seed of the run.
            use: what is drawn, so that two occluders of one face are independent.

        Examples:
            >>> both = Keys.of(["a.png", "b.png"], 0, "patches").uniform(2)
            >>> bool((both[1:] == Keys.of(["b.png"], 0, "patches").uniform(2)).all())
            True
        """
        digests = [hashlib.blake2b(f"{seed}\n{use}\n{name}".encode(), digest_size=8).digest() for name in ids]
        return cls(np.frombuffer(b"".join(digests), np.uint64).copy())

    def uniform(self, count: int, offset: int = 0) -> Float[Tensor, "n {count}"]:
        """Return ``count`` numbers in [0, 1) per face (SplitMix64, Steele et al. 2014).

        Args:
            count: of numbers.
            offset: how many numbers of the same face come before.
        """
        steps = np.arange(offset + 1, offset + count + 1, dtype=np.uint64)
        with np.errstate(over="ignore"):
            mixed = self.bits[:, None] + steps * _STEP
            mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
            mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
            mixed ^= mixed >> np.uint64(31)
        return torch.from_numpy((mixed >> np.uint64(11)).astype(np.float64) / 2**53)

    def pick(self, count: int, offset: int = 0) -> Int[Tensor, " n"]:
        """Return a whole number below ``count`` per face; ``offset`` as for ``uniform``."""
        return (self.uniform(1, offset)[:, 0] * count).long()
