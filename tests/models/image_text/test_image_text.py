"""CLIP, SigLIP and SigLIP 2 as classifiers, against transformers' own outputs."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image
from torch import Tensor

from interpfer.errors import ModelError, TrustError
from interpfer.finetuning.checkpoints import needs_trust, read_model, write_model
from interpfer.inspection.checkpoint import inspect_checkpoint
from interpfer.labels import EXPRESSIONS
from interpfer.models.image_text.architecture import from_image_text
from interpfer.models.image_text.network import ImageTextNetwork, to_patches
from interpfer.models.loading import load_model
from interpfer.models.readers.proof import make_picture
from interpfer.models.small import SmallCNN
from tests.image_text_models import write_folder

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")
CLASSES = ("anger", "happiness", "neutral")


def library_logits(folder: Path, images: Tensor, texts: Sequence[str]) -> Tensor:
    """Return logits_per_image of the library's own model and tokenizer for prepared images."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    length = model.config.text_config.max_position_embeddings
    padding: dict[str, Any] = (
        {"padding": True} if folder.name == "clip" else {"padding": "max_length", "max_length": length}
    )
    tokens = tokenizer(list(texts), return_tensors="pt", **padding)
    pictures: dict[str, Any] = {"pixel_values": images}
    if folder.name == "siglip2":
        pictures = {
            "pixel_values": to_patches(images, 8),
            "pixel_attention_mask": torch.ones(len(images), 36, dtype=torch.int32),
            "spatial_shapes": torch.tensor([[6, 6]] * len(images)),
        }
    with torch.no_grad():
        logits: Tensor = model(**tokens, **pictures).logits_per_image
    return logits


def test_logits_are_those_of_the_library(folder: Path) -> None:
    torch.manual_seed(0)
    model = load_model(folder, classes=CLASSES)
    x = model.preprocess(torch.rand(3, 3, 48, 48))
    expected = library_logits(folder, x, [f"a photo of {word} face" for word in ("an angry", "a happy", "a neutral")])
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 0.03  # random, but not all alike
    assert model.classes == CLASSES
    assert "classes are texts (prompts template): anger 'a photo of an angry face', happiness" in model.notes[-1]
    assert not [name for name, _ in model.module.named_parameters() if "text" in name]
    assert model.output_kind == "logits"


def test_several_texts_are_averaged_and_action_units_have_logits(folder: Path) -> None:
    texts = {"anger": ["an angry face", "a man with lowered brows"], "fear": "fear"}
    model = load_model(folder, classes=["fear", "anger"], aus=[12, 4], prompts=texts | {"AU4": "lowered brows"})
    x = model.preprocess(torch.rand(2, 3, 48, 48))
    smile = ["a photo of a face with lip corners pulled up", "a photo of a face with a smiling mouth"]
    listed = ["fear", *texts["anger"], *smile, "lowered brows", "a photo of a neutral face"]
    library = transformers.AutoModel.from_pretrained(folder).eval()
    scale = library.logit_scale.exp().item()
    bias = getattr(library, "logit_bias", torch.zeros(())).item()
    cosines = (library_logits(folder, x, listed) - bias) / scale
    # the mean of unit vectors, made of length 1: its cosine is the mean cosine over the length of the mean
    towers = transformers.AutoTokenizer.from_pretrained(folder)
    length = library.config.text_config.max_position_embeddings
    fill: dict[str, Any] = (
        {"padding": "max_length", "max_length": length} if folder.name != "clip" else {"padding": True}
    )
    with torch.no_grad():
        features = library.get_text_features(**towers(listed, return_tensors="pt", **fill))
        rows = F.normalize(getattr(features, "pooler_output", features), dim=1)
        logits = model.logits(x)
        aus = model.for_aus().logits(x)
    anger = cosines[:, 1:3].mean(1) / rows[1:3].mean(0).norm()
    smiling = cosines[:, 3:5].mean(1) / rows[3:5].mean(0).norm()
    expected = torch.stack([cosines[:, 0], anger], 1) * scale + bias
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    of_aus = torch.stack([smiling, cosines[:, 5]], 1)
    expected_aus = scale * (of_aus - cosines[:, 6:]) if folder.name == "clip" else of_aus * scale + bias
    torch.testing.assert_close(aus, expected_aus, atol=1e-4, rtol=1e-4)
    assert model.for_aus().outputs == ("AU12", "AU4")
    assert model.for_aus().output_kind == "logits"  # also where all of them lie between 0 and 1


def test_pictures_are_prepared_as_the_publisher_does(folder: Path) -> None:
    model = load_model(folder, classes=CLASSES)
    picture = make_picture()
    if folder.name == "siglip2":
        picture = picture.crop((0, 0, 150, 150))
        assert any("keeps the aspect ratio of pictures that are not square" in note for note in model.notes)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    expected = processor(images=picture, return_tensors="pt")["pixel_values"]
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(picture.height, picture.width, 3)
    x = model.preprocess(pixels.permute(2, 0, 1)[None].float() / 255)
    x = to_patches(x, 8) if folder.name == "siglip2" else x
    assert (x - expected).abs().mean() < 0.01
    assert isinstance(picture, Image.Image)


def test_layers_are_those_of_the_image_tower(folder: Path) -> None:
    model = load_model(folder, classes=CLASSES)
    blocks = [f"tower.{'vision_model.' if folder.name == 'siglip2' else ''}encoder.layers.{i}" for i in range(4)]
    if folder.name == "clip":  # no gradient leads from the class token to the patches of the last block
        assert model.layers("all") == (*blocks[:3], f"{blocks[3]}.layer_norm1")
    else:
        assert model.layers("all") == (*blocks, f"{blocks[0].partition('encoder')[0]}post_layernorm")
    layer = model.layer(model.layers("last")[0])
    assert (layer.grid, layer.prefix, layer.channels) == ((6, 6), 1 if folder.name == "clip" else 0, 16)


def test_default_classes_are_said_to_be_assumed(clip: Path) -> None:
    model = load_model(clip)
    assert model.classes == EXPRESSIONS
    assert model.notes[0].startswith("no classes are named: the 8 expressions assumed (anger, disgust")
    assert not any("assumed" in note for note in load_model(clip, classes=CLASSES).notes)
    assert load_model(clip, aus="emfacs").card.aus == (1, 2, 4, 5, 6, 7, 9, 12, 14, 15, 16, 20, 23, 26)
    with pytest.raises(ModelError, match="lists no action units of class 'contempt'"):
        load_model(clip, prompts="aus")


def test_prompts_decide_the_hash_and_the_identity(clip: Path) -> None:
    a, b = load_model(clip, classes=CLASSES), load_model(clip, classes=CLASSES, prompts="aus")
    assert a.sha256 != b.sha256
    assert a.card.identity != b.card.identity
    assert a.sha256 == load_model(clip, classes=CLASSES, prompts="template").sha256
    card = {"classes": list(CLASSES), "prompts": "a {} face", "name": "mine", "aus": "codebook"}
    clip.with_suffix(".yaml").write_text(yaml.safe_dump(card))
    try:
        model = load_model(clip)
        assert (model.name, model.card.prompts.classes["anger"]) == ("mine", ("an angry face",))  # type: ignore[union-attr]
        assert len(model.card.aus) == 18
        assert load_model(clip, prompts="template").card.prompts.source == "template"  # type: ignore[union-attr]
    finally:
        clip.with_suffix(".yaml").unlink()


def test_a_fine_tuned_network_keeps_its_texts(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder, classes=CLASSES, aus=[4, 12], prompts="aus")
    with torch.no_grad():
        for value in model.module.parameters():
            value.add_(0.1 * torch.randn_like(value))
    write_model(tmp_path / "model.pt", model.module, model.card)
    assert not needs_trust(model.module, model.card)
    again = load_model(tmp_path / "model.pt")
    x = model.preprocess(torch.rand(2, 3, 48, 48))
    assert torch.equal(again.logits(x), model.logits(x))
    assert torch.equal(again.for_aus().logits(x), model.for_aus().logits(x))
    assert again.card.arch == f"image-text:{folder.name}"
    assert again.card.prompts.to_dict() == model.card.prompts.to_dict()  # type: ignore[union-attr]
    assert again.layers("all") == model.layers("all")
    best = read_model(tmp_path / "model.pt", model)
    assert torch.equal(best.logits(x), model.logits(x))
    with pytest.raises(ModelError, match="prompts are the texts of an image-text model"):
        load_model(tmp_path / "model.pt", prompts="template")
    if folder.name != "clip":
        return
    report, inspected = inspect_checkpoint(tmp_path / "model.pt")
    assert inspected is not None
    assert not report.missing
    assert report.card["prompts"]["AU12"]


def test_other_models_have_no_prompts(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="this checkpoint has no text tower; leave prompts out"):
        load_model(checkpoint, prompts="aus")
    shutil.copy(checkpoint, tmp_path / "m.pt")
    card = yaml.safe_load(checkpoint.with_suffix(".yaml").read_text()) | {"prompts": "template"}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ModelError, match="no text tower"):
        load_model(tmp_path / "m.pt")
    with pytest.raises(ModelError, match=r"must be one of clip, siglip, siglip2"):
        from_image_text("other", 3)
    with pytest.raises(TrustError, match="contains its own code"):
        from_image_text("clip", 3, auto_map={"AutoModel": "own.Own"})
    assert not isinstance(SmallCNN(2), ImageTextNetwork)


def test_folders_that_cannot_be_read(clip: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(clip, tmp_path / name))

    without = copy("without")
    (without / "tokenizer.json").unlink()
    with pytest.raises(
        ModelError, match=r"without has no tokenizer \(tokenizer.json, vocab.json, merges.txt or spiece"
    ):
        load_model(without)
    broken = copy("broken")
    (broken / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="the tokenizer of .*broken cannot be read"):
        load_model(broken)
    with pytest.raises(ModelError, match="does not know all of the text 'a photo of a zebra face'"):
        load_model(clip, classes=["zebra", "fear"])
    with pytest.raises(ModelError, match=f"the text '{'a ' * 40}a' has 42 tokens, and the model reads 24"):
        load_model(clip, classes=["anger", "fear"], prompts={"anger": "a " * 40 + "a", "fear": "a man"})
    other = copy("other")
    config = json.loads((other / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 7  # the end of text is looked for by this number
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="its texts do not end with the token 7 that the config names"):
        load_model(other)
    small = write_folder(tmp_path / "small", "clip", text_config={"vocab_size": 20})
    with pytest.raises(ModelError, match=r"its tokenizer is not that of its weights: token \d+ of a vocabulary of 20"):
        load_model(small)
    uneven = write_folder(tmp_path / "uneven", "siglip", text_config={"projection_size": 10})
    with pytest.raises(ModelError, match="texts have embeddings of width 10 and images of 16, so they cannot be comp"):
        load_model(uneven)
    half = copy("half")
    weights = {name: value for name, value in _weights(half).items() if not name.startswith("text_model.")}
    torch.save(weights, half / "pytorch_model.bin")
    (half / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="an image-text model needs the weights of both towers"):
        load_model(half)


def _weights(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_the_end_of_text_is_found_by_its_number(tmp_path: Path) -> None:
    end = len(json.loads((write_folder(tmp_path / "a", "clip") / "tokenizer.json").read_text())["model"]["vocab"]) - 1
    folder = write_folder(tmp_path / "clip", "clip", text_config={"eos_token_id": end})
    model = load_model(folder, classes=["anger", "fear"], prompts={"anger": "a photo of an angry man", "fear": "fear"})
    x = model.preprocess(torch.rand(2, 3, 48, 48))
    expected = library_logits(folder, x, ["a photo of an angry man", "fear"])
    torch.testing.assert_close(model.logits(x).detach(), expected, atol=1e-5, rtol=1e-5)
