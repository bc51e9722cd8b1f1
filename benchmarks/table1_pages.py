"""The table of ``benchmarks.table1`` as Markdown and LaTeX, in the paper's shape."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table1_study import GUIDES, PAPER

TITLES = {
    "cam": "CAM", "wildcat": "WILDCAT", "gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "acol": "ACoL", "prm": "PRM",
    "adl": "ADL", "cutmix": "CutMix", "ts-cam": "TS-CAM", "layercam": "LayerCAM", "apvit": "APViT",
}  # fmt: skip

COLUMNS = {
    "accuracy": "accuracy", "CAM-COS": "cam_cos", "ATT-COS": "att_cos", "CAM skill": "cam_skill",
    "ATT skill": "att_skill", "CAM ins - del": "cam_faithful", "ATT ins - del": "att_faithful",
}  # fmt: skip
"""Title -> measure; each without -> with guidance, and the half of its interval."""

GAINS = ("accuracy", "CAM-COS", "ATT-COS", "CAM ins - del")
"""Columns whose gain by guidance has a column too."""

HEADER = ("method", "network", *COLUMNS, *(f"gain {title}" for title in GAINS), "paper: accuracy, CAM-COS, ATT-COS")


def table_lines(rows: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return header and lines of the table as text: without -> with, each with half of its 95 % interval.

    Args:
        rows: one row per training and method.
        summary: as ``summarise`` returns it.
    """
    lines: list[tuple[str, ...]] = [HEADER]
    for name in ("uniform", "class-mean-au"):
        cosine = _number(float(np.mean([row[f"{name}_cos"] for row in rows])))
        lines.append((f"baseline: {name}", "", "", cosine, cosine, *[""] * (len(HEADER) - 5)))
    chance = float(np.mean([row["majority"] for row in rows]))
    lines.append(("baseline: most frequent class", "", _number(chance), *[""] * (len(HEADER) - 3)))
    for line in summary:
        guides = [guide for guide in GUIDES if f"accuracy_{guide}" in line]
        values = [" -> ".join(_value(line, f"{name}_{guide}") for guide in guides) for name in COLUMNS.values()]
        gained = [guide for guide in guides if guide != "without"]
        gains = [
            " -> ".join(_value(line, f"{COLUMNS[title]}_gain_{guide}", "+") for guide in gained) for title in GAINS
        ]
        paper = PAPER.get(line["method"], ())
        beside = ", ".join(f"{_text(paper[i])} -> {_text(paper[i + 1])}" for i in range(0, len(paper), 2))
        network = str(line["network"]) + (", at chance" if _is_at_chance(line, guides, chance) else "")
        lines.append((TITLES[line["method"]], network, *values, *gains, beside))
    return lines


def _is_at_chance(line: Mapping[str, Any], guides: Sequence[str], chance: float) -> bool:
    """Return whether no training of a method is surely more accurate than the most frequent class."""
    least = [line[f"accuracy_{guide}"] - np.nan_to_num(line[f"accuracy_{guide}_reach"]) for guide in guides]
    return bool(max(least) <= chance)


def write_pages(path: Path, rows: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]]) -> None:
    """Write PATH.md and PATH.tex."""
    header, *lines = table_lines(rows, summary)
    markdown = [f"| {' | '.join(line)} |" for line in (header, ("---",) * len(header), *lines)]
    path.with_suffix(".md").write_text("\n".join(markdown) + "\n", encoding="utf-8")
    tex = [r"\begin{tabular}{ll" + "c" * (len(header) - 2) + "}", r"\toprule"]
    tex += [" & ".join(header) + r" \\", r"\midrule"]
    tex += [
        " & ".join(line).replace("->", r"$\rightarrow$").replace("±", r"$\pm$").replace("_", r"\_") + r" \\"
        for line in lines
    ]
    tex += [r"\bottomrule", r"\end{tabular}"]
    path.with_suffix(".tex").write_text("\n".join(tex) + "\n", encoding="utf-8")


def _value(line: Mapping[str, Any], name: str, sign: str = "") -> str:
    """Return a mean and half of its interval, which one seed has not."""
    mean, reach = line.get(name), line.get(f"{name}_reach")
    if reach is None or math.isnan(reach):
        return _number(mean, sign)
    return f"{_number(mean, sign)} ± {_number(reach)}"


def _number(value: float | None, sign: str = "") -> str:
    """Return a number with three digits; "-" where it is undefined."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:{sign}.3f}".replace("0.", ".", 1)


def _text(value: float) -> str:
    """Return a number of the paper as it has it; "-" where it has none."""
    return "-" if math.isnan(value) else f"{value:g}"
