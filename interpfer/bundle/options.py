"""Options of `interpfer bundle`."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class BundleOptions(Options):
    """What a bundle holds, and where it goes.

    Attributes:
        out: the zip file.
        faces: also include the photographs that runs keep for their reports.
        figures: include the figures of each run.
        seed: random seed of the comparisons.
    """

    out: str | Path = option(
        "study.zip", "Output file", kind="path", metavar="FILE.zip", example="study.zip", repeats=False
    )
    faces: bool = option(False, "Include photographs of faces, which runs keep for their reports", kind="switch")
    figures: bool = option(True, "Leave out the figures", kind="switch", flag="--no-figures")
    seed: int = option(0, "Random seed of the comparisons", kind="integer", metavar="N", example="1")
