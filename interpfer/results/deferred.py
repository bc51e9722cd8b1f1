"""A table that is made when it is first asked for: that of many images is large."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd


class DeferredTable:
    """A table that is made when it is first asked for.

    Args:
        make: function that makes it.
    """

    def __init__(self, make: Callable[[], pd.DataFrame]) -> None:
        self.make = make


if TYPE_CHECKING:
    Table = pd.DataFrame  # what is read is a table
else:
    Table = pd.DataFrame | DeferredTable


class Deferrable:
    """An attribute that is a table, or a ``DeferredTable`` until it is asked for.

    Args:
        name: of the attribute.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: object, owner: type | None = None) -> Any:
        values = vars(run)
        if isinstance(values[self._name], DeferredTable):
            values[self._name] = values[self._name].make()
        return values[self._name]

    def __set__(self, run: object, table: Any) -> None:
        vars(run)[self._name] = table
