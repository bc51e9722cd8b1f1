"""Rankings as LaTeX tables for a paper."""

from collections.abc import Sequence

from interpfer.reports.escape import latex
from interpfer.reports.leaderboard.entries import Ranking
from interpfer.reports.leaderboard.text import LABELS, cell, labels

PREAMBLE = "% \\usepackage{booktabs,longtable}\n"

LONG = 40
"""Largest number of lines of a table that stays on one page."""


def to_latex(rankings: Sequence[Ranking], wanted: Sequence[str] | None = None) -> str:
    r"""Return one booktabs table per ranking: mean \pm standard deviation over checkpoints, best values in bold."""
    return PREAMBLE + "\n".join(_table(ranking, ranking.select_metrics(wanted)) for ranking in rankings)


def _table(ranking: Ranking, metrics: Sequence[str]) -> str:
    heads = " & ".join(latex(head) for head in [*LABELS, *metrics]) + r" \\"
    caption = (
        rf"\caption{{{latex(ranking.title)}. {_counts(ranking)}Ranked by {latex(ranking.sort)}.{_over_seeds(ranking)}}}"
    )
    columns = f"rlll{'r' * len(metrics)}"
    is_long = len(ranking.entries) > LONG
    if is_long:
        lines = [rf"\begin{{longtable}}{{{columns}}}", rf"{caption} \\"]
        lines += [r"\toprule", heads, r"\midrule", r"\endfirsthead"]
        lines += [r"\toprule", heads, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
    else:
        lines = [r"\begin{table}", r"\centering", caption, rf"\begin{{tabular}}{{{columns}}}"]
        lines += [r"\toprule", heads, r"\midrule"]
    for entry in ranking.entries:
        cells = [latex(text) for text in labels(entry)]
        for name in metrics:
            text = cell(entry, name, r" \pm ")
            cells.append("" if not text else rf"$\mathbf{{{text}}}$" if ranking.is_best(entry, name) else f"${text}$")
        lines.append(" & ".join(cells) + r" \\")
    ends = [r"\end{longtable}"] if is_long else [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join([*lines, *ends, ""])


def _counts(ranking: Ranking) -> str:
    """Return the number of scored images of the entries, as a sentence."""
    counts = dict.fromkeys(entry.n for entry in ranking.entries if entry.n)
    return f"$n = {latex(' / '.join(counts))}$ scored images. " if counts else ""


def _over_seeds(ranking: Ranking) -> str:
    several = any(entry.model and entry.runs > 1 for entry in ranking.entries)
    return r" Mean $\pm$ standard deviation over checkpoints." if several else ""
