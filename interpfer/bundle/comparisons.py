"""Every two runs of a bundle that were scored by the same rules, compared image by image."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from interpfer.bundle.run_members import BundledRun
from interpfer.errors import RunError
from interpfer.results.comparison import compare
from interpfer.runtime.progress import Progress, no_progress


@dataclass(frozen=True)
class PairedRuns:
    """A comparison of two runs.

    Attributes:
        a: the run to compare with.
        b: the other run.
        table: the result of ``interpfer.results.comparison.compare``; None where they cannot be compared.
        reason: why they cannot be compared; "" where they can.
    """

    a: BundledRun
    b: BundledRun
    table: pd.DataFrame | None
    reason: str = ""

    @property
    def name(self) -> str:
        """Name of the member, without its suffix."""
        return f"comparisons/{self.a.name}--{self.b.name}"


def compare_pairs(runs: Sequence[BundledRun], seed: int, progress: Progress = no_progress) -> list[PairedRuns]:
    """Compare every pair of runs.

    Args:
        runs: the runs, in order; the earlier one of a pair is the one to compare with.
        seed: random seed of bootstrap and tests.
        progress: called after each pair.

    Returns:
        One value per pair. Runs that were scored by different rules, or share no image or map, are not compared, and
        the reason is the message of ``compare``.
    """
    pairs: list[PairedRuns] = []
    every = list(combinations(runs, 2))
    for a, b in every:
        try:
            pairs.append(PairedRuns(a, b, compare(a.run, b.run, seed)))
        except RunError as error:
            pairs.append(PairedRuns(a, b, None, str(error)))
        progress("pairs", len(pairs), len(every))
    return pairs
