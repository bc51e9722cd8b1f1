"""Image-text models from the command line: score, per action unit, explain, inspect, finetune."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from interpfer.cli import group
from interpfer.inspection.candidates import compare_orders
from interpfer.labels import CLASS_ORDERS
from interpfer.models.loading import load_model
from tests.image_text_models import write_folder

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")


def invoke(*args: str | Path) -> Result:
    done = CliRunner().invoke(group, [*map(str, args), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def data(faces: Path) -> list[str | Path]:
    return ["--dataset", "csv", "--data-root", faces, "--landmarks", faces / "landmarks.txt"]


def test_score_says_which_texts_were_used(clip: Path, data: list[str | Path], tmp_path: Path) -> None:
    maps = "gradcam,patch-text"
    options = ["--classes", "rafdb", "--prompts", "aus", "--maps", maps, "--metrics", "cosine", "--limit", "4"]
    done = invoke("score", clip, *data, *options, "--out", tmp_path / "run")
    said = "classes are texts (prompts aus:belharbi2024): surprise 'a photo of a surprised face' and 9 more"
    assert said in done.output.replace("\n", " ")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    texts = manifest["network"]["prompts"]
    assert list(texts) == ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    assert texts["happiness"][3:5] == [
        "a photo of a face with lip corners pulled up",
        "a photo of a face with a smiling mouth",
    ]
    assert any(said in warning for warning in manifest["warnings"])
    assert not manifest["refused"]
    assert "classes are texts (prompts aus:belharbi2024)" in (tmp_path / "run" / "report.html").read_text()
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    assert set(scores["map"]) >= set(maps.split(","))
    assert "--prompts aus" in " ".join(manifest["command"])


def test_maps_of_action_units_by_their_texts(clip: Path, data: list[str | Path], tmp_path: Path) -> None:
    options = ["--target", "au", "--card-aus", "codebook", "--maps", "gradcam,patch-text", "--metrics", "cosine"]
    prompts = {"AU12": ["a smiling mouth"], "happiness": "a happy man", "sadness": "a sad man"}
    chosen = ["--classes", "happiness,sadness", "--prompts", json.dumps(prompts), "--limit", "6", "--no-report"]
    invoke("score", clip, *data, *options, *chosen, "--out", tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    texts, command = manifest["network"]["prompts"], manifest["command"]
    assert json.loads(command[command.index("--prompts") + 1]) == prompts
    assert texts["AU12"] == ["a smiling mouth"]
    assert texts["AU1"][0] == "a photo of a face with raised inner brows"
    assert texts["AU0"] == ["a photo of a neutral face"]
    assert len(texts) == 2 + 18 + 1
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    assert {"AU1", "AU12"} <= set(scores[scores["map"] == "patch-text"]["group"])


def test_explain_and_inspect(clip: Path, faces: Path, tmp_path: Path) -> None:
    face = sorted((faces / "images").iterdir())[0]
    siglip = write_folder(tmp_path / "siglip2", "siglip2")
    options = [
        "--model",
        siglip,
        "--landmarks",
        faces / "landmarks.txt",
        "--label",
        "happiness",
        "--maps",
        "patch-text",
    ]
    done = invoke("explain", face, *options, "--out", tmp_path / "a.json")
    assert "patch-text" in done.output
    shown = CliRunner().invoke(group, ["inspect", str(clip)])
    assert shown.exit_code == 0, shown.output
    assert "prompts: template" in shown.output
    assert "tower.encoder.layers.3.layer_norm1" in shown.output
    assert "nothing is missing" in shown.output
    refused = CliRunner().invoke(group, ["inspect", str(clip), "--prompts", "{anger: rage}", "--classes", "fear,anger"])
    assert refused.exit_code == 1
    assert "no texts of fear; write some, or leave these classes out" in refused.output.replace("\n", " ")


def test_no_other_order_of_classes_is_suggested(clip: Path) -> None:
    model = load_model(clip, classes="rafdb")
    labels = ["anger", "fear", "fear", "happiness"]  # the order of another data set would be right for all of them
    predicted = np.array([CLASS_ORDERS["affectnet7"].index(name) for name in labels])
    (only,) = compare_orders(model, model.card.input, predicted, labels, True)
    assert only.classes == model.classes
    right = [model.classes[place] == name for place, name in zip(predicted, labels, strict=True)]
    assert only.accuracy == np.mean(right) < 1


def test_finetune_trains_the_image_tower_alone(clip: Path, data: list[str | Path], tmp_path: Path) -> None:
    options = ["--classes", "rafdb", "--epochs", "1", "--test-split", "none"]
    done = invoke("finetune", clip, *data, *options, "--out", tmp_path / "tuned")
    said = "only the image tower is trained; scale and embeddings of the texts are fixed: classes are texts (prompts"
    assert said in done.output.replace("\n", " ")
    tuned, before = load_model(tmp_path / "tuned" / "model.pt"), load_model(clip, classes="rafdb")
    after, weights = tuned.module.state_dict(), before.module.state_dict()
    same = [name for name in weights if weights[name].equal(after[name])]
    assert {"text", "au_text", "scale", "bias", "au_bias"} <= set(same)
    assert not {"projection.weight", "tower.post_layernorm.weight"} & set(same)
    assert tuned.card.prompts is not None
    assert tuned.card.prompts.source == "the card"
