from dataclasses import replace

import pytest
import torch

from interpfer.datasets.demo import DemoDataset
from interpfer.faces.stream import FaceStream
from interpfer.finetuning.accelerator import make_accelerator
from interpfer.finetuning.augment import Mixture
from interpfer.finetuning.cross_entropy import CrossEntropy
from interpfer.finetuning.loop import Trainer
from interpfer.finetuning.pool import FacePool
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN
from interpfer.truth.base import Truth
from tests.conftest import EXPRESSIONS
from tests.finetuning.trainings import QUICK


def test_a_class_without_faces_has_no_weight(drawn: DemoDataset) -> None:
    model = load_model(SmallCNN(8, width=4), classes=[*EXPRESSIONS, "contempt"], input_size=32)
    train_pool, heldout_pool = (
        FacePool(FaceStream(drawn, resolve_landmarks(None, drawn.landmarks()), 32), tuple(range(14))) for _ in range(2)
    )
    for pool in (train_pool, heldout_pool):
        pool.load(lambda *_: None)
    trainer = Trainer(
        model, replace(QUICK, class_weights=True), train_pool, heldout_pool, make_accelerator("cpu", "no")
    )
    assert trainer.cross_entropy.weights is not None
    assert trainer.cross_entropy.weights[-1] == 0
    assert (trainer.cross_entropy.weights[:-1] > 0).all()


def test_mixed_targets_count_by_their_shares() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    targets, others = torch.tensor([0, 0]), torch.tensor([1, 0])
    truth = Truth(torch.zeros(2, 1, 1), torch.zeros(2, dtype=torch.bool))
    mixed, first, second = (
        float(CrossEntropy()(logits, Mixture(torch.zeros(2, 3, 4, 4), a, b, share, truth, truth)))
        for a, b, share in ((targets, others, 0.75), (targets, targets, 1.0), (others, others, 1.0))
    )
    assert mixed == pytest.approx(0.75 * first + 0.25 * second)
