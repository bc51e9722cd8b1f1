"""Cache of what several metrics compute of the same batch, such as a histogram, for as long as the batch lives.

A metric stays a pure function of its tensors: results are looked up by the identity and the version of the tensors, so
that a tensor that was written to is computed again. Tensors with gradients are never cached.
"""

import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")
_Entry = tuple[tuple["weakref.ref[Tensor]", ...], tuple[int, ...], Any]


def cached_per_batch(function: Callable[..., T]) -> Callable[..., T]:
    """Make a pure function of one or more tensors compute once per batch.

    Examples:
        >>> import torch
        >>> @cached_per_batch
        ... def total(maps):
        ...     print("computed")
        ...     return maps.sum().item()
        >>> maps = torch.ones(2, 2)
        >>> total(maps) + total(maps)
        computed
        8.0
    """
    cache: dict[tuple[int, ...], _Entry] = {}

    @wraps(function)
    def call(*tensors: Tensor) -> T:
        for tensor in tensors:
            if tensor.requires_grad or tensor.is_inference():
                return function(*tensors)
        key = tuple(map(id, tensors))
        versions = tuple([tensor._version for tensor in tensors])
        entry = cache.get(key)
        if entry and entry[1] == versions and all([ref() is own for ref, own in zip(entry[0], tensors, strict=True)]):
            result: T = entry[2]
            return result
        result = function(*tensors)
        cache[key] = tuple(weakref.ref(tensor, lambda _: cache.pop(key, None)) for tensor in tensors), versions, result
        return result

    return call
