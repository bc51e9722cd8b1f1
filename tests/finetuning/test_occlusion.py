"""Training faces that are covered."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError
from interpfer.finetuning.occlusion import cut_truth, parse_training
from interpfer.models.small import SmallCNN
from interpfer.truth.base import Truth


def test_each_kind_covers_its_share_of_the_faces(demo_points: Tensor) -> None:
    occlusion = parse_training("mask:0.5,patches:0.2:0.25", cut=True)
    assert occlusion is not None
    points = demo_points.float().repeat(20, 1, 1)
    images, heat = torch.full((280, 3, 28, 28), -1.0), torch.ones(280, 224, 224)
    truth = Truth(heat, torch.ones(280, dtype=torch.bool))
    never = torch.zeros(280, dtype=torch.bool)
    random = torch.Generator().manual_seed(0)
    ids = [str(i) for i in range(280)]
    covered, kept = occlusion.apply(images, points, ids, truth, lambda: truth, never, random)
    hidden = (kept.maps == 0).flatten(1).float().mean(1)
    is_patches = (hidden - 39 / 196).abs() < 1e-6
    changed = (covered != images).flatten(1).any(1)
    assert abs(float(is_patches.float().mean()) - 0.25) < 0.08
    assert abs(float((changed & ~is_patches).float().mean()) - 0.5) < 0.09
    assert torch.equal(hidden > 0, changed)


def test_what_is_left_of_a_cut_truth() -> None:
    truth = Truth(torch.ones(2, 2, 2), torch.ones(2, dtype=torch.bool))
    hole = torch.tensor([[[True, False], [False, False]], [[True, True], [True, True]]])
    cut = cut_truth(truth, hole)
    assert cut.maps[0].tolist() == [[0, 1], [1, 1]]
    assert cut.valid.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mask", "occlude train must be KIND:P with a probability from 0 to 1, such as mask:0.3, got 'mask'"),
        ("mask:2", "occlude train must be KIND:P with a probability from 0 to 1"),
        ("guided:0.2:0.5", "occluder guided needs a map, which training has none of; choose another"),
        ("mask:0.6,hand:0.6", "the probabilities of --occlude-train must add up to at most 1, got 1.2"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(InterpferError, match=message):
        parse_training(text, cut=False)


def test_a_training_with_covered_faces_differs_from_a_plain_one(tmp_path: Path) -> None:
    losses = []
    for chosen in (None, "au:0.5,mask:0.5"):
        torch.manual_seed(0)
        model = interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "surprise"], input_size=48)
        result = interpfer.finetune(
            model,
            DemoDataset("train", count=14, size=48),
            epochs=1,
            device="cpu",
            test=None,
            occlude_train=chosen,
            weight=0,
            out=tmp_path / str(chosen is None),
        )
        losses.append(result.history["loss"].tolist())
    assert losses[0] != losses[1]
