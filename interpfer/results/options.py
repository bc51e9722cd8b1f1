"""Options of `interpfer compare`."""

from collections.abc import Sequence
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
        maps: maps to compare, a list or one comma-separated text; None for all.
        layers: layers to compare: "last", "all", or names; None for all.
        metrics: metrics to compare, "accuracy" among them; None for all.
        unpaired: compare runs on different images.
        stability: report how stable the order of models and maps is, of two runs or more.
        by: attributes, comma-separated, in whose groups of images two runs are compared; None for all images.
        min_group: smallest number of images of such a group.
        out: a CSV file; None for none.
    """

    run_a: str | Path | None = option(None, "First run folder", kind="path", metavar="[RUN_A]", flag="")
    run_b: str | Path | None = option(None, "Second run folder", kind="path", metavar="[RUN_B]", flag="")
    seed: int = option(0, "Random seed of bootstrap and tests", kind="integer", metavar="N", example="1")
    maps: str | Sequence[str] | None = option(
        None, "Maps to compare; p-values are adjusted for these lines alone", kind="names", metavar="LIST",
        example="gradcam,attention",
    )  # fmt: skip
    layers: str | Sequence[str] | None = option(
        None, "Layers to compare: last, all, or names", kind="names", metavar="LIST", example="last"
    )
    metrics: str | Sequence[str] | None = option(
        None, "Metrics to compare, accuracy among them", kind="names", metavar="LIST", example="accuracy,cosine"
    )
    unpaired: bool = option(False, "Compare runs on different images", kind="switch")
    stability: bool = option(False, "Report how stable the order of models and maps is; for any number of runs",
                             kind="switch")  # fmt: skip
    by: str | None = option(
        None, "Compare in each group of images by these columns", metavar="COLUMN,...", example="gender,age"
    )
    min_group: int = option(
        10, "Smallest number of images of a group of --by", kind="integer", metavar="N", example="30", least=2
    )
    out: str | Path | None = option(
        None, "CSV file to write as well", kind="path", metavar="FILE", example="compare.csv", repeats=False
    )
