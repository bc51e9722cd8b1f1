"""Networks that run a part of themselves without gradients, or whose head has none."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

import interpfer
from interpfer.cli.run_tables import notes
from interpfer.errors import ModelError
from interpfer.models.model import Model

CLASSES = ["anger", "fear", "happiness", "sadness", "surprise", "disgust", "neutral"]


class Probe(nn.Module):
    """A linear head on a backbone that runs under ``no_grad``, or in inference mode."""

    def __init__(self, inference: bool) -> None:
        super().__init__()
        self.backbone = resnet18(num_classes=7)
        self.backbone.fc = nn.Identity()
        self.head = nn.Linear(512, 7)
        self.inference = inference

    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode() if self.inference else torch.no_grad():
            features = self.backbone(x)
        return self.head(features)


class Frozen(nn.Module):
    """Only the first stage runs without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(16, 7)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.first(x)
        return self.fc(self.second(x).mean((2, 3)))


def load(network: nn.Module) -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(network, classes=CLASSES, input_size=64, name="probe")


@pytest.mark.parametrize("inference", [False, True])
def test_a_map_that_needs_gradients_is_refused_with_the_reason(inference: bool) -> None:
    model, images = load(Probe(inference)), torch.rand(2, 3, 64, 64)
    with pytest.raises(
        ModelError, match=r"map 'gradcam' cannot be computed for model probe at \S+: the logits do not depen"
    ):
        interpfer.compute_maps(model, images, ["gradcam"])
    with pytest.raises(
        ModelError, match=r"map 'saliency' cannot be computed .*torch.no_grad\(\), or what follows has no gra"
    ):
        interpfer.compute_maps(model, images, ["saliency"])
    maps = interpfer.compute_maps(model, images, ["attention"])
    assert all(raw.isfinite().all() for raw in maps.values())


def test_the_layers_behind_the_frozen_part_keep_their_maps() -> None:
    model, images = load(Frozen()), torch.rand(2, 3, 64, 64)
    maps = interpfer.compute_maps(model, images, ["gradcam", "attention"], ["first", "second"])
    assert maps["gradcam", "second"].isfinite().all()
    assert maps["gradcam", "first"].isnan().all()
    assert maps["attention", "first"].isfinite().all()


def test_a_score_leaves_it_out_and_says_why(faces: Path) -> None:
    options = {"data_root": faces, "landmarks": faces / "landmarks.txt", "device": "cpu"}
    run = interpfer.score(load(Probe(False)), "csv", maps="attention,gradcam", **options)
    assert set(run.scores["map"]) == {"attention"}
    (line,) = [note for note in notes(run) if note.startswith("left out: gradcam@")]
    assert "the logits do not depend on" in line
    with pytest.raises(ModelError, match="map 'gradcam' cannot be computed for model probe"):
        interpfer.score(load(Probe(False)), "csv", maps="gradcam", **options)


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_head_has_no_gradients() -> None:
    network = resnet18(num_classes=7).eval()
    quantised = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, torch.qint8)
    with pytest.raises(ModelError, match="map 'gradcam' cannot be computed .*quantised layers"):
        interpfer.compute_maps(load(quantised), torch.rand(2, 3, 64, 64), ["gradcam"])
