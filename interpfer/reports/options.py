"""Options of `interpfer report`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpfer.options import Options, option


@dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """What a report shows, and where it goes.

    Attributes:
        out: the page; None for report.html in the run folder, or comparison.html of several runs.
        figures: also write the figures into each run folder.
        groups: name of the group of each run, such as the training whose seeds they are; None for no groups.
        names: name of each run on the page, a list or one comma-separated text; None for the names of the folders.
    """

    out: str | Path | None = option(
        None,
        "Output file; default: RUN/report.html, or comparison.html for several runs",
        kind="path",
        metavar="FILE.html",
        example="before-after.html",
        repeats=False,
    )
    figures: bool = option(False, "Also write the figures into RUN/figures (PDF, SVG, PNG)", kind="switch")
    groups: str | Sequence[str] | None = option(
        None, "Group of each run, to compare groups of seeds as well", kind="names", metavar="LIST",
        example="plain,plain,guided,guided",
    )  # fmt: skip
    names: str | Sequence[str] | None = option(
        None, "Names of the runs on the page", kind="names", metavar="LIST", example="before,after"
    )
