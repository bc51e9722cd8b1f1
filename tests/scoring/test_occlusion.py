"""A score with occlusions: the clean rows stay, the covered ones stand beside them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError, RunError
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import read_rows
from interpfer.results.comparison import compare
from interpfer.results.occlusion import curve_weights
from interpfer.results.run import Run, load_run
from interpfer.scoring.score import score
from tests.conftest import Interrupted

CLASSES = ["anger", "happiness", "surprise"]
KINDS = "patches:0,mask,patches:0.3,guided:0.2,au"
MAPS = "gradcam,baseline:uniform"


class Deaf(nn.Module):
    """Ignores its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(0 * x).mean((2, 3)))


@pytest.fixture(scope="module")
def dataset() -> DemoDataset:
    return DemoDataset("test", count=14, size=48)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(3), classes=CLASSES, input_size=48)


def run_on(model: Model, dataset: DemoDataset, **more: Any) -> Run:
    return score(
        model,
        dataset,
        **(
            {"maps": MAPS, "device": "cpu", "metrics": "cosine,cosine_skill", "target": "predicted", "report": False}
            | more
        ),
    )


@pytest.fixture(scope="module")
def covered(model: Model, dataset: DemoDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("run") / "covered"
    return run_on(model, dataset, occlude=KINDS, out=out, report=True, leaderboard=out.parent / "board.csv")


@pytest.fixture(scope="module")
def clean(model: Model, dataset: DemoDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_on(model, dataset, out=tmp_path_factory.mktemp("clean") / "run")


def rows_of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["occlusion"] == name].drop(columns="occlusion").reset_index(drop=True)


def line(run: Run, name: str, metric: str, map_name: str = "-") -> pd.Series:
    assert run.occluded is not None
    table = run.occluded.summary
    return table[(table["occlusion"] == name) & (table["metric"] == metric) & (table["map"] == map_name)].iloc[0]


def test_the_clean_rows_are_those_of_a_run_without_occlusions(clean: Run, covered: Run) -> None:
    assert covered.occluded is not None
    assert covered.path is not None
    assert clean.path is not None
    names = list(dict.fromkeys(covered.occluded.scores["occlusion"]))
    assert names == ["clean", "patches:0", "mask", "patches:0.3", "guided:0.2", "au"]
    pd.testing.assert_frame_equal(rows_of(covered.occluded.scores, "clean"), clean.scores)
    for name in ("scores.csv", "per_image.csv"):
        plain = (clean.path / name).read_text().splitlines()
        both = (covered.path / name).read_text().splitlines()
        assert "occlusion" not in plain[0]
        assert [row.partition(",,,,clean")[0].removesuffix(",clean") for row in both[1 : len(plain)]] == plain[1:]


def test_share_zero_gives_the_clean_values(covered: Run) -> None:
    assert covered.occluded is not None
    for table in (covered.occluded.scores, covered.occluded.per_image):
        before, after = rows_of(table, "clean"), rows_of(table, "patches:0")
        if "metric" in table:
            after = after[after["metric"].isin(before["metric"].unique())].reset_index(drop=True)
        else:
            before, after = (each.drop(columns=["leak", "leak_skill", "map_similarity"]) for each in (before, after))
        pd.testing.assert_frame_equal(before, after, check_exact=True)
    assert line(covered, "patches:0", "flips")["value"] == 0
    assert line(covered, "patches:0", "accuracy")["difference"] == 0


def test_a_uniform_map_leaks_the_area_of_the_hole(covered: Run) -> None:
    assert covered.occluded is not None
    table = covered.occluded.per_image
    uniform = table[table["map"] == "baseline:uniform"]
    for name, share in (("patches:0.3", 59 / 196), ("patches:0", 0)):
        np.testing.assert_allclose(uniform[uniform["occlusion"] == name]["leak"], share, atol=1e-6)
    assert line(covered, "patches:0.3", "area")["value"] == pytest.approx(59 / 196, abs=1e-6)
    skill = uniform[uniform["occlusion"] == "mask"]["leak_skill"]
    np.testing.assert_allclose(skill, 0, atol=1e-6)
    assert covered.manifest["metric_facts"]["leak"]["higher_is_better"] is False


def test_faces_that_cannot_be_covered_have_no_prediction(covered: Run) -> None:
    """Neutral faces have no regions to hide."""
    assert covered.occluded is not None
    rows = rows_of(covered.occluded.per_image, "au")
    neutral = rows["label"] == "neutral"
    assert neutral.any()
    assert (rows[neutral]["predicted"].isin(["", np.nan])).all()
    assert rows[neutral]["leak"].isna().all()
    assert covered.manifest["occlusion"]["au"]["covered"] == 12
    assert line(covered, "au", "accuracy")["n"] == 12


def test_summary_agrees_with_the_rows_of_single_images(covered: Run) -> None:
    assert covered.occluded is not None
    table = covered.occluded.per_image
    one = table[table["map"] == "gradcam"]
    before, after = (one[one["occlusion"] == name].set_index("image") for name in ("clean", "mask"))
    own = line(covered, "mask", "accuracy")
    correct = [(each["label"] == each["predicted"]).mean() for each in (before, after)]
    assert own["clean"] == pytest.approx(correct[0])
    assert own["value"] == pytest.approx(correct[1])
    assert line(covered, "mask", "flips")["value"] == pytest.approx((before["predicted"] != after["predicted"]).mean())
    both = after[before["cosine"].notna() & after["cosine"].notna()]
    macro = both.groupby("label")["cosine"].mean().mean()
    assert line(covered, "mask", "cosine", "gradcam")["value"] == pytest.approx(macro)
    p = covered.occluded.summary[["p", "p_holm"]].dropna()
    assert (p["p_holm"] >= p["p"]).all()


def test_area_under_the_curve_is_the_trapezoid(covered: Run) -> None:
    heights = [line(covered, "mask", "accuracy")["clean"]]
    heights += [line(covered, f"patches:{share}", "accuracy")["value"] for share in (0, 0.3)]
    expected = np.trapezoid(heights[1:], [0, 0.3]) / 0.3
    assert line(covered, "patches", "accuracy_area")["value"] == pytest.approx(expected)
    assert curve_weights([0, 0.5, 1]).tolist() == [0.25, 0.5, 0.25]


def test_a_model_that_ignores_its_input_has_a_flat_curve(dataset: DemoDataset) -> None:
    model = interpfer.load_model(Deaf(), classes=CLASSES, input_size=48)
    run = run_on(model, dataset, maps="attention", occlude="patches:0.2,patches:0.6,mask")
    assert run.occluded is not None
    for name in ("patches:0.2", "patches:0.6", "mask"):
        own = line(run, name, "accuracy")
        assert own["difference"] == 0
        assert own["p"] == 1
        assert line(run, name, "flips")["value"] == 0
        assert line(run, name, "probability_change")["value"] == 0


def test_rows_do_not_depend_on_the_batch_size(model: Model, dataset: DemoDataset, covered: Run) -> None:
    again = run_on(model, dataset, occlude="mask,au", batch_size=5)
    assert again.occluded is not None
    assert covered.occluded is not None
    for name in ("clean", "mask", "au"):
        first, second = (rows_of(run.occluded.per_image, name) for run in (again, covered) if run.occluded)
        pd.testing.assert_frame_equal(first, second, atol=1e-5)


def test_an_interrupted_run_ends_with_the_same_bytes(
    model: Model, dataset: DemoDataset, interrupted: Interrupted, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = {"occlude": "mask,patches:0.3", "batch_size": 4, "metrics": "cosine"}
    with interrupted(4):
        run_on(model, dataset, out=out, **options)
    assert (out / ".parts" / "occlusion-0" / "000000004.npz").is_file()
    run_on(model, dataset, out=out, resume=True, **options)
    whole = run_on(model, dataset, out=tmp_path / "whole", **options)
    assert whole.path is not None
    for name in ("scores.csv", "per_image.csv", "occlusion.csv"):
        first, second = ((folder / name).read_bytes() for folder in (out, whole.path))
        assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest(), name
    assert not (out / ".parts").exists()
    (out / "run.json").unlink()
    (out / ".parts").mkdir()
    (out / ".parts" / "plan.json").write_text(json.dumps(whole.manifest["arguments"]))
    with pytest.raises(RunError, match="was started with another occlusions"):
        run_on(model, dataset, metrics="cosine", out=out, resume=True)


def test_a_run_is_read_again_compared_and_ranked_apart(covered: Run, clean: Run) -> None:
    assert covered.path is not None
    read = load_run(covered.path)
    pd.testing.assert_frame_equal(read.scores, load_run(clean.path or Path()).scores)
    assert list(read.per_image) == list(clean.per_image)
    assert read.occluded is not None
    assert len(read.occluded.summary) == len(covered.occluded.summary if covered.occluded else [])
    assert set(read.occluded.examples) == {"patches:0", "mask", "patches:0.3", "guided:0.2", "au"}
    compare(read, clean)
    board = rank_rows(read_rows([covered.path.parent / "board.csv"]))
    assert [ranking.rules["occlusion"] for ranking in board.rankings] == [
        *("", "patches:0", "mask", "patches:0.3", "guided:0.2", "au")
    ]
    assert "occlusion mask" in board.rankings[2].title
    assert "leak" in board.rankings[2].metrics
    assert "leak" in board.rankings[2].lower
    page = (covered.path / "report.html").read_text()
    assert "Under occlusion" in page
    assert page.count("covered, map before, map after") == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"occlude": "guided", "occlude_map": "rise"},
            r"must be one of the maps that are scored \(gradcam\), got",
        ),
        ({"occlude": "mask", "occlude_map": "gradcam"}, "--occlude-map needs the occluder guided"),
        ({"occlude": "mask:1"}, "occluder mask takes no share"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    model: Model, dataset: DemoDataset, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InterpferError, match=message):
        run_on(model, dataset, **options)
