import torch
from torch import Tensor

from interpfer.metrics.caching import cached_per_batch


def test_results_are_cached_until_a_tensor_is_written_to_or_freed() -> None:
    calls = []

    @cached_per_batch
    def total(maps: Tensor) -> Tensor:
        calls.append(len(maps))
        return maps.sum()

    maps = torch.ones(2, 2)
    assert total(maps) == total(maps) == 4
    assert len(calls) == 1
    maps += 1
    assert total(maps) == 8
    del maps
    assert total(torch.zeros(2, 2)) == 0
    assert len(calls) == 3


def test_tensors_with_gradients_are_not_cached() -> None:
    calls = []

    @cached_per_batch
    def total(maps: Tensor) -> Tensor:
        calls.append(len(maps))
        return maps.sum()

    maps = torch.ones(2, 2, requires_grad=True)
    total(maps)
    total(maps).backward()
    assert len(calls) == 2
    assert maps.grad is not None
