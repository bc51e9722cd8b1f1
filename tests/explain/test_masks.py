"""An explanation where the truth is masks: no face is looked for, and its words say mask."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import interpfer
from interpfer.cli import group
from interpfer.explain.facs import facts, rules_text, sentence
from interpfer.explain.sheet import explanation_sheet
from interpfer.landmarks.embedded import EmbeddedLandmarks
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(2), classes=["anger", "happiness"], input_size=48)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 90, (40, 60, 3), np.uint8)
    pixels[10:30, 20:45] = 240
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "masks.csv").write_text("image,class,x0,y0,x1,y1\na.png,happiness,20,10,45,30\n")
    return tmp_path / "a.png"


def test_a_picture_is_compared_with_its_mask(picture: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a face was looked for")

    monkeypatch.setattr(EmbeddedLandmarks, "__init__", refuse)
    options = {"truth": "masks", "masks": picture.parent / "masks.csv", "maps": "gradcam", "device": "cpu"}
    why = interpfer.explain_image(picture, model, label="happiness", target="label", **options)
    (item,) = why.maps
    mask = why.heat["happiness"]
    assert mask[56:168, 75:168].mean() > 0.97
    assert mask.sum() == pytest.approx(20 * 25 * (224 / 40) * (224 / 60), rel=0.02)
    a, b = item.values.flatten(), mask.flatten()
    assert item.scores["happiness"].cosine == pytest.approx(float(a @ b / a.norm() / b.norm()), abs=1e-4)
    assert item.regions == item.face_regions == ()
    assert f"with the mask of happiness is {item.scores['happiness'].cosine:.2f}" in sentence(why)
    assert rules_text(why) == "protocol corrected, masks masks.csv"
    for word in ("AU", "face", "FACS"):
        assert word not in sentence(why)
    assert facts(why)["masks_digest"]
    explanation_sheet(why, picture.parent / "why.png")
    assert (picture.parent / "why.png").stat().st_size > 10_000
    without = interpfer.explain_image(picture, model, label="anger", target="label", **options)
    assert sentence(without).endswith("The picture has no mask of anger, so there is nothing to compare the maps with.")
    other = picture.parent / "b.png"
    Image.open(picture).save(other)
    bare = interpfer.explain_image(other, model, label="anger", target="label", **options)
    assert sentence(bare).endswith("The picture has no mask, so there is nothing to compare the maps with.")


def test_the_command_takes_masks(picture: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"state_dict": model.module.state_dict()}, picture.parent / "m.pt")
    (picture.parent / "m.yaml").write_text(
        "arch: interpfer.models.small:SmallCNN\narch_args: {classes: 2}\nclasses: [anger, happiness]\n"
        "input: {size: 48}\n"
    )
    words = "explain a.png --model m.pt --truth masks --masks masks.csv --label happiness --json --trust --maps gradcam"
    monkeypatch.chdir(picture.parent)
    done = CliRunner().invoke(group, [*words.split(), "--device", "cpu", "--out", "x.json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["masks"] == "masks.csv"
