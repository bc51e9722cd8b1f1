"""Shares of a plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.errors import InterpferError
from interpfer.runtime.shards import Shard


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 7))
def test_shares_are_disjoint_complete_and_made_of_whole_batches(items: int, count: int, size: int) -> None:
    everything = list(range(items))
    shares = [Shard(index, count).share(everything, size) for index in range(count)]
    assert sorted(item for share in shares for item in share) == everything
    batches = {tuple(everything[start : start + size]) for start in range(0, items, size)}
    found = [tuple(share[start : start + size]) for share in shares for start in range(0, len(share), size)]
    assert sorted(found) == sorted(batches)
    assert max(map(len, shares)) - min(map(len, shares)) <= size


def test_a_shard_is_read_from_text_and_numbers() -> None:
    assert Shard.of("1/3") == Shard.of((1, 3)) == Shard.of(Shard(1, 3)) == Shard(1, 3)
    assert str(Shard.of(" 0 / 10 ")) == "0/10"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3/3", "shard must be one of 0/3 to 2/3, got '3/3'"),
        ("1", "shard must be I/N such as 0/3, got '1'"),
        ("-1/3", "shard must be I/N such as 0/3, got '-1/3'"),
        ("1/3/5", "shard must be I/N such as 0/3"),
        ((-1, 3), "shard must be I/N such as 0/3"),
        ("0/0", "shard must be I/N with N at least 1, got '0/0'"),
    ],
)
def test_other_values_are_refused(value: str | tuple[int, int], message: str) -> None:
    with pytest.raises(InterpferError, match=message):
        Shard.of(value)
