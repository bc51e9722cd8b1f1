"""The table of ``benchmarks.table1`` as Markdown and LaTeX, in the paper's shape."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table1_study import PAPER

TITLES = {
    "cam": "CAM", "wildcat": "WILDCAT", "gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "acol": "ACoL", "prm": "PRM",
    "adl": "ADL", "cutmix": "CutMix", "ts-cam": "TS-CAM", "layercam": "LayerCAM", "apvit": "APViT",
}  # fmt: skip

HEADER = ("method", "network", "accuracy", "CAM-COS", "ATT-COS", "gain accuracy", "gain CAM-COS", "gain ATT-COS",
          "paper: accuracy, CAM-COS, ATT-COS")  # fmt: skip


def table_lines(rows: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return header and lines of the table as text: without -> with, gains with half of their intervals.

    Args:
        rows: one row per training and method.
        summary: as ``summarise`` returns it.
    """
    lines: list[tuple[str, ...]] = [HEADER]
    for name in ("uniform", "class-mean-au"):
        value = float(np.mean([row[f"{name}_cos"] for row in rows]))
        lines.append((f"baseline: {name}", "", "", _number(value), _number(value), "", "", "", ""))
    for line in summary:
        values = [_pair(line, name) for name in ("accuracy", "cam_cos", "att_cos")]
        gains = [_gain(line, name) for name in ("accuracy", "cam_cos", "att_cos")]
        paper = PAPER.get(line["method"], ())
        beside = ", ".join(f"{paper[i]:g} -> {paper[i + 1]:g}" for i in range(0, len(paper), 2))
        lines.append((TITLES[line["method"]], str(line["network"]), *values, *gains, beside))
    return lines


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


def _pair(line: Mapping[str, Any], name: str) -> str:
    return f"{_number(line.get(f'{name}_without'))} -> {_number(line.get(f'{name}_with'))}"


def _gain(line: Mapping[str, Any], name: str) -> str:
    gain, reach = line.get(f"{name}_gain_with"), line.get(f"{name}_gain_with_reach")
    return f"{_number(gain, '+')} ± {_number(reach)}"


def _number(value: float | None, sign: str = "") -> str:
    """Return a number with three digits; "-" where it is undefined."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:{sign}.3f}".replace("0.", ".", 1)
