"""Rankings as LaTeX tables for a paper."""

from collections.abc import Sequence

from interpfer.reports.escape import latex
from interpfer.reports.leaderboard.entries import Ranking
from interpfer.reports.leaderboard.text import LABELS, cell, labels

PREAMBLE = "% \\usepackage{booktabs}\n"


def to_latex(rankings: Sequence[Ranking], wanted: Sequence[str] | None = None) -> str:
    r"""Return one booktabs table per ranking: mean \pm standard deviation over checkpoints, best values in bold."""
    return PREAMBLE + "\n".join(_table(ranking, ranking.select_metrics(wanted)) for ranking in rankings)


def _table(ranking: Ranking, metrics: Sequence[str]) -> str:
    heads = [*LABELS, *metrics]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex(ranking.title)}. Ranked by {latex(ranking.sort)}.{_over_seeds(ranking)}}}",
        rf"\begin{{tabular}}{{rlll{'r' * len(metrics)}}}",
        r"\toprule",
        " & ".join(latex(head) for head in heads) + r" \\",
        r"\midrule",
    ]
    for entry in ranking.entries:
        cells = [latex(text) for text in labels(entry)]
        for name in metrics:
            text = cell(entry, name, r" \pm ")
            cells.append("" if not text else rf"$\mathbf{{{text}}}$" if ranking.is_best(entry, name) else f"${text}$")
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _over_seeds(ranking: Ranking) -> str:
    several = any(entry.model and entry.runs > 1 for entry in ranking.entries)
    return r" Mean $\pm$ standard deviation over checkpoints." if several else ""
