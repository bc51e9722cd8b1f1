"""TS-CAM: its head, the attention of the class token as a layer, and the product of both, against a plain forward."""

from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer import compute_maps, load_model
from interpfer.datasets.base import Dataset
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import ModelError
from interpfer.finetuning.checkpoints import write_model
from interpfer.finetuning.run import FinetuneResult, finetune
from interpfer.models.heads.attach import attach_head
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN

CLASSES = ("anger", "fear", "sadness")
SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
PREFIXES = {"vit_tiny_patch16_224": 1, "deit_tiny_distilled_patch16_224": 2}


def headed(name: str = "vit_tiny_patch16_224", classes: tuple[str, ...] = CLASSES) -> Model:
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=len(classes), **SIZES)
    for block in network.blocks:
        torch.nn.init.normal_(block.attn.qkv.weight, std=0.5)  # attention unlike a uniform one
    model = load_model(network, classes=classes, input_size=32, arch=f"timm:{name}", arch_args=SIZES)
    return attach_head(model, "ts-cam")


def plain_run(model: Model, x: Tensor, prefix: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, maps of all classes, and the attention of the class token of one image, step by step."""
    trunk, conv = model.module.trunk, model.module.head.conv
    tokens = trunk._pos_embed(trunk.patch_embed(x[None]))
    rows = []
    for block in trunk.blocks:
        query, key, value = (
            part.reshape(-1, 2, 12).transpose(0, 1) for part in block.attn.qkv(block.norm1(tokens))[0].chunk(3, 1)
        )
        attention = torch.stack([(query[h] @ key[h].T / 12**0.5).softmax(1) for h in range(2)])
        rows.append(attention[:, 0, prefix:].mean(0))
        mixed = torch.cat([attention[h] @ value[h] for h in range(2)], 1)
        tokens = tokens + block.attn.proj(mixed)
        tokens = tokens + block.mlp(block.norm2(tokens))
    grid = trunk.norm(tokens)[0, prefix:].T.reshape(24, 4, 4)
    maps = F.conv2d(grid[None], conv.weight, conv.bias, padding=1)[0]
    return maps.mean((1, 2)), maps, torch.stack(rows).mean(0).reshape(4, 4)


@pytest.mark.parametrize("name", PREFIXES)
def test_its_logits_maps_and_token_attention_are_those_of_a_plain_forward_in_any_batch(name: str) -> None:
    model, images, targets = headed(name), torch.rand(3, 3, 32, 32), [2, 0, 1]
    model.module.eval()
    maps = compute_maps(model, images, ["cam", "ts-cam", "attention"], layers=["last"], targets=targets)
    token = compute_maps(model, images, "attention", layers=["token_attention"], targets=targets)
    for row, target in enumerate(targets):
        with torch.no_grad():
            logits, scores, attention = plain_run(model, images[row], PREFIXES[name])
        close = {"atol": 1e-5, "rtol": 1e-4}
        torch.testing.assert_close(model.predict_logits(images)[row], logits, **close)
        torch.testing.assert_close(maps["cam", "trunk.norm"][row], scores[target], **close)
        torch.testing.assert_close(token["attention", "token_attention"][row], attention, **close)
        torch.testing.assert_close(maps["ts-cam", "input"][row], attention * scores[target], **close)


def test_a_saved_one_gives_the_same_logits_and_attention_is_computed_on_demand(tmp_path: Path) -> None:
    model, images = headed(), torch.rand(2, 3, 32, 32)
    write_model(tmp_path / "model.pt", model.module, model.card)
    again = load_model(tmp_path / "model.pt")
    torch.testing.assert_close(again.predict_logits(images), model.predict_logits(images), atol=1e-6, rtol=0)
    calls: list[Tensor] = []
    drop = again.module.trunk.blocks[0].attn.attn_drop
    handle = drop.register_forward_hook(lambda *args: calls.append(args[2]))
    again.predict_logits(images)
    assert not calls
    again.layers("last")
    calls.clear()
    compute_maps(again, images, "attention", layers=["token_attention"])
    handle.remove()
    assert len(calls) == 1
    assert again.module.trunk.blocks[0].attn.fused_attn


def test_a_network_without_a_class_token_is_refused() -> None:
    model = load_model(SmallCNN(3, width=4), classes=CLASSES, input_size=32)
    with pytest.raises(ModelError) as caught:
        attach_head(model, "ts-cam")
    assert str(caught.value) == (
        "a TsCamHead needs a transformer with a class token, such as timm:deit_small_patch16_224; SmallCNN has none at "
        "its last layer, stages.3 (16 x 4 x 4)."
    )


@pytest.fixture(scope="module")
def faces() -> Dataset:
    return DemoDataset("train", count=14, size=32)


def train(model: Model, faces: Dataset, out: Path, **choices: object) -> FinetuneResult:
    guide = {"align": "attention", "align_layers": "token_attention", "weight": 5.0}
    fixed = {"epochs": 2, "batch_size": 7, "freeze": "none", "device": "cpu", "test": None, "lr": 0.01, "blend": 0.0}
    return finetune(model, faces, out=out, **fixed | guide | choices)


def test_the_token_attention_is_guided_and_a_resumed_training_has_the_same_bits(faces: Dataset, tmp_path: Path) -> None:
    model = headed(classes=faces.classes)
    guided = train(model, faces, tmp_path / "guided")
    assert guided.history["attention"].iloc[1] < guided.history["attention"].iloc[0]

    class StoppedError(Exception):
        pass

    def stop(_: dict[str, object]) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        train(model, faces, tmp_path / "cut", report=stop)
    resumed = train(model, faces, tmp_path / "cut", resume=True)
    for one, two in zip(guided.model.module.parameters(), resumed.model.module.parameters(), strict=True):
        assert torch.equal(one, two)
