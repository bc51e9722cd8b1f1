"""Options of the faces, the same for every verb that reads a data set."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interpfer.options import Options, option

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Which faces, and where their landmarks come from.

    Attributes:
        dataset: name of a data set.
        data_root: the folder it lies in.
        split: its split.
        landmarks: a landmark file or the name of a provider; None for the data set's own, else the embedded network.
    """

    dataset: str | None = option(None, "Data set (see `ls datasets`)", metavar="NAME", example="csv", required=True)
    data_root: "str | Path | None" = option(None, "Folder of the data set", kind="path", metavar="DIR", example="faces")
    split: str = option("test", "Split of the data set", metavar="NAME", example="test")
    landmarks: str | None = option(
        None,
        "68 points per face; default: the data set's own, else detected",
        metavar="FILE|PROVIDER",
        example="landmarks.txt",
    )


@dataclass(frozen=True, kw_only=True)
class CheckDataOptions(DataOptions):
    """What `interpfer check-data` checks.

    Attributes:
        split: its split; None for all.
    """

    split: str | None = option(  # type: ignore[assignment]
        None, "One split; default: all", metavar="NAME", example="test"
    )
    landmarks: str | None = option(None, "Not used", flag="")
