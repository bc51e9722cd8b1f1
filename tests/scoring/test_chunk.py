"""Truths and means of a chunk: drawn once, and only what a baseline needs."""

from typing import Any

import pandas as pd
import pytest
import torch

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.maps import MAPS
from interpfer.models.small import SmallCNN
from interpfer.results.run import Run
from interpfer.scoring.session import ScoreSession
from interpfer.truth.base import Truth
from interpfer.truth.means import TruthMeans
from tests.conftest import EXPRESSIONS

FACES = 8


def score(maps: str = "gradcam,baseline:class-mean-au") -> Run:
    torch.manual_seed(0)
    model = interpfer.load_model(SmallCNN(len(EXPRESSIONS)), classes=EXPRESSIONS, input_size=48)
    return interpfer.score(model, DemoDataset("test", count=FACES, size=48), maps=maps, device="cpu", batch_size=4)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of faces in each call that draws truths."""
    counts, draw = list[int](), ScoreSession.draw_truth

    def count(self: ScoreSession, samples: Any, landmarks: Any) -> Any:
        counts.append(len(samples))
        return draw(self, samples, landmarks)

    monkeypatch.setattr(ScoreSession, "draw_truth", count)
    return counts


def test_a_truth_is_drawn_once_where_it_can_be_kept(drawn: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = score()
    assert sum(drawn) == FACES
    drawn.clear()
    monkeypatch.setattr("interpfer.truth.means.KEPT_BYTES", 0)
    drawn_twice = score()
    assert sum(drawn) == 2 * FACES
    pd.testing.assert_frame_equal(kept.scores, drawn_twice.scores, check_exact=True)
    pd.testing.assert_frame_equal(kept.per_image, drawn_twice.per_image, check_exact=True)


def test_means_that_no_baseline_needs_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, compute = list[int](), TruthMeans.mean_of_others

    def count(self: TruthMeans, truth: Truth, rows: Any) -> Any:
        calls.append(len(rows))
        return compute(self, truth, rows)

    monkeypatch.setattr(TruthMeans, "mean_of_others", count)
    assert [MAPS.get(f"baseline:{name}").heatmaps for name in ("mean-au", "class-mean-au")] == ["all", "class"]
    assert "baseline:class-mean-au" in set(score().scores["map"])
    assert not calls
    score("gradcam,baseline:mean-au")
    assert sum(calls) == FACES
