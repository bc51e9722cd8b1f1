"""WAR and UAR at the top of the page of a run of clips."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interpfer.reports.page import render_run
from interpfer.reports.page.clip_figures import clip_figures
from interpfer.results.run import CLIPS, Run, load_run

FACTS = {"clips": 43, "WAR": 0.75, "WAR_ci": [0.7, 0.8], "UAR": 0.5, "UAR_ci": [0.41, 0.59]}
SENTENCE = "WAR 0.750, UAR 0.500 (accuracy and mean recall of clips)"


@pytest.fixture(scope="module")
def run() -> Run:
    return load_run(Path(__file__).parents[2] / "results" / "old_run")


def of_clips(run: Run, classification: dict[str, Any] | None = None, **facts: Any) -> Run:
    own = run.manifest["classification"] | {"n": 40, "accuracy": 0.75} | (classification or {})
    manifest = run.manifest | {CLIPS: FACTS | facts, "classification": own, "warnings": [SENTENCE, "another note"]}
    return replace(run, manifest=manifest)


def top(page: str) -> dict[str, str]:
    found = re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", page.partition("</header>")[0])
    return {name: re.sub(r"<.*?>", " ", text) for name, text in found}


def test_war_and_uar_stand_where_accuracy_stands_for_pictures(run: Run) -> None:
    page = render_run(of_clips(run, {"accuracy_ci": [0.6, 0.86]}))
    figures = top(page)
    assert list(figures)[:3] == ["WAR", "UAR", "Macro F1"]
    assert re.match(r"0\.750 +\[0\.600, 0\.860\] +accuracy of 40 labelled clips", figures["WAR"])
    assert re.match(r"0\.500 +\[0\.410, 0\.590\] +mean recall", figures["UAR"])
    assert figures["Scored"].strip().endswith("frames of 43 clips")
    assert "another note" in page
    assert SENTENCE not in page
    pictures = top(render_run(run))
    assert "Accuracy" in pictures
    assert not {"WAR", "UAR"} & set(pictures)
    assert pictures["Scored"].strip().endswith("images")


def test_an_interval_that_is_not_known_is_not_shown(run: Run) -> None:
    same = clip_figures(of_clips(run, {"accuracy_ci": [None, None]}, UAR=1.0, UAR_ci=[1.0, 1.0]))
    assert same is not None
    assert (same.war, same.war_interval) == ("0.750", "no interval")
    assert (same.uar, same.uar_interval) == ("1.000", "no interval")
    older = clip_figures(of_clips(run))
    assert older is not None
    assert older.war_interval == "[0.598, 0.858]"  # Wilson, 30 of 40: (30 + z²/2 ∓ z sqrt(30·10/40 + z²/4)) / (40 + z²)
    assert clip_figures(of_clips(run, WAR=None)) is None
    assert clip_figures(run) is None
