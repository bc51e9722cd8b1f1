"""The report's tables of named regions have the numbers of the run's table."""

from pathlib import Path

import pytest

import interpfer
from interpfer.au.face_regions import FACE_REGIONS
from interpfer.reports.page.regions import SHARE, SKILL, P, region_sheets
from interpfer.reports.page.render import render_run
from interpfer.reports.page.scores import Scores
from interpfer.results.regions import region_table
from interpfer.results.run import Run


@pytest.fixture(scope="module")
def run(checkpoint: Path, faces: Path) -> Run:
    return interpfer.score(
        interpfer.load_model(checkpoint), "csv", data_root=faces, landmarks=faces / "landmarks.txt",
        metrics="regions", maps="gradcam,attention,baseline:uniform", device="cpu",
    )  # fmt: skip


def test_a_table_per_number_and_map(run: Run) -> None:
    table = region_table(run).set_index(["map", "region", "group"])
    sheets = region_sheets(run, Scores(run))
    assert {sheet.key["number"] for sheet in sheets} == {SHARE, SKILL, P}
    assert {sheet.key["map"].split()[0] for sheet in sheets} == {"gradcam", "attention"}
    for sheet in sheets:
        assert [line.name for line in sheet.lines] == list(FACE_REGIONS)
        assert sheet.columns[0] == "all"
        for line in sheet.lines:
            for group, cell in zip(("macro", *sheet.columns[1:]), line.cells, strict=True):
                row = table.loc[sheet.key["map"].split()[0], line.name, group]
                number = {SHARE: "share", SKILL: "skill", P: "p_holm"}[sheet.key["number"]]
                assert cell.value == row[number]
                assert (cell.mark == "expected") == (row["p_holm"] < 0.05)
                if number == "share":
                    assert cell.text == f"{100 * row['share']:.0f} % ×{row['ratio']:.1f}"
                assert f"n = {row['n']}" in cell.title
                assert cell.scale == "of-table" or (cell.scale == "more") == (row["skill"] > 0)


def test_the_page_has_the_section_where_the_metrics_are(run: Run) -> None:
    assert '<section id="regions">' in render_run(run)
    without = Run(run.scores[run.scores["metric"] == "region_mouth"], run.per_image, run.confusion, run.manifest)
    assert '<section id="regions">' not in render_run(without)
