"""Maps in a score: the same thing is marked, what cannot be made is left out and said, all kinds share the tables."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError, ModelError
from interpfer.expressions import NEUTRAL
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
    with pytest.raises(ModelError, match="map 'attention-rollout' cannot be made"):
        interpfer.score(model, data, maps="attention-rollout", limit=4)


def test_batch_size_is_a_number_or_auto(model: Model, data: DemoDataset) -> None:
    with pytest.raises(InterpferError, match="batch size 'big' is neither a number nor auto"):
        interpfer.score(model, data, batch_size="big")
