"""Options of ``interpfer prepare``."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.datasets.options import DataOptions
from interpfer.options import option


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(DataOptions):
    """Data set to prepare, and landmark file to write.

    Attributes:
        out: landmark file to write.
        seed: random seed of synthetic data sets.
    """

    out: str | Path | None = option(
        None, "Landmark file to write", kind="path", metavar="FILE", example="landmarks.txt", required=True
    )
    seed: int = option(0, "Random seed of synthetic data sets", kind="integer", metavar="N", example="1")
