"""Refined maps in a score: beside each stands what its refiners do alone."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from interpfer.datasets.demo import DemoDataset
from interpfer.errors import PluginError
from interpfer.maps import MAPS, REFINERS
from interpfer.maps.base import BaselineContext, BaselineMap
from interpfer.maps.canvas import resize
from interpfer.maps.refiners.base import Seen
from interpfer.metrics import cosine
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.reports.leaderboard.rows import read_rows
from interpfer.reports.page import render_run
from interpfer.reports.page.headline import summarise_run
from interpfer.reports.page.refiners import describe_unaided, refined_maps, refiner_sheets, unaided
from interpfer.reports.page.scores import Scores
from interpfer.results.run import Run
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.score import score
from interpfer.scoring.session import open_session
from interpfer.types import CANVAS

COUNT, SIZE = 7, 48
NAMES = ["gradcam.rank-gaussian", "gradcam.contrast", "layercam.blur"]


@pytest.fixture(scope="module")
def dataset() -> DemoDataset:
    return DemoDataset("test", count=COUNT, size=SIZE)


@pytest.fixture(scope="module")
def model(dataset: DemoDataset) -> Model:
    torch.manual_seed(0)
    network = SmallCNN(len(dataset.classes), width=6)
    network.head.weight.data *= 20
    return load_model(network, classes=list(dataset.classes), input_size=SIZE)


@pytest.fixture(scope="module")
def run(model: Model, dataset: DemoDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("refined")
    return score(
        model, dataset, out=folder / "run", maps=NAMES, metrics="cosine", device="cpu",
        leaderboard=folder / "board.csv",
    )  # fmt: skip


def test_maps_without_refiners_and_controls_are_added(run: Run) -> None:
    assert list(dict.fromkeys(run.scores["map"])) == [
        "gradcam",
        "gradcam.rank-gaussian",
        "gradcam.contrast",
        "layercam",
        "layercam.blur",
        "baseline:random",
        "baseline:uniform",
        "baseline:random.rank-gaussian",
        "baseline:uniform.rank-gaussian",
        "baseline:random.blur",
        "baseline:uniform.blur",
    ]
    layers = run.scores.drop_duplicates("map").set_index("map")["layer"]
    assert layers["gradcam.contrast"] == "stages.3"
    assert layers["baseline:random.blur"] == "-"
    assert run.manifest["sources"]["gradcam.contrast"].startswith("Selvaraju et al. 2017, arXiv 1610.02391; TAM")


def test_a_uniform_map_stays_so(run: Run) -> None:
    uniform = run.score("baseline:uniform", "cosine")
    for refiner in ("blur", "rank-gaussian"):
        assert run.score(f"baseline:uniform.{refiner}", "cosine") == pytest.approx(uniform, abs=1e-6)


def test_a_refined_baseline_is_the_refiner_of_the_same_random_map(run: Run, model: Model, dataset: DemoDataset) -> None:
    session = open_session(ScoreOptions(maps=["gradcam"], metrics="cosine", device="cpu"), model, dataset)
    batch = session.stream.read(range(COUNT))
    truth = session.draw_truth(session.samples(batch.rows), batch.landmarks)
    random = MAPS.get("baseline:random")
    assert isinstance(random, BaselineMap)
    grid = model.layer("stages.3").grid[0]
    plain = random.compute(BaselineContext(torch.zeros(COUNT, grid, grid), None, None, batch.rows, 0))
    empty = torch.zeros(COUNT, 2)
    seen = Seen(torch.zeros(COUNT, 3, 8, 8), empty, empty, torch.zeros(COUNT, dtype=torch.long))
    for refiner in ("blur", "rank-gaussian"):
        expected = cosine(resize(REFINERS.get(refiner)(plain, seen), CANVAS), truth.maps)
        table = run.per_image[run.per_image["map"] == f"baseline:random.{refiner}"]
        known = truth.valid.numpy()
        assert table["cosine"].to_numpy()[known] == pytest.approx(expected.numpy()[known], abs=1e-5)


def test_a_leaderboard_has_refined_maps(run: Run) -> None:
    board = read_rows([Path(run.path).parent / "board.csv"])
    assert {*NAMES, "gradcam", "baseline:random.blur"} <= set(board["map"])


def test_an_unknown_refiner_is_refused_by_name(model: Model, dataset: DemoDataset, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"unknown refiner 'blurr' in 'gradcam\.blurr'\. Did you mean blur\?"):
        score(model, dataset, out=tmp_path / "run", maps="gradcam.blurr", device="cpu")


def with_values(run: Run, values: dict[str, float], sanity: dict[str, float] | None = None) -> Run:
    """Return a run with other macro values of cosine, in narrow intervals, and cosines with random weights."""
    table: pd.DataFrame = run.scores.copy()
    for name, value in values.items():
        rows = (table["map"] == name) & (table["group"] == "macro")
        assert rows.any(), name
        table.loc[rows, ["value", "ci_low", "ci_high"]] = [value, value - 0.001, value + 0.001]
    checks = {f"{name}@stages.3": {"cosine_shuffled": value} for name, value in (sanity or {}).items()}
    manifest = run.manifest | ({"sanity": {"maps": checks}} if sanity else {})
    return replace(run, scores=table, manifest=manifest)


PLAIN = {
    "baseline:random": 0.5,
    "baseline:random.blur": 0.5,
    "baseline:random.rank-gaussian": 0.5,
    "baseline:uniform": 0.6,
    "baseline:uniform.blur": 0.6,
    "baseline:uniform.rank-gaussian": 0.6,
}


@pytest.mark.parametrize(
    ("values", "sanity", "names"),
    [
        ({}, {}, []),
        ({"baseline:random.blur": 0.53}, {}, ["blur"]),
        ({"baseline:random.blur": 0.505, "baseline:random.rank-gaussian": 0.4}, {}, []),
        ({"baseline:uniform.rank-gaussian": 0.7, "baseline:random.blur": 0.6}, {}, ["rank-gaussian", "blur"]),
        ({}, {"gradcam": 0.3, "gradcam.contrast": 0.35, "gradcam.rank-gaussian": 0.3}, ["contrast"]),
        ({}, {"gradcam": 0.3, "gradcam.contrast": 0.25}, []),
    ],
)
def test_a_refiner_that_helps_without_the_network_is_named(
    run: Run, values: dict[str, float], sanity: dict[str, float], names: list[str]
) -> None:
    changed = with_values(run, PLAIN | values, sanity)
    assert unaided(changed, Scores(changed)) == names
    verdict = summarise_run(changed, Scores(changed)).verdict
    assert verdict.endswith(describe_unaided(names))
    assert ("without the network" in verdict) == bool(names)


def test_the_page_shows_what_refiners_do_alone(run: Run) -> None:
    changed = with_values(run, PLAIN | {"gradcam": 0.41, "gradcam.rank-gaussian": 0.42}, {"gradcam": 0.3})
    found = {alone.key[0]: alone for alone in refined_maps(changed, Scores(changed))}
    assert list(found) == NAMES
    alone = found["gradcam.rank-gaussian"]
    assert (alone.chain, alone.base.value, alone.refined.value) == ("rank-gaussian", 0.41, 0.42)
    assert [[each.value for each in pair] for pair in alone.controls] == [[0.5, 0.5], [0.6, 0.6]]
    assert alone.shuffled[0] == 0.3
    (sheet,) = refiner_sheets(changed, Scores(changed))
    assert [cell.text for cell in sheet.lines[0].cells] == [
        "0.410", "0.420", "0.500", "0.500", "0.600", "0.600", "0.300", "–",
    ]  # fmt: skip
    assert [cell.text for cell in sheet.lines[1].cells][3] == "–", "contrast cannot be applied to a baseline"
    page = render_run(changed)
    assert "What refiners do alone" in page
    plain = replace(changed, scores=changed.scores[~changed.scores["map"].str.contains(".", regex=False)])
    assert refiner_sheets(plain, Scores(plain)) == []
