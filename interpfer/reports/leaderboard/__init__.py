"""Leaderboards: rows of many runs, merged, ranked where they may be compared, and written in several formats."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.reports.leaderboard.entries import Ranking

Format = Callable[["Sequence[Ranking]", "Sequence[str] | None"], str]
"""Function of rankings and metrics (None for those that suit the format) to the text of a file."""

FORMATS: "Registry[Format]" = Registry(
    "leaderboard format",
    "interpfer.reports",
    {
        "csv": "interpfer.reports.leaderboard.text:to_csv",
        "md": "interpfer.reports.leaderboard.text:to_markdown",
        "latex": "interpfer.reports.leaderboard.latex:to_latex",
        "bibtex": "interpfer.reports.leaderboard.bibliography:to_bibtex",
        "html": "interpfer.reports.leaderboard.page:to_html",
    },
)

SUFFIXES = {".csv": "csv", ".md": "md", ".tex": "latex", ".bib": "bibtex", ".html": "html", ".htm": "html"}
"""Suffix of a file -> its format."""
