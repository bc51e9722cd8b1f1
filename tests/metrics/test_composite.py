"""ADCC against its parts, one by one."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.absent import NoLandmarks
from interpfer.maps.compute import compute_maps
from interpfer.metrics.composite import combine, measure_adcc
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN


def test_parts_and_composite_of_a_network() -> None:
    torch.manual_seed(0)
    model = load_model(SmallCNN(3, 8).eval(), classes=["a", "b", "c"], input_size=32)
    images = torch.rand(3, 3, 32, 32)
    found = measure_adcc(model, images, ["attention"], targets=["a", "b", "c"])
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


def test_the_metric_of_a_score_is_the_composite_of_the_function() -> None:
    """At 224 px, the side of the canvas, both enlarge the map alike; a constant map has no correlation."""
    torch.manual_seed(0)
    classes = ["anger", "fear", "happiness"]
    model = interpfer.load_model(SmallCNN(3, 4).eval(), classes=classes, input_size=224)
    faces = DemoDataset("test", count=3, size=48)
    chosen = ["gradcam", "baseline:uniform"]
    run = interpfer.score(model, faces, maps=chosen, metrics="adcc,average_drop", target="fear", protocol="corrected")
    own, uniform = (run.per_image[run.per_image["map"] == name].reset_index(drop=True) for name in chosen)
    own = own[own["label"] != "neutral"]
    images = FaceStream(faces, NoLandmarks(), 224, False, model.card.input).read(range(3)).faces.images
    rows = [int(name[5:9]) - 1 for name in own["image"]]
    ((_, parts),) = measure_adcc(model, images[rows], ["gradcam"], targets=["fear"] * len(rows)).items()
    assert own["adcc"].to_numpy() == pytest.approx(parts.adcc.numpy(), rel=1e-3)
    assert own["average_drop"].to_numpy() == pytest.approx(parts.average_drop.numpy(), abs=1e-4)
    assert uniform["adcc"].isna().all()  # it correlates with nothing
