from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.finetuning.blend import blend_weights, is_blended, plain_recipe
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.recipe import Recipe
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN

CLASSES = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
CHOICES: dict[str, Any] = {"epochs": 2, "batch_size": 8, "device": "cpu", "test": None, "val_fraction": 0.3}


@pytest.fixture(scope="module")
def faces() -> DemoDataset:
    return DemoDataset("train", count=20, size=48)


def network() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(7, width=4), classes=CLASSES, input_size=48)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(path, weights_only=False).state_dict())


@pytest.fixture(scope="module")
def blended(faces: DemoDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("blend")
    result = interpfer.finetune(network(), faces, out=out, **CHOICES)
    assert result.model.card.lineage == "fine-tuned from SmallCNN, guide 3 + 4.5, seed 0, 25% plain"
    assert (
        interpfer.load_model(out / "guided.pt", trust=True).card.lineage
        == "fine-tuned from SmallCNN, guide 3 + 4.5, seed 0"
    )
    assert any("the weights are 25% of a plain training and 75% of the guided one" in note for note in result.notes)
    return out


def test_weights_lie_between_a_guided_and_a_plain_training(blended: Path, faces: DemoDataset, tmp_path: Path) -> None:
    guided, plain, mixed = (weights(blended / name) for name in ("guided.pt", "plain/model.pt", "model.pt"))
    for name, value in mixed.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * guided[name] + 0.25 * plain[name])
    for name, choices in (("guided.pt", {"blend": 0.0}), ("plain/model.pt", {"weight": 0.0})):
        own = tmp_path / name.replace("/", "-")
        interpfer.finetune(network(), faces, out=own, **CHOICES, **choices)
        for key, value in weights(own / "model.pt").items():
            assert torch.equal(value, weights(blended / name)[key]), key


def test_a_finished_blend_resumes_to_the_same_bytes(blended: Path, faces: DemoDataset) -> None:
    before = (blended / "model.pt").read_bytes()
    interpfer.finetune(network(), faces, out=blended, resume=True, **CHOICES)
    assert (blended / "model.pt").read_bytes() == before
    assert len(pd.read_csv(blended / "plain/history.csv")) == 2


def test_overwriting_clears_a_blend(blended: Path, faces: DemoDataset) -> None:
    interpfer.finetune(network(), faces, out=blended, overwrite=True, blend=0.0, **CHOICES)
    assert not (blended / "plain").exists()
    assert not (blended / "guided.pt").exists()


def test_only_what_is_guided_is_blended() -> None:
    assert is_blended(Recipe())
    assert is_blended(Recipe(guide=Guide(weight=0.0, patch_contrast=1.0)))
    assert not is_blended(Recipe(guide=Guide(weight=0.0)))
    assert not is_blended(Recipe(blend=0.0))


def test_plain_recipe_has_no_guide() -> None:
    recipe = Recipe(guide=Guide(weight=4.0, patch_contrast=1.0, flip_consistency=1.0), blend=0.5)
    guide = plain_recipe(recipe).guide
    assert (guide.weights, guide.patch_contrast, guide.flip_consistency) == ((0.0, 0.0), 0.0, 0.0)
    assert plain_recipe(recipe).blend == 0


def test_whole_numbers_are_kept() -> None:
    first, second = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    second(torch.randn(8, 2))
    mixed = blend_weights(first, second, 0.5)
    assert mixed.state_dict()["num_batches_tracked"] == 0
    torch.testing.assert_close(mixed.running_mean, second.running_mean / 2)
