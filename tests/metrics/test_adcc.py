"""ADCC against its parts, one by one."""

import numpy as np
import torch
from scipy.stats import pearsonr

from interpfer.maps.compute import compute_maps
from interpfer.metrics.adcc import adcc, combine
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN


def test_parts_and_composite_of_a_network() -> None:
    torch.manual_seed(0)
    model = load_model(SmallCNN(3, 8).eval(), classes=["a", "b", "c"], input_size=32)
    images = torch.rand(3, 3, 32, 32)
    found = adcc(model, images, ["attention"], targets=["a", "b", "c"])
    ((key, ours),) = found.items()
    model.module.eval()
    raw = compute_maps(model, images, ["attention"])[key]
    for n in range(3):
        low, high = raw[n].min(), raw[n].max()
        shown = torch.nn.functional.interpolate(((raw[n] - low) / (high - low))[None, None], (32, 32), mode="bilinear")[
            0
        ]
        masked = images[n : n + 1] * shown
        again = compute_maps(model, masked, ["attention"])[key][0]
        low, high = again.min(), again.max()
        other = torch.nn.functional.interpolate(((again - low) / (high - low))[None, None], (32, 32), mode="bilinear")[
            0
        ]
        coherency = (pearsonr(shown.flatten(), other.flatten())[0] + 1) / 2
        before, after = (
            model.logits(model.preprocess(each)).softmax(1)[0, n].item() for each in (images[n : n + 1], masked)
        )
        drop = max(0.0, before - after) / before
        parts = [coherency, 1 - float(shown.mean()), 1 - drop]
        np.testing.assert_allclose(float(ours.coherency[n]), coherency, rtol=1e-4)
        np.testing.assert_allclose(float(ours.average_drop[n]), drop, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(float(ours.adcc[n]), 3 / sum(1 / part for part in parts), rtol=1e-4)


def test_undefined_maps_have_none() -> None:
    maps = torch.rand(2, 4, 4)
    maps[0] = torch.nan
    other = maps.clone()
    other[1] = 0.5
    for part in combine(maps, other, torch.tensor([0.5, 0.5]))[:1]:
        assert part.isnan().all()
