"""Maps in a score: identical ones are marked, those that cannot be computed are left out, tables are shared."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError, ModelError, RunError
from interpfer.labels import NEUTRAL
from interpfer.maps.engine import Key, find_duplicates
from interpfer.models.loading import load_model
from interpfer.models.model import Model


@pytest.fixture
def data() -> DemoDataset:
    return DemoDataset.open(None, "test", 0)


@pytest.fixture
def model(data: DemoDataset) -> Model:
    torch.manual_seed(3)
    outputs = [name for name in data.classes if name != NEUTRAL]
    network = nn.Sequential(
        nn.Conv2d(3, 10, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(10, 8, 3, 2, 1), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, len(outputs)),
    )  # fmt: skip
    nn.init.constant_(network[6].weight, 0.1)
    network[6].weight.data += 0.05 * torch.randn(len(outputs), 8)
    return load_model(network, classes=outputs, input_size=32, layers=["1", "3"])


def test_same_and_refused_maps(model: Model, data: DemoDataset, tmp_path: Path) -> None:
    out, board = tmp_path / "run", tmp_path / "board.csv"
    maps = ["gradcam", "hirescam", "cam", "layercam", "gradcam-elementwise", "occlusion", "baseline:uniform"]
    run = interpfer.score(model, data, maps=maps, layers="all", limit=10, batch_size=4, out=out, leaderboard=board)
    facts = json.loads((out / "run.json").read_text())
    assert facts["same"]["hirescam@3"] == "gradcam@3"
    assert facts["same"]["gradcam-elementwise@1"] == "layercam@1"
    assert list(facts["refused"]) == ["cam@1"]
    assert "needs a head of pooling" in facts["refused"]["cam@1"]
    keys = set(zip(run.scores["map"], run.scores["layer"], strict=True))
    assert {("cam", "3"), ("occlusion", "input"), ("baseline:uniform", "-"), ("hirescam", "1")} <= keys
    assert ("cam", "1") not in keys
    images = run.per_image.set_index(["map", "layer", "image"])["cosine"].sort_index()
    pd.testing.assert_series_equal(images["hirescam", "3"], images["gradcam", "3"])
    assert images["cam", "3"].notna().any()
    assert images["occlusion", "input"].notna().any()
    rows = pd.read_csv(board, keep_default_na=False).set_index(["map", "layer"]).sort_index()
    assert rows.loc[("hirescam", "3"), "same_as"] == "gradcam"
    assert rows.loc[("gradcam", "3"), "same_as"] == ""
    again = interpfer.score(model, data, maps=maps, layers="all", limit=10, batch_size="auto")
    pd.testing.assert_frame_equal(run.scores, again.scores, rtol=1e-4)


def test_copied_scores_are_those_that_would_have_been_computed(model: Model, data: DemoDataset) -> None:
    both = interpfer.score(model, data, maps=["gradcam", "hirescam"], metrics="all", limit=6)
    alone = interpfer.score(model, data, maps=["hirescam"], metrics="all", limit=6)
    found = both.scores[both.scores["map"] == "hirescam"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, alone.scores, rtol=1e-3)


def test_the_group_leaves_out_what_cannot_be_made_and_a_name_does_not(model: Model, data: DemoDataset) -> None:
    run = interpfer.score(model, data, maps="all", limit=4)
    assert "attention-rollout@input" in run.manifest["refused"]
    assert "attention-rollout" not in set(run.scores["map"])
    assert {"cam", "eigencam", "cf-cam", "saliency"} <= set(run.scores["map"])
    with pytest.raises(ModelError, match="map 'attention-rollout' cannot be computed"):
        interpfer.score(model, data, maps="attention-rollout", limit=4)


def test_the_conventions_are_on_record(model: Model, data: DemoDataset) -> None:
    # trap: libraries differ in eps, in how often they stretch, and in how they enlarge
    for protocol, how in (("paper", "with align_corners and antialias"), ("corrected", "align_corners false")):
        conventions = interpfer.score(model, data, maps="gradcam", limit=2, protocol=protocol).manifest["conventions"]
        assert how in conventions["attention"]
        assert "min-max per image once, at the layer's grid" in conventions["cam"]
        assert "1e-06 of the largest magnitude" in conventions["undefined"]


def test_autocast_is_part_of_the_plan(model: Model, data: DemoDataset, tmp_path: Path) -> None:
    maps, out = ["gradcam", "cam", "baseline:uniform"], tmp_path / "run"
    plain = interpfer.score(model, data, maps=maps, limit=8)
    half = interpfer.score(model, data, maps=maps, limit=8, autocast="bf16", out=out)
    assert json.loads((out / "run.json").read_text())["arguments"]["autocast"] == "bf16"
    assert plain.manifest["arguments"]["autocast"] == "off"
    assert half.score("gradcam") == pytest.approx(plain.score("gradcam"), abs=0.02)
    assert half.score("gradcam") != plain.score("gradcam")
    with pytest.raises(RunError, match="was started with another autocast"):
        interpfer.score(model, data, maps=maps, limit=8, out=out, resume=True)
    with pytest.raises(InterpferError, match="autocast must be one of off, bf16, fp16, got 'half'"):
        interpfer.score(model, data, maps=maps, autocast="half")


def test_reasons_outlive_a_kill_after_the_last_batch(
    model: Model, data: DemoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a map of many passes is only known to be impossible when it is tried, and nothing is left to try
    maps = ["gradcam", "hirescam", "guided-gradcam", "everything"]
    monkeypatch.setattr("interpfer.maps.GROUPS", {"everything": "", "baselines": ""})
    monkeypatch.setattr("interpfer.maps._members", lambda _: ("cam", "lrp"))
    monkeypatch.setattr("interpfer.maps.captum_provider.RUNAWAY", -1.0)  # every relevance runs away
    arguments = {"maps": maps, "layers": "all", "limit": 8, "batch_size": 4}
    whole = interpfer.score(model, data, **arguments)
    assert "does not conserve relevance" in whole.manifest["refused"]["lrp@input"]
    with monkeypatch.context() as patch:
        patch.setattr("interpfer.scoring.score.finish_run", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            interpfer.score(model, data, **arguments, out=tmp_path / "run")
    monkeypatch.setattr("interpfer.scoring.score.score_batch", lambda *_: pytest.fail("nothing is left to score"))
    resumed = interpfer.score(model, data, **arguments, out=tmp_path / "run", resume=True)
    assert resumed.manifest["refused"] == whole.manifest["refused"]
    assert resumed.manifest["same"] == whole.manifest["same"]
    pd.testing.assert_frame_equal(resumed.scores, whole.scores)


def test_maps_that_once_differ_are_never_called_the_same(
    model: Model, data: DemoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell_apart(maps: dict[Key, Tensor]) -> dict[Key, Key]:
        return {} if len(maps) == 2 else find_duplicates(maps)  # the pairs of a batch, not those of the first images

    monkeypatch.setattr("interpfer.scoring.batch.find_duplicates", tell_apart)
    arguments = {"maps": ["gradcam", "hirescam", "attention"], "limit": 6}
    with monkeypatch.context() as patch:
        patch.setattr("interpfer.scoring.score.finish_run", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            interpfer.score(model, data, **arguments, out=tmp_path / "run")
    assert interpfer.score(model, data, **arguments, out=tmp_path / "run", resume=True).manifest["same"] == {}


def test_batch_size_is_a_number_or_auto(model: Model, data: DemoDataset) -> None:
    with pytest.raises(InterpferError, match="batch size must be a whole number or auto, got 'big'"):
        interpfer.score(model, data, batch_size="big")
