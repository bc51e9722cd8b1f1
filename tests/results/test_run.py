"""Reading finished runs, also those of older versions."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

import interpfer
from interpfer.errors import RunError
from interpfer.results.comparison import compare
from interpfer.results.pictures import load_report_data
from interpfer.results.run import Run, load_run
from interpfer.results.sources import read_sources

OLD_RUN = Path(__file__).parent / "old_run"
"""Run folder of version 0.1.0 of drawn faces: no metric facts, options, command, sources or truth in its run.json."""


@pytest.fixture
def old_run() -> Run:
    return load_run(OLD_RUN)


def test_a_path_may_be_a_string() -> None:
    run = interpfer.load_run(str(OLD_RUN))
    assert run.path == OLD_RUN
    assert run.title == "old on demo test, protocol paper: accuracy 0.400, 5 of 5 images scored"


def test_an_old_run_has_the_headlines_of_the_installed_metrics(old_run: Run) -> None:
    assert not {"metric_facts", "options", "command", "sources"} & set(old_run.manifest)
    assert {name: facts.headline for name, facts in old_run.metric_facts.items()} == {
        "cosine": "macro", "pxap": "micro", "dice_best": "micro",
    }  # fmt: skip
    summary = old_run.summary
    assert summary.index.tolist() == [("gradcam", "stages.3"), ("baseline:uniform", "-")]
    assert summary.loc[("gradcam", "stages.3")].tolist() == [0.385095, 15.804867, 0.258101]
    assert old_run.score("gradcam", "pxap", "micro") == 15.804867


def test_the_tables_of_an_old_run(old_run: Run) -> None:
    assert len(old_run.per_image) == 10
    assert math.isnan(old_run.score("gradcam", group="fear"))
    assert old_run.confusion.loc["anger", "anger"] == 2
    assert old_run.au_profile is not None
    report_data = load_report_data(OLD_RUN)
    assert report_data is not None
    assert report_data.columns == (("gradcam", "stages.3"), ("AU heatmap", "-"))
    assert report_data.maps.shape == (5, 2, 28, 28)


def test_the_sources_of_an_old_run_are_those_of_the_installed_plugins(old_run: Run) -> None:
    sources = read_sources(old_run.manifest)
    assert sources["gradcam"] == "Selvaraju et al. 2017, arXiv 1610.02391"
    assert set(sources) == {"gradcam", "metric cosine", "metric pxap", "metric dice_best", "codebook belharbi2024"}
    arguments = old_run.manifest["arguments"] | {"codebook": "gone.yaml", "maps": ["gone"], "metrics": ["gone"]}
    assert read_sources(old_run.manifest | {"arguments": arguments}) == {}
    assert read_sources(old_run.manifest | {"sources": {"gradcam": "a paper"}}) == {"gradcam": "a paper"}


def test_an_old_run_is_compared(old_run: Run) -> None:
    images = old_run.per_image.assign(cosine=old_run.per_image["cosine"] + 0.1)
    table = compare(old_run, replace(old_run, per_image=images))
    assert table["metric"].tolist() == ["accuracy", "cosine", "pxap", "dice_best"]
    assert table["difference"].round(6).tolist() == [0, 0.1, 0, 0]


def test_what_is_not_in_a_run_is_named(old_run: Run) -> None:
    with pytest.raises(RunError) as raised:
        old_run.score("cam")
    assert str(raised.value) == "the run has no cosine of cam for macro."


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError) as raised:
        load_run(tmp_path / "none")
    assert str(raised.value) == f"run folder not found: {tmp_path / 'none'}; pass the --out of a score."
    with pytest.raises(RunError, match=r"holds no finished run \(no run\.json\); finish it with --resume"):
        load_run(tmp_path)
