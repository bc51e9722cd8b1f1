"""Remembers what several metrics need of the same batch, such as a sort, for as long as the batch lives.

A metric stays a pure function of its tensors: what is remembered is looked up by the identity and the version of the
tensors, so a tensor that was written to is looked at anew. What carries gradients is never remembered.
"""

import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")
_Entry = tuple[tuple["weakref.ref[Tensor]", ...], tuple[int, ...], Any]


def cached_per_batch(function: Callable[..., T]) -> Callable[..., T]:
    """Let a pure function of one or more tensors compute once per batch."""
    known: dict[tuple[int, ...], _Entry] = {}

    @wraps(function)
    def call(*tensors: Tensor) -> T:
        for tensor in tensors:
            if tensor.requires_grad or tensor.is_inference():
                return function(*tensors)
        key = tuple(map(id, tensors))
        versions = tuple([tensor._version for tensor in tensors])
        held = known.get(key)
        if held and held[1] == versions and all([ref() is own for ref, own in zip(held[0], tensors, strict=True)]):
            result: T = held[2]
            return result
        result = function(*tensors)
        known[key] = tuple(weakref.ref(tensor, lambda _: known.pop(key, None)) for tensor in tensors), versions, result
        return result

    return call
