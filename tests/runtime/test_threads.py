from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace

import pytest
import torch

from interpfer.runtime.threads import (
    KEPT_BYTES,
    LARGE_BLOCK,
    M_MMAP_THRESHOLD,
    M_TRIM_THRESHOLD,
    READERS,
    count_readers,
    keep_freed_memory,
    parallel_map,
    prefetch,
    single_thread_pool,
)


def test_results_keep_the_order_of_the_items(threads: int) -> None:
    assert parallel_map(lambda item: item * item, range(20)) == [item * item for item in range(20)]
    assert parallel_map(lambda item: item, []) == []
    assert torch.get_num_threads() == threads


def test_torch_uses_one_thread_in_each_pool_thread_and_as_many_as_before_elsewhere(threads: int) -> None:
    assert parallel_map(lambda _: torch.get_num_threads(), range(4)) == [1] * 4
    with single_thread_pool(2) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == threads
        with ThreadPoolExecutor(1) as beside:
            assert beside.submit(torch.get_num_threads).result() == threads
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == threads


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_prefetched_results_keep_their_order(count: int, workers: int, threads: int) -> None:
    results = prefetch(lambda item: (item, torch.get_num_threads()), range(count), workers)
    assert list(results) == [(item, 1) for item in range(count)]
    assert torch.get_num_threads() == threads


def test_several_workers_compute_at_the_same_time() -> None:
    meeting = Barrier(3, timeout=10)
    assert sorted(prefetch(lambda _: meeting.wait(), range(3), 3)) == [0, 1, 2]


def test_several_readers_are_for_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, expected in ((None, 1), (1, 1), (4, 3), (64, READERS)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert (count_readers("cpu"), count_readers("cuda")) == (1, expected)


@pytest.mark.usefixtures("threads")
def test_an_exception_in_a_thread_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        parallel_map(lambda item: 1 // item, [1, 0])


def test_freed_memory_is_kept_by_glibc_unless_the_user_set_a_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *choice: calls.append(choice))
    monkeypatch.setattr("ctypes.CDLL", lambda _: library)
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    keep_freed_memory.__wrapped__()
    assert calls == [(M_TRIM_THRESHOLD, KEPT_BYTES), (M_MMAP_THRESHOLD, LARGE_BLOCK)]
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    keep_freed_memory.__wrapped__()
    assert len(calls) == 2


def test_another_c_library_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: SimpleNamespace())
    keep_freed_memory.__wrapped__()
