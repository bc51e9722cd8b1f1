"""Networks of open_clip, against the library's own logits."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from interpfer.errors import ModelError
from interpfer.finetuning.checkpoints import needs_trust, write_model
from interpfer.maps.compute import compute_maps
from interpfer.models.image_text.architecture import from_image_text
from interpfer.models.image_text.open_clip import describe_assumptions, from_open_clip, locate_weights
from interpfer.models.loading import load_model

open_clip: Any = pytest.importorskip("open_clip")
pytestmark = pytest.mark.filterwarnings("ignore")
TEXTS = ["a photo of an angry face", "a photo of a fearful face"]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny CLIP by the name ``tiny-clip``, with its file of weights as ``path``."""
    vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 20, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "tiny-clip.json").write_text(json.dumps({"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(folder / "tiny-clip.json")
    torch.manual_seed(0)
    network = open_clip.create_model("tiny-clip", load_weights=False).eval()
    torch.save(network.state_dict(), folder / "weights.pt")
    network.path = folder / "weights.pt"
    return network


def test_logits_are_those_of_the_library(network: Any, tmp_path: Path) -> None:
    model = load_model(network.path, arch="open_clip:tiny-clip", classes="anger,fear", aus=[12])
    x = model.preprocess(torch.rand(2, 3, 32, 32))
    tokens = open_clip.get_tokenizer("tiny-clip")
    smile = ["a photo of a face with lip corners pulled up", "a photo of a face with a smiling mouth"]
    with torch.no_grad():
        expected, _ = network.get_logits(x, tokens(TEXTS))
        torch.testing.assert_close(model.logits(x), expected, atol=1e-5, rtol=1e-5)
        rows = network.encode_text(tokens([*smile, "a photo of a neutral face"]), normalize=True)
        difference = F.normalize(rows[:2].mean(0), dim=0) - rows[2]
        of_au = network.logit_scale.exp() * network.encode_image(x, normalize=True) @ difference
        torch.testing.assert_close(model.for_aus().logits(x)[:, 0], of_au, atol=1e-5, rtol=1e-5)
    assert model.layers("all") == ("tower.transformer.resblocks.0", "tower.transformer.resblocks.1.ln_1")
    assert model.notes[0] == "input assumed as open_clip prepares tiny-clip: those of OpenAI's CLIP"
    assert (model.card.input.size, model.card.input.interpolation) == (32, "bicubic")
    by_address = load_model(f"open_clip:tiny-clip{network.path}", classes="anger,fear")
    torch.testing.assert_close(by_address.logits(x), model.logits(x))
    assert (by_address.name, by_address.card.arch) == ("weights", "open_clip:tiny-clip")
    assert by_address.sha256 != load_model(f"open_clip:tiny-clip{network.path}", classes="fear,anger").sha256
    write_model(tmp_path / "m.pt", model.module, model.card)
    assert not needs_trust(model.module, model.card)
    again = load_model(tmp_path / "m.pt")
    assert again.card.arch == "image-text:open_clip"
    assert torch.equal(again.logits(x), model.logits(x))
    assert torch.equal(again.for_aus().logits(x), model.for_aus().logits(x))


def test_patches_are_compared_with_texts(network: Any) -> None:
    model = load_model(network.path, arch="open_clip:tiny-clip", classes="anger,fear")
    images = torch.rand(1, 3, 32, 32)
    maps = compute_maps(model, images, ["patch-text", "attention-rollout"], targets=[1])
    given: list[Any] = []
    visual = model.module.tower
    handle = visual.transformer.resblocks[1].register_forward_pre_hook(lambda _, args: given.append(args[0]))
    with torch.no_grad():
        model.logits(model.preprocess(images))
        handle.remove()
        alone = visual.transformer.resblocks[1](given[0][:, 6:7])
        feature = (visual.ln_post(alone) @ visual.proj)[0, 0]
        logit = network.logit_scale.exp() * F.cosine_similarity(feature, model.module.text[1], dim=0)
    torch.testing.assert_close(maps["patch-text", "input"][0, 1, 1], logit, atol=1e-4, rtol=1e-4)
    assert maps["attention-rollout", "input"].shape == (1, 4, 4)


def test_assumptions_on_the_input() -> None:
    fields, note = describe_assumptions("ViT-B-16-SigLIP")
    assert (fields["size"], fields["mean"], "crop" in fields) == (224, [0.5] * 3, False)
    assert note.endswith("mean, deviation and resizing of its published weights")
    fields, note = describe_assumptions("ViT-B-32")
    assert (fields["resize"], fields["crop"], fields["mean"][0]) == (224, 224, 0.481455)
    assert "weights of OpenAI need open_clip:ViT-B-32-quickgelu, as their activation is another one" in note


def test_what_is_refused(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="open_clip has no model 'tiny-clipp'. Did you mean tiny-clip"):
        from_open_clip("tiny-clipp", 2)
    with pytest.raises(ModelError, match="arch_args may hold force_quick_gelu, force_image_size, got pretrained: the"):
        from_open_clip("tiny-clip", 2, pretrained="openai")
    with pytest.raises(ModelError, match="must be open_clip:NAME/TAG or open_clip:NAME/FILE, got 'open_clip:ViT-B-32'"):
        locate_weights("open_clip:ViT-B-32")
    with pytest.raises(ModelError, match="no such file, and no such tag. Did you mean openai"):
        locate_weights("open_clip:ViT-B-32/opena")
    long = "a " * 19 + "a"
    with pytest.raises(ModelError, match=f"the text '{long}' has more than the 20 tokens that the model reads"):
        load_model(network.path, arch="open_clip:tiny-clip", classes="anger,fear", prompts={"anger": long, "fear": "x"})
    with pytest.raises(ModelError, match="image-text:open_clip' cannot|open_clip has no model ''"):
        from_image_text("open_clip", 2)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda _: 1 / 0)
    with pytest.raises(ModelError, match="cannot be downloaded: ZeroDivisionError"):
        locate_weights("open_clip:ViT-B-32/openai")
    monkeypatch.setitem(__import__("sys").modules, "open_clip", None)
    with pytest.raises(ModelError, match=r"package open_clip, which is not installed: pip install 'interpfer\[clip\]'"):
        from_open_clip("tiny-clip", 2)
