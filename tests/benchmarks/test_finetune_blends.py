import re
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.finetune_blends import MEASURES, summarise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/finetune.md").read_text(encoding="utf-8")
TABLES = {"A": "faceapi_expression", "B": "fer_mini_xception"}


@pytest.mark.parametrize("name", TABLES)
def test_the_page_shows_the_table(name: str) -> None:
    table = pd.read_csv(ROOT / "benchmarks/results" / f"finetune_blends_{TABLES[name]}.csv")
    rows = PAGE[PAGE.index(f"| **{name}** plain") :].splitlines()[:4]
    shown = [[float(value) for value in re.findall(r"[+-]?\.\d+\b", row.rpartition("`")[2])] for row in rows]
    lines = summarise(table.to_dict("records"), folds=5)
    second = summarise(table[table["repeat"] == 1].to_dict("records"), folds=5)
    for row, line, other in zip(shown, lines, second, strict=True):
        accuracy, *others = (line[measure] for measure in MEASURES)
        changes = [line.get(f"accuracy_{key}") for key in ("difference", "low", "high")]
        expected = [accuracy, *changes, other.get("accuracy_difference"), *others]
        expected = [value for value in expected if value is not None]
        assert row == pytest.approx(expected, abs=6e-4)
        assert line["trainings"] == 10


def test_differences_are_paired_by_fold() -> None:
    rows = [
        {"repeat": 0, "fold": fold, "training": training, "share": share} | dict.fromkeys(MEASURES, value)
        for fold, base in enumerate((0.5, 0.7))
        for training, share, value in (("plain", 1.0, base), ("guided", 0.25, base + 0.1))
    ]
    plain, guided = summarise(rows, folds=5)
    assert plain["accuracy"] == 0.6
    assert (guided["accuracy"], guided["accuracy_difference"]) == (0.7, 0.1)
    assert guided["accuracy_low"] == guided["accuracy_high"] == 0.1
