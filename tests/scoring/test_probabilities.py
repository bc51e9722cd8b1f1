"""Confidences and faithfulness metrics take the probabilities of a network in the same way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from interpfer.datasets.csv import CsvDataset
from interpfer.faces.stream import to_tensor
from interpfer.metrics.queries import ModelProbe
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.results.batch_file import BatchResult
from interpfer.results.folder import RunFolder
from interpfer.results.run import Run
from interpfer.scoring.score import score
from tests.conftest import EXPRESSIONS


@pytest.fixture(scope="module")
def models(checkpoint: Path) -> tuple[Model, Model]:
    """A network that returns logits, and the same with a softmax at its end."""
    plain = load_model(checkpoint)
    network = nn.Sequential(plain.module, nn.Softmax(1))
    return plain, load_model(network, classes=EXPRESSIONS, input_size=48, mean=0.5, std=0.25)


def scored(model: Model, faces: Path) -> tuple[Run, list[float]]:
    """Score a model, and return the confidences too."""
    confidences: list[float] = []
    add = RunFolder.add

    def add_and_record(self: RunFolder, part: BatchResult) -> None:
        confidences.extend(part.confidence.tolist())
        add(self, part)

    options: dict[str, Any] = {"data_root": faces, "landmarks": faces / "landmarks.txt", "device": "cpu", "limit": 14}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "add", add_and_record)
        run = score(model, "csv", maps="baseline:center", metrics="deletion,insertion", target="predicted", **options)
    return run, confidences


def test_a_final_softmax_changes_neither_confidence_nor_deletion(models: tuple[Model, Model], faces: Path) -> None:
    (plain, confidences), (softmax, same_confidences) = (scored(model, faces) for model in models)
    assert len(confidences) == 14
    np.testing.assert_allclose(same_confidences, confidences, atol=1e-6)
    for name in ("deletion", "insertion"):
        assert plain.per_image[name].notna().sum() > 5
        np.testing.assert_allclose(softmax.per_image[name], plain.per_image[name], atol=1e-5)


def test_the_confidence_is_the_probability_from_which_deletion_starts(models: tuple[Model, Model], faces: Path) -> None:
    dataset = CsvDataset.open(faces, "test")
    images = torch.stack([to_tensor(np.array(dataset.image(row)), 48) for row in range(4)])
    for model in models:
        logits = model.predict_logits(images)
        confidence = model.probabilities(logits.double()).amax(1)
        probe = ModelProbe(
            model.predict_probabilities, images, torch.ones(4, 8, 8), logits.argmax(1), (0, 1, 2, 3), seed=0
        )
        torch.testing.assert_close(probe.probability(images).double(), confidence, atol=1e-6, rtol=0)
