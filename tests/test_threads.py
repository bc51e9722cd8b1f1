from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from interpfer.threads import keep_memory, lone_threads, side_by_side


def test_results_keep_the_order_of_the_items(threads: int) -> None:
    assert side_by_side(lambda item: item * item, range(20)) == [item * item for item in range(20)]
    assert side_by_side(lambda item: item, []) == []
    assert torch.get_num_threads() == threads


def test_each_thread_counts_alone_and_others_as_before(threads: int) -> None:
    assert side_by_side(lambda _: torch.get_num_threads(), range(4)) == [1] * 4
    with lone_threads(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == threads


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    rows = torch.rand(6, 3, 100_000).unbind(0)
    usual = torch.get_num_threads()
    found = []
    for count in (1, 4):
        torch.set_num_threads(count)
        try:
            found.append(side_by_side(lambda part: part.sum(1), rows))
        finally:
            torch.set_num_threads(usual)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.usefixtures("threads")
def test_what_a_thread_raises_arrives() -> None:
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda item: 1 // item, [1, 0])


def test_memory_can_be_kept_anywhere() -> None:
    keep_memory.cache_clear()
    keep_memory()
    keep_memory()
