from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from interpfer.runtime.threads import (
    KEPT,
    LARGE,
    M_MMAP_THRESHOLD,
    M_TRIM_THRESHOLD,
    ahead,
    keep_memory,
    lone_threads,
    side_by_side,
)


def test_results_keep_the_order_of_the_items(threads: int) -> None:
    assert side_by_side(lambda item: item * item, range(20)) == [item * item for item in range(20)]
    assert side_by_side(lambda item: item, []) == []
    assert torch.get_num_threads() == threads


def test_each_thread_counts_alone_and_others_as_before(threads: int) -> None:
    assert side_by_side(lambda _: torch.get_num_threads(), range(4)) == [1] * 4
    with lone_threads(2) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == threads
        with ThreadPoolExecutor(1) as beside:
            assert beside.submit(torch.get_num_threads).result() == threads
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == threads


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_what_is_made_ahead_keeps_its_order(count: int, threads: int) -> None:
    made = ahead(lambda item: (item, torch.get_num_threads()), range(count))
    assert list(made) == [(item, 1) for item in range(count)]
    assert torch.get_num_threads() == threads


@pytest.mark.usefixtures("threads")
def test_what_a_thread_raises_arrives() -> None:
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda item: 1 // item, [1, 0])


def test_freed_memory_is_kept_by_glibc_unless_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *choice: said.append(choice))
    monkeypatch.setattr("ctypes.CDLL", lambda _: library)
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    keep_memory.__wrapped__()
    assert said == [(M_TRIM_THRESHOLD, KEPT), (M_MMAP_THRESHOLD, LARGE)]
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    keep_memory.__wrapped__()
    assert len(said) == 2


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: SimpleNamespace())
    keep_memory.__wrapped__()
