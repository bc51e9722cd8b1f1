import re
from pathlib import Path

from interpfer.maps import MAPS
from interpfer.maps.base import BaselineMap
from interpfer.metrics import METRICS
from interpfer.metrics.base import DatasetMetric, ModelMetric
from interpfer.scoring.sanity import FAITHFUL, PASSES, SAME, UNFAITHFUL

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_table_of_metrics_says_what_the_metrics_say() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    table = {row[0].strip("`"): row for row in rows if len(row) == 7}
    assert list(table) == list(METRICS)
    for name, (_, summary, formula, better, bounds, of, source) in table.items():
        metric = METRICS.get(name)
        assert (summary, source) == (metric.facts.summary, metric.facts.source)
        assert better == ("higher" if metric.facts.higher_is_better else "lower")
        assert bounds == "{:g} .. {:g}".format(*metric.facts.bounds)
        assert ("data set" in of) == isinstance(metric, DatasetMetric)
        assert ("runs the model" in of) == isinstance(metric, ModelMetric)
        assert formula


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
