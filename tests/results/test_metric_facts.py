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
    redefined_metrics,
    separate_definitions,
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
    facts = SimpleNamespace(headline="micro", higher_is_better=False, decimals=4, bounds=(0.0, 1.0), definition=3)
    monkeypatch.setattr(METRICS, "get", lambda _: SimpleNamespace(facts=facts))
    assert facts_of("pxap") == MetricFacts("micro", False, 4, (0.0, 1.0), 3)
    assert leaderboard_columns(["pxap"]) == {"lower_is_better": "pxap", "decimals": "pxap:4", "definitions": "pxap:3"}


def test_columns_of_a_leaderboard_come_back() -> None:
    assert leaderboard_columns(["cosine"]) == {"lower_is_better": "-", "decimals": "-", "definitions": "-"}
    assert leaderboard_columns(["cosine", "novel"]) == {"lower_is_better": "", "decimals": "", "definitions": ""}
    old = {"cosine": "0.5", "kl": "1", "pxap": "20", "lower_is_better": "", "decimals": ""}
    new = {"cosine": "0.6", "kl": "2", "pxap": "", **leaderboard_columns(["cosine", "kl"])}
    facts = read_leaderboard_columns(pd.DataFrame([old, new]), ["cosine", "kl", "pxap"])
    assert (facts["cosine"].higher_is_better, facts["kl"].higher_is_better) == (True, False)
    assert facts["pxap"].decimals == 1


def test_the_formula_and_its_number_are_recorded() -> None:
    entry = record_metric_facts(["road", "cosine", "novel"])
    assert entry["road"]["definition"] == 2
    assert entry["road"]["source"].startswith("Rong et al. 2022")
    assert "4 shares" in entry["road"]["difference"]
    assert (entry["cosine"]["definition"], entry["cosine"]["difference"]) == (1, "")
    assert "source" not in entry["novel"]
    recorded = read_metric_facts(json.loads(json_bytes({"metric_facts": entry})), ["road", "cosine"])
    assert recorded["road"].definition == 2


def test_runs_that_record_no_number_have_the_first_formula() -> None:
    old = read_metric_facts({}, ["road", "cosine"])
    assert old["road"].definition == 1
    assert redefined_metrics(old, read_metric_facts({"metric_facts": record_metric_facts(old)}, old)) == ["road"]
    written = {"road": NOVEL}
    assert read_metric_facts({"metric_facts": written}, ["road"])["road"].definition == 1


def test_scores_of_an_older_formula_have_a_column_of_their_own() -> None:
    old = {"cosine": "0.5", "deletion": "0.3", "lower_is_better": "deletion", "decimals": "-", "definitions": ""}
    new = {"cosine": "0.6", "deletion": "0.2", **leaderboard_columns(["cosine", "deletion"])}
    table = separate_definitions(pd.DataFrame([old, new]))
    assert table["deletion"].tolist() == ["", "0.2"]
    assert table["deletion@1"].tolist() == ["0.3", ""]
    assert table["cosine"].tolist() == ["0.5", "0.6"]
    facts = read_leaderboard_columns(table, ["deletion", "deletion@1"])
    assert not facts["deletion"].higher_is_better
    assert not facts["deletion@1"].higher_is_better
    only_old = separate_definitions(pd.DataFrame([old]))
    assert only_old["deletion"].tolist() == ["0.3"]
    assert "deletion@1" not in only_old
