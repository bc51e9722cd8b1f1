"""Options of `interpfer leaderboard`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpfer.choices import PIVOTS
from interpfer.options import Options, option
from interpfer.reports.leaderboard import FORMATS


@dataclass(frozen=True, kw_only=True)
class LeaderboardOptions(Options):
    """How rows are ranked, and where the ranking goes.

    Attributes:
        maps: names of maps to show; None for all.
        layers: names of layers to show; None for all.
        models: names of models to show; None for all.
        best_layer: show each map of a model at its best layer alone.
        pivot: what the columns of a table of one metric are; None for a ranking.
        decimals: decimal places; None for those of each metric.
        sort: metric of the ranks.
        metrics: metrics to show, a list or one comma-separated text; None for those that suit the format.
        format: name of a format; None for that of ``out``, else a table for the terminal.
        out: output file; None for stdout.
        each: one line per checkpoint, instead of the mean over the checkpoints of one name.
    """

    maps: str | Sequence[str] | None = option(
        None, "Maps to show; baselines for all baselines", kind="names", metavar="LIST", example="gradcam,baselines"
    )
    layers: str | Sequence[str] | None = option(
        None, "Layers to show", kind="names", metavar="LIST", example="layer3,layer4"
    )
    models: str | Sequence[str] | None = option(None, "Models to show", kind="names", metavar="LIST", example="a,b")
    best_layer: bool = option(False, "Each map of a model at its best layer alone", kind="switch")
    pivot: str | None = option(None, "One metric (--sort) as a table of models by these", choices=PIVOTS)
    decimals: int | None = option(
        None, "Decimal places; default: those of each metric", kind="integer", metavar="N", example="2", least=0, most=6
    )
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
