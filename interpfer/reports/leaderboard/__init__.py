"""The leaderboard as people read it: rows merged, ranked where they may be compared, and written in several formats."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.reports.leaderboard.ranking import Ranking

Format = Callable[["Sequence[Ranking]", "Sequence[str] | None"], str]
"""From rankings and the metrics to show (None: what suits the format) to the text of a file."""

FORMATS: "Registry[Any]" = Registry(
    "leaderboard format",
    "interpfer.reports",
    {
        "csv": "interpfer.reports.leaderboard.text:to_csv",
        "md": "interpfer.reports.leaderboard.text:to_markdown",
        "latex": "interpfer.reports.leaderboard.latex:to_latex",
        "html": "interpfer.reports.leaderboard.page:to_html",
    },
)

SUFFIXES = {".csv": "csv", ".md": "md", ".tex": "latex", ".html": "html", ".htm": "html"}
"""The format that the name of a file asks for."""
