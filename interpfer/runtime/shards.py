"""Shares of one plan that are scored apart, and merged later."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from interpfer.errors import InterpferError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of several shares.

    Attributes:
        index: which one, from 0.
        count: number of shares.

    Examples:
        >>> Shard.of("1/3").share("abcdefgh", group_size=2)
        ['c', 'd']
        >>> Shard.of((0, 3)).share("abcdefgh", group_size=2)
        ['a', 'b', 'g', 'h']
    """

    index: int
    count: int

    @classmethod
    def of(cls, value: "str | Sequence[int] | Shard") -> "Shard":
        """Read ``I/N``, or the pair of both numbers.

        Raises:
            InterpferError: it is neither, or I is not below N.
        """
        if isinstance(value, Shard):
            return value
        parts = value.split("/") if isinstance(value, str) else list(value)
        if len(parts) != 2 or not all(str(part).strip().isdecimal() for part in parts):
            raise InterpferError(f"shard must be I/N such as 0/3, got '{value}'.")
        index, count = map(int, parts)
        if count < 1:
            raise InterpferError(f"shard must be I/N with N at least 1, got '{value}'.")
        if index >= count:
            raise InterpferError(f"shard must be one of 0/{count} to {count - 1}/{count}, got '{index}/{count}'.")
        return cls(index, count)

    def share(self, items: Sequence[T], group_size: int) -> list[T]:
        """Return the items of this share.

        Args:
            items: those of all shares.
            group_size: number of consecutive items that stay together; the groups alternate between the shares.
        """
        groups = [items[start : start + group_size] for start in range(0, len(items), group_size)]
        return [item for group in groups[self.index :: self.count] for item in group]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
