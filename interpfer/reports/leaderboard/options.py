"""Options of `interpfer leaderboard`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpfer.options import Options, option
from interpfer.reports.leaderboard import FORMATS


@dataclass(frozen=True, kw_only=True)
class LeaderboardOptions(Options):
    """How rows are ranked, and where the ranking goes.

    Attributes:
        sort: metric of the ranks.
        metrics: metrics to show, a list or one comma-separated text; None for those that suit the format.
        format: name of a format; None for that of ``out``, else a table for the terminal.
        out: output file; None for stdout.
        each: one line per checkpoint, instead of the mean over the checkpoints of one name.
    """

    sort: str = option("cosine", "Metric to rank by", metavar="METRIC", example="pxap")
    metrics: str | Sequence[str] | None = option(
        None, "Metrics to show", kind="names", metavar="LIST", example="accuracy,cosine,pxap"
    )
    format: str | None = option(
        None,
        f"Output format: {', '.join(FORMATS)}; default: a table for the terminal",
        metavar="NAME",
        example="latex",
    )
    out: str | Path | None = option(
        None,
        "Output file; its suffix may set the format",
        kind="path",
        metavar="FILE",
        example="board.html",
        repeats=False,
    )
    each: bool = option(
        False, "One line per checkpoint, instead of the mean over the checkpoints of one name", kind="switch"
    )
