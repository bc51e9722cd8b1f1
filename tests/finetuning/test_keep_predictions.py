import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from interpfer.finetuning.keep_predictions import InitialPredictions, divergence
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN


def test_the_divergence_is_that_of_scipy_and_its_gradient_that_of_finite_differences() -> None:
    random = np.random.default_rng(0)
    before, now = random.normal(size=(2, 3, 5))
    wanted = rel_entr(softmax(before, 1), softmax(now, 1)).sum(1).mean()
    assert float(divergence(torch.tensor(before), torch.tensor(now))) == pytest.approx(wanted)
    logits = torch.tensor(now, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: divergence(torch.tensor(before), x), logits)


def test_the_predictions_stay_those_of_the_network_as_it_was() -> None:
    torch.manual_seed(0)
    model = load_model(SmallCNN(3, width=4), classes=["anger", "fear", "sadness"], input_size=32)
    images = torch.rand(4, 3, 32, 32)
    logits, initial = model.predict_logits(images), InitialPredictions(model)
    assert float(initial.distance(images, logits)) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        model.module.head.bias[0] += 1
    later = model.predict_logits(images)
    assert float(initial.distance(images, later)) == pytest.approx(float(divergence(logits, later)))
    assert float(initial.distance(images, later)) > 1e-4
