"""The ranking of the runs of a bundle, in every format that papers need."""

from collections.abc import Sequence

from interpfer.reports.escape import plain
from interpfer.reports.leaderboard import FORMATS
from interpfer.reports.leaderboard.bibliography import to_bibtex
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import read_rows
from interpfer.reports.page.provenance import PAPER
from interpfer.results.run import Run
from interpfer.results.sources import read_sources

FILES = {"csv": "ranking.csv", "latex": "table.tex", "html": "leaderboard.html"}
"""Format of a leaderboard -> name of the member."""


def board_members(runs: Sequence[Run]) -> dict[str, bytes]:
    """Return the ranking of runs as CSV, LaTeX and a page, and the references to cite as BibTeX."""
    table = read_rows([run.path for run in runs if run.path is not None])
    metrics = dict.fromkeys(str(name) for run in runs for name in run.scores["metric"])
    board = rank_rows(table, "cosine" if "cosine" in metrics else next(iter(metrics)))
    members = {f"leaderboard/{name}": FORMATS.get(kind)(board.rankings, None).encode() for kind, name in FILES.items()}
    references = [_list_sources(runs), PAPER, to_bibtex(board.rankings)]
    members["leaderboard/references.bib"] = "\n".join(references).encode()
    return members


def _list_sources(runs: Sequence[Run]) -> str:
    """Return the reference of each map and metric, outside of any entry, where BibTeX passes over all but ``@``."""
    sources = {name: source for run in runs for name, source in read_sources(run.manifest).items()}
    return "".join(f"% {plain(f'{name}: {source}')}\n".replace("@", " at ") for name, source in sources.items())
