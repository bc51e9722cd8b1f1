import re
from pathlib import Path

import pandas as pd

from interpfer.maps import MAPS
from interpfer.maps.base import BaselineMap
from interpfer.metrics import METRICS
from interpfer.metrics.base import DatasetMetric, ModelMetric
from interpfer.scoring.sanity import FAITHFUL, PASSES, SAME, UNFAITHFUL

ROOT = Path(__file__).parents[2]
PAGE, RESULTS = ROOT / "docs" / "metrics.md", ROOT / "benchmarks" / "results" / "metrics_peers.csv"


def test_the_table_of_metrics_says_what_the_metrics_say() -> None:
    lines = PAGE.read_text().partition("## Formulas")[0].splitlines()
    table = {
        row[0].strip("`"): row for line in lines if line.startswith("| `") and (row := line.strip("| ").split(" | "))
    }
    assert list(table) == list(METRICS.builtin)
    for name, (_, summary, better, bounds, of) in table.items():
        metric = METRICS.get(name)
        assert summary == metric.facts.summary
        assert better == ("higher" if metric.facts.higher_is_better else "lower")
        assert bounds == "{:g} .. {:g}".format(*metric.facts.bounds)
        assert ("data set" in of) == isinstance(metric, DatasetMetric)
        assert ("runs the model" in of) == isinstance(metric, ModelMetric)


def test_the_table_of_formulas_has_the_sources_and_the_measured_differences() -> None:
    text = PAGE.read_text().partition("## Formulas")[2].partition("\n## ")[0]
    table = {row[0].strip("`"): row for line in text.splitlines() if len(row := line.strip("| ").split(" | ")) == 5}
    measured = pd.read_csv(RESULTS).groupby("metric", sort=False)
    for name in METRICS.builtin:
        facts, (_, formula, source, difference, peers) = METRICS.get(name).facts, table[name]
        assert formula
        assert (source, difference) == (facts.source, facts.difference or "-")
        lines = measured.get_group(name).itertuples() if name in measured.groups else ()
        assert peers == ("; ".join(f"{line.peer}: {line.largest_difference:g}" for line in lines) or "-")


def test_the_page_names_every_baseline_and_verdict() -> None:
    text = PAGE.read_text()
    for name in MAPS:
        assert f"| `{name}` |" in text or not isinstance(MAPS.get(name), BaselineMap), name
    for verdict in (PASSES, SAME, FAITHFUL, UNFAITHFUL):
        assert f"**{verdict}**" in text


def test_the_page_names_the_metrics_whose_headline_is_micro() -> None:
    text = " ".join(PAGE.read_text().split())
    named = re.search(r"or `micro` for the metrics of the data set \(([^)]+)\)", text)
    assert named is not None
    assert named[1].replace("`", "").split(", ") == [n for n in METRICS if METRICS.get(n).facts.headline == "micro"]
