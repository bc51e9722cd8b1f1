"""Filters, pivots, long tables and BibTeX of a leaderboard."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from interpfer.cli import group
from interpfer.errors import RunError
from interpfer.reports.leaderboard import FORMATS
from interpfer.reports.leaderboard.bibliography import make_entry, to_bibtex
from interpfer.reports.leaderboard.pivot import make_pivots, pivot_to_csv, pivot_to_latex, pivot_to_markdown
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.selection import keep_best_layers, select_rows, with_decimals

RULES = {"dataset": "csv", "split": "test", "protocol": "paper", "target": "label", "n": "9", "dataset_digest": "d"}


def table(*lines: tuple[str, str, str, float], **more: str) -> pd.DataFrame:
    """Return rows of (model, map, layer, cosine)."""
    rows = [
        RULES | {"model": model, "map": name, "layer": layer, "cosine": str(value), "checkpoint_sha256": model} | more
        for model, name, layer, value in lines
    ]
    return pd.DataFrame(rows)


LINES = (
    ("a", "gradcam", "l3", 0.5),
    ("a", "gradcam", "l4", 0.4),
    ("a", "layercam", "l4", 0.6),
    ("b", "gradcam", "l3", 0.3),
    ("b", "gradcam", "l4", 0.7),
    ("a", "baseline:center", "-", 0.55),
    ("b", "baseline:center", "-", 0.55),
)


def test_maps_layers_and_models_are_filtered() -> None:
    rows = select_rows(table(*LINES), ["gradcam", "baselines"], ["l4"], None)
    assert list(zip(rows["model"], rows["map"], rows["layer"], strict=True)) == [
        ("a", "gradcam", "l4"),
        ("b", "gradcam", "l4"),
        ("a", "baseline:center", "-"),
        ("b", "baseline:center", "-"),
    ]
    assert set(select_rows(table(*LINES), models=["b"])["model"]) == {"b"}
    with pytest.raises(RunError, match="no row has the map 'gradcm'. Did you mean gradcam"):
        select_rows(table(*LINES), ["gradcm"])
    with pytest.raises(RunError, match="no row has the layer 'l5'"):
        select_rows(table(*LINES), None, ["l5"])


def test_the_best_layer_is_kept_and_said_to_be_chosen() -> None:
    (ranking,) = keep_best_layers(rank_rows(table(*LINES))).rankings
    found = [(entry.rank, entry.model, entry.map, entry.layer) for entry in ranking.entries]
    assert found == [
        (1, "b", "gradcam", "l4"),
        (2, "a", "layercam", "l4"),
        (None, "", "baseline:center", "-"),
        (3, "a", "gradcam", "l3"),
    ]
    assert ranking.notes[-1].startswith("the best layer of each map was chosen by cosine on these images")


def test_a_pivot_of_maps_has_a_line_per_model() -> None:
    board = keep_best_layers(rank_rows(table(*(line for line in LINES if line[2] != "l3"))))
    (pivot,) = make_pivots(board.rankings, "maps", "cosine")
    assert pivot.heads == ("model", "gradcam", "layercam", "baseline:center")
    assert dict((row[0], row[1:]) for row in pivot.rows) == {
        "b": ("0.700", "", ""),
        "a": ("0.400", "0.600", ""),
        "-": ("", "", "0.550"),
    }
    best = {(pivot.rows[row][0], pivot.heads[column]) for row, column in pivot.best}
    assert best == {("b", "gradcam"), ("a", "layercam")}
    assert pivot_to_csv([pivot]).splitlines()[0] == "model,gradcam,layercam,baseline:center"
    assert "**0.700**" in pivot_to_markdown([pivot])
    text = pivot_to_latex([pivot])
    assert r"b & $\mathbf{0.700}$ &  &  \\" in text
    assert text.count(r"\begin{tabular}{lrrr}") == text.count(r"\end{tabular}") == 1


def test_pivots_of_layers_and_of_protocols() -> None:
    (pivot,) = make_pivots(rank_rows(table(*LINES)).rankings, "layers", "cosine")
    assert pivot.heads[:2] == ("model", "map")
    cells = {row[:2]: dict(zip(pivot.heads[2:], row[2:], strict=True)) for row in pivot.rows}
    assert cells["a", "gradcam"] == {"l3": "0.500", "l4": "0.400", "-": ""}
    both = pd.concat([table(*LINES), table(("a", "gradcam", "l4", 0.9), protocol="corrected")])
    (pivot,) = make_pivots(rank_rows(both).rankings, "protocols", "cosine")
    assert pivot.heads == ("model", "map", "layer", "paper", "corrected")
    assert ("a", "gradcam", "l4", "0.400", "0.900") in pivot.rows


def test_decimals_and_captions_and_a_long_table() -> None:
    lines = [(f"m{place}", "gradcam", "l4", place / 100) for place in range(60)]
    more = {"dataset_name": "clinic_2026", "landmarks": "points.txt", "codebook": "emfacs"}
    board = with_decimals(rank_rows(table(*lines, **more)), 1)
    text = FORMATS.get("latex")(board.rankings, None)
    assert text.count(r"\begin{longtable}{rlllr}") == text.count(r"\end{longtable}") == 1
    assert r"\begin{table}" not in text
    for end in (r"\endfirsthead", r"\endhead", r"\endfoot"):
        assert text.count(end) == 1
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    for words in (r"clinic\_2026 test", "protocol paper", "codebook emfacs", "landmarks points.txt", "$n = 9$ scored"):
        assert words in caption
    body = text.split(r"\endfoot")[1].split(r"\end{longtable}")[0].strip().splitlines()
    assert len(body) == 60
    assert all(line.count(" & ") == 4 and line.endswith(r"\\") for line in body)
    assert re.search(r"m59 & gradcam & l4 & \$\\mathbf\{0\.6\}\$", text)


def test_bibtex_has_the_tool_and_each_source_once() -> None:
    text = to_bibtex(rank_rows(table(*LINES)).rankings)
    assert text.startswith("@misc{interpfer,")
    assert text.count("eprint        = {1610.02391}") == 1
    assert "for gradcam}" in text
    assert text.count("@") == text.count("\n}") == 4  # the tool, two maps, cosine
    keys = re.findall(r"@\w+\{([^,]+),", text)
    assert len(set(keys)) == len(keys)
    assert "doi    = {10.1109/TIP.2003.819861}" in make_entry("Wang et al. 2004, doi 10.1109/TIP.2003.819861", ["ssim"])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex with booktabs")
def test_latex_compiles(tmp_path: Path) -> None:
    lines = [(f"m_{place}", "gradcam++", "blocks.3", place / 100) for place in range(60)]
    rankings = rank_rows(
        pd.concat([table(*LINES), table(*lines, protocol="corrected", dataset_name="50 % & more")])
    ).rankings
    parts = [FORMATS.get("latex")(rankings, None), pivot_to_latex(make_pivots(rankings, "protocols", "cosine"))]
    head = "\\documentclass{article}\\usepackage{booktabs,longtable}\\begin{document}\n"
    (tmp_path / "table.tex").write_text("\n".join([head, *parts, "\\end{document}"]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 1000


def invoke(*args: object) -> Result:
    return CliRunner().invoke(group, ["leaderboard", *map(str, args)])


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    table(*LINES).to_csv(path, index=False)
    done = invoke(path, "--maps", "gradcam", "--best-layer", "--pivot", "maps", "--decimals", "2")
    assert done.exit_code == 0, done.output
    assert "| b | **0.70** |" in done.stdout
    done = invoke(path, "--pivot", "maps", "--out", tmp_path / "x.html")
    assert (done.exit_code, done.stderr) == (1, "error: --pivot has the formats csv, md, latex, got 'html'.\n")
    assert invoke(path, "--out", tmp_path / "refs.bib").exit_code == 0
    assert (tmp_path / "refs.bib").read_text().startswith("@misc")
    done = invoke(path, "--models", "c")
    assert done.exit_code == 1
    assert "no row has the model 'c'" in done.stderr
