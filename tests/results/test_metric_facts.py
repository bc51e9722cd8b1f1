"""Facts of metrics, as runs and leaderboards record them."""

import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest

from interpfer.files import json_bytes
from interpfer.metrics import METRICS
from interpfer.results.metric_facts import (
    MetricFacts,
    facts_of,
    leaderboard_columns,
    read_leaderboard_columns,
    read_metric_facts,
    record_metric_facts,
)

NOVEL = {"headline": "micro", "higher_is_better": False, "decimals": 0, "bounds": [0, None]}


def test_facts_come_back_from_run_json() -> None:
    names = ["cosine_skill", "kl", "pxap"]
    manifest = json.loads(json_bytes({"metric_facts": record_metric_facts(names)}))
    assert manifest["metric_facts"]["kl"]["bounds"] == [0, None]
    assert read_metric_facts(manifest, names) == {
        "cosine_skill": MetricFacts(bounds=(-math.inf, 1.0)),
        "kl": MetricFacts(higher_is_better=False, bounds=(0.0, math.inf)),
        "pxap": MetricFacts(headline="micro", decimals=1, bounds=(0.0, 100.0)),
    }


def test_what_a_run_records_comes_before_the_installed_metric() -> None:
    recorded = read_metric_facts({"metric_facts": {"novel": NOVEL, "cosine": NOVEL}}, ["novel", "cosine", "kl"])
    assert recorded["novel"] == recorded["cosine"] == MetricFacts("micro", False, 0, (0, math.inf))
    assert not recorded["kl"].higher_is_better
    assert facts_of("cosine", recorded).decimals == 0
    assert facts_of("cosine").decimals == 3


def test_an_old_run_is_read_by_the_installed_metrics_and_others_by_the_defaults() -> None:
    assert read_metric_facts({}, ["pxap", "novel"]) == {"pxap": facts_of("pxap"), "novel": MetricFacts()}
    assert facts_of("pxap").headline == "micro"


def test_facts_follow_the_installed_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = SimpleNamespace(headline="micro", higher_is_better=False, decimals=4, bounds=(0.0, 1.0))
    monkeypatch.setattr(METRICS, "get", lambda _: SimpleNamespace(facts=facts))
    assert facts_of("pxap") == MetricFacts("micro", False, 4, (0.0, 1.0))
    assert leaderboard_columns(["pxap"]) == {"lower_is_better": "pxap", "decimals": "pxap:4"}


def test_columns_of_a_leaderboard_come_back() -> None:
    assert leaderboard_columns(["cosine"]) == {"lower_is_better": "-", "decimals": "-"}
    assert leaderboard_columns(["cosine", "novel"]) == {"lower_is_better": "", "decimals": ""}
    old = {"cosine": "0.5", "kl": "1", "pxap": "20", "lower_is_better": "", "decimals": ""}
    new = {"cosine": "0.6", "kl": "2", "pxap": "", **leaderboard_columns(["cosine", "kl"])}
    facts = read_leaderboard_columns(pd.DataFrame([old, new]), ["cosine", "kl", "pxap"])
    assert (facts["cosine"].higher_is_better, facts["kl"].higher_is_better) == (True, False)
    assert facts["pxap"].decimals == 1
