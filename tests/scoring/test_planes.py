"""Scores by action unit: values restated the slow way, intervals over people, the same bytes after a kill."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.maps import MAPS
from interpfer.maps.base import BaselineContext, BaselineMap
from interpfer.metrics import METRICS
from interpfer.metrics.base import MapBatch
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.results.run import Run, load_run
from interpfer.scoring.planes import PlaneScorer
from interpfer.statistics.bootstrap import RESAMPLES
from interpfer.truth.action_units import ActionUnitTruth
from interpfer.types import CANVAS, CodedAUs, Landmarks
from tests.conftest import EXPRESSIONS, Interrupted

FACES = 14
OPTIONS: dict[str, Any] = {
    "truth": "aus",
    "maps": "gradcam,hirescam,baseline:center,baseline:class-mean-au",
    "metrics": "cosine,pxap,pointing,region_mouth",
    "device": "cpu",
    "batch_size": 5,
}
"""Metrics with a faster way for planes, one without, and one that asks no truth."""


class People(DemoDataset):
    """Drawn faces of four people."""

    def __init__(self) -> None:
        super().__init__("test", count=FACES, size=48)
        self.samples = tuple(replace(each, subject=f"p{row % 4}") for row, each in enumerate(self.samples))


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)


@pytest.fixture(scope="module")
def run(model: Model) -> Run:
    return interpfer.score(model, People(), **OPTIONS)


@pytest.fixture(scope="module")
def drawn() -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Names, faces and planes of all action units, one by one."""
    faces = People()
    points = faces.landmarks().locate([sample.id for sample in faces.samples], None).points * (CANVAS / 48)
    truth = ActionUnitTruth()
    planes = truth.planes(faces.samples, Landmarks.of(points))
    return list(planes.names), planes.face[planes.plane], planes.maps[planes.plane]


def center() -> MapBatch:
    method = MAPS.get("baseline:center")
    assert isinstance(method, BaselineMap)
    heat = torch.ones(1, CANVAS, CANVAS)
    return method.compute(BaselineContext(heat, None, None, (0,), 0))


def rows(run: Run, name: str, metric: str) -> pd.DataFrame:
    table = run.scores[(run.scores["map"] == name) & (run.scores["metric"] == metric)]
    return table[table["group"].str.startswith("AU")].set_index("group")


@pytest.mark.parametrize("metric", ["cosine", "pxap", "pointing"])
def test_a_baseline_against_the_plane_of_each_action_unit(metric: str, run: Run, drawn: Any) -> None:
    names, _, planes = drawn
    table = rows(run, "baseline:center", metric)
    assert list(table.index) == sorted(set(names), key=lambda name: int(name[2:]))
    for name in ("AU12", "AU24", "AU4"):
        own = [place for place, other in enumerate(names) if other == name]
        values = METRICS.get(metric)(center().expand(len(own), -1, -1).contiguous(), planes[own])
        expected = values if isinstance(values, float) else float(values.mean())
        assert table.loc[name, "value"] == pytest.approx(expected, abs=2e-3 if metric == "pxap" else 1e-5)
        assert table.loc[name, "n"] == len(own)


def test_counts_of_a_metric_without_a_faster_way_are_those_of_its_heatmaps() -> None:
    faces, truth = People(), ActionUnitTruth()
    marks = faces.landmarks().locate([sample.id for sample in faces.samples[:3]], None).points * (CANVAS / 48)
    heat = truth.draw(faces.samples[:3], Landmarks.of(marks)).maps
    planes = truth.planes(faces.samples[:3], Landmarks.of(marks))
    metric = replace(METRICS.get("pxap"), planes=None)
    scorer = PlaneScorer(planes, heat, {"pxap": metric}, 2)
    maps = torch.rand(3, CANVAS, CANVAS)
    scorer.add(1, maps, maps)
    counts = scorer.result(5).counts["pxap"]
    assert counts[:, 0].sum() == 0
    assert np.array_equal(counts[:, 1], metric.count(maps[planes.face], planes.maps).numpy())
    assert scorer.result(5).face.tolist() == [5 + row for row in planes.face.tolist()]


def test_a_map_that_repeats_another_has_its_rows(run: Run) -> None:
    assert run.manifest["same"] == {"hirescam@stages.3": "gradcam@stages.3"}
    for metric in ("cosine", "pxap", "pointing"):
        pd.testing.assert_frame_equal(
            *(rows(run, name, metric).drop(columns="map") for name in ("gradcam", "hirescam"))
        )
        assert rows(run, "hirescam", metric)["value"].notna().any()


def test_metrics_without_a_truth_have_no_such_rows(run: Run) -> None:
    assert rows(run, "gradcam", "region_mouth").empty
    assert (run.scores["metric"] == "region_mouth").any()


def test_the_tables_of_faces_stay_as_they_are(run: Run) -> None:
    first = run.scores[(run.scores["map"] == "gradcam") & (run.scores["metric"] == "cosine")]
    groups = first["group"].tolist()
    units = [group for group in groups if group.startswith("AU")]
    assert groups == ["macro", "micro", *run.confusion.index, "correct", "wrong", *units]
    assert len(run.per_image) == 4 * FACES
    assert not any("AU" in name for name in run.per_image.columns)


def test_intervals_are_over_people(run: Run, drawn: Any) -> None:
    """A bootstrap of four people, restated: the deviation of a mean is linear in how often each is drawn."""
    names, faces, planes = drawn
    name = "AU4"
    own = [place for place, other in enumerate(names) if other == name]
    values = METRICS.get("cosine")(center().expand(len(own), -1, -1).contiguous(), planes[own]).double().numpy()
    people = faces[own].numpy() % 4
    line = rows(run, "baseline:center", "cosine").loc[name]
    assert line["ci_low"] < values.mean() < line["ci_high"]
    present = np.unique(people)
    parts = np.array([(values - values.mean())[people == person].sum() / len(values) for person in present])
    draws = np.random.default_rng(1).multinomial(len(present), np.full(len(present), 1 / len(present)), RESAMPLES)
    spread = float(np.quantile(draws @ parts, 0.975) - np.quantile(draws @ parts, 0.025))
    assert line["ci_high"] - line["ci_low"] > spread  # widened for few people


def test_a_killed_run_ends_with_the_same_bytes(model: Model, tmp_path: Path, interrupted: Interrupted) -> None:
    options = OPTIONS | {"maps": "gradcam", "metrics": "cosine,pxap"}
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    interpfer.score(model, People(), out=whole, report=False, **options)
    with interrupted(1):
        interpfer.score(model, People(), out=resumed, report=False, **options)
    assert list((resumed / ".parts").glob("*.npz"))
    interpfer.score(model, People(), out=resumed, report=False, resume=True, **options)
    for name in ("scores.csv", "per_image.csv", "au_recall.csv"):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes()
    assert load_run(whole).au_recall is not None


def test_the_truth_of_the_face_scores_one_and_recall_finds_what_was_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps made of the coded action units themselves, of all and of all but one."""
    faces = People()
    left_out = 17
    complete = ActionUnitTruth("scaled", normalise=True)
    points = faces.landmarks().locate([sample.id for sample in faces.samples], None).points * (CANVAS / 48)
    fewer = [
        replace(each, aus=CodedAUs(tuple(unit for unit in each.aus.active if unit.au != left_out)))
        for each in faces.samples
        if each.aus
    ]
    marks = Landmarks.of(points)
    pictures = {"own": complete.draw(faces.samples, marks).maps, "fewer": complete.draw(fewer, marks).maps}

    for target, name in (("random", "own"), ("edges", "fewer")):
        made = BaselineMap(lambda context, own=pictures[name]: own[list(context.rows)], "made here")
        monkeypatch.setattr(f"interpfer.maps.baselines.{target}", made)
    torch.manual_seed(0)
    model = interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)
    run = interpfer.score(
        model, faces, truth="aus", protocol="corrected", device="cpu", metrics="cosine",
        maps="gradcam,baseline:random,baseline:edges,baseline:class-mean-au",
    )  # fmt: skip
    assert run.score("baseline:random") == pytest.approx(1, abs=1e-5)
    assert run.score("baseline:class-mean-au") < 0.95
    recall = run.au_recall
    assert recall is not None
    own, rest = (recall[recall["map"] == name].set_index("au") for name in ("baseline:random", "baseline:edges"))
    assert (own["recall"] == 1).all()
    assert rest.loc["AU17", "recall"] < 0.75  # where the mouth reaches into the chin, that is used
    assert (rest.drop(index=["AU17", "all"])["recall"] == 1).all()
    shown = [sum(unit.au == left_out for unit in sample.aus.active) for sample in faces.samples if sample.aus]
    assert rest.loc["AU17", "n"] == sum(shown)
