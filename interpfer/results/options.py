"""Options of `interpfer compare`."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class CompareOptions(Options):
    """Which runs are compared, and where the comparison goes.

    Attributes:
        run_a: folder of the run to compare with.
        run_b: folder of the other run.
        seed: random seed of bootstrap and tests.
        stability: report how stable the order of models and maps is, of two runs or more.
        out: a CSV file; None for none.
    """

    run_a: str | Path | None = option(None, "First run folder", kind="path", metavar="RUN_A", flag="", required=True)
    run_b: str | Path | None = option(None, "Second run folder", kind="path", metavar="RUN_B", flag="", required=True)
    seed: int = option(0, "Random seed of bootstrap and tests", kind="integer", metavar="N", example="1")
    stability: bool = option(False, "Report how stable the order of models and maps is; for any number of runs",
                             kind="switch")  # fmt: skip
    out: str | Path | None = option(
        None, "CSV file to write as well", kind="path", metavar="FILE", example="compare.csv", repeats=False
    )
