"""LoRA adapters: merged as peft merges them, or refused in one line that names the base."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

import interpfer
from interpfer.errors import ModelError
from interpfer.models.readers.adapter import find_base
from interpfer.models.readers.lora import find_unsupported, merge_lora

warnings.simplefilter("ignore")


def factors(name: str, *shapes: tuple[int, ...]) -> dict[str, Tensor]:
    torch.manual_seed(0)
    first, second = (torch.randn(shape) for shape in shapes)
    prefix = f"base_model.model.{name}"
    return {f"{prefix}.lora_A.weight": first, f"{prefix}.lora_B.weight": second}


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"lora_alpha": 6}, 3.0),
        ({"lora_alpha": 6, "use_rslora": True}, 6 / 2**0.5),
        ({"lora_alpha": 6, "alpha_pattern": {"fc": 10}}, 5.0),
        ({"lora_alpha": 6, "alpha_pattern": {"other": 10}}, 3.0),
    ],
)
def test_a_linear_layer(config: dict[str, Any], scale: float) -> None:
    layer, x = nn.Linear(5, 3), torch.randn(4, 5)
    adapter = factors("head.fc", (2, 5), (3, 2))
    first, second = adapter.values()
    expected = layer(x) + scale * (x @ first.T @ second.T)
    weights = {f"head.fc.{name}": value for name, value in layer.state_dict().items()}
    merged = merge_lora(weights, adapter, config, "adapter")
    torch.testing.assert_close(F.linear(x, merged["head.fc.weight"], merged["head.fc.bias"]), expected)
    assert torch.equal(weights["head.fc.weight"], layer.weight)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution(groups: int) -> None:
    layer, x = nn.Conv2d(4, 6, 3, groups=groups, bias=False), torch.randn(2, 4, 8, 8)
    first, second = torch.randn(2, 4 // groups, 3, 3), torch.randn(6, 2, 1, 1)
    adapter = {"c.lora_A.default.weight": first, "c.lora_B.default.weight": second}
    merged = merge_lora({"c.weight": layer.weight}, adapter, {"lora_alpha": 4}, "adapter")["c.weight"]
    change = sum(second[:, r, 0, 0].view(6, 1, 1, 1) * first[r] for r in range(2))
    torch.testing.assert_close(merged, layer.weight + 2 * change)
    if groups == 1:
        expected = layer(x) + 2 * F.conv2d(F.conv2d(x, first), second)
        torch.testing.assert_close(F.conv2d(x, merged), expected, atol=1e-4, rtol=1e-4)


def test_transposed_weights_and_biases() -> None:
    adapter = factors("fc", (2, 5), (3, 2)) | {"base_model.model.fc.lora_B.bias": torch.ones(3)}
    weights = {"fc.weight": torch.zeros(5, 3), "fc.bias": torch.zeros(3)}
    merged = merge_lora(weights, adapter, {"lora_alpha": 2, "fan_in_fan_out": True}, "adapter")
    first, second, _ = adapter.values()
    torch.testing.assert_close(merged["fc.weight"], (second @ first).T)
    assert merged["fc.bias"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (
            factors("other", (2, 5), (3, 2)),
            r"its base has no 'other\.weight' \(it has fc\.weight\): the",
        ),
        (factors("fc", (2, 7), (3, 2)), r"the change of fc\.weight is \(3, 7\), the layer \(3, 5\)"),
        (factors("fc", (2, 5), (3, 4)), r"the factors of fc are not a pair"),
        ({"fc.lora_embedding_A": torch.ones(2, 2)}, r"is not a factor of a linear layer or convolution"),
    ],
)
def test_what_does_not_fit(adapter: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        merge_lora({"fc.weight": torch.zeros(3, 5)}, adapter, {}, "adapter")


def test_kinds_that_are_not_merged() -> None:
    assert find_unsupported({"peft_type": "LORA", "use_dora": True}) == "DoRA"
    assert find_unsupported({"peft_type": "IA3"}) == "IA3"
    assert find_unsupported({"peft_type": "LORA", "use_rslora": True}) == ""


def write(folder: Path, adapter: dict[str, Tensor], **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(adapter, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | config))
    return folder


def test_the_base_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    path = write(tmp_path / "adapter", factors("fc", (2, 5), (3, 2)), base_model_name_or_path="google/vit-x")
    message = r"an adapter for google/vit-x, which is not on this machine: download it \(hf download google/vit-x\)"
    with pytest.raises(ModelError, match=message):
        interpfer.load_model(path, classes="anger,fear")
    (tmp_path / "vit-x").mkdir()
    (tmp_path / "vit-x" / "config.json").write_text('{"architecture": "test_resnet"}')
    assert find_base(path, "google/vit-x") == tmp_path / "vit-x"
    write(path, factors("fc", (2, 5), (3, 2)), base_model_name_or_path="google/vit-x", use_dora=True)
    with pytest.raises(ModelError, match=r"\(DoRA\) for google/vit-x, which only peft can merge: .*merge_and_unload"):
        interpfer.load_model(path, classes="anger,fear")


def test_a_network_of_timm(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3).eval()
    (tmp_path / "base").mkdir()
    config = {"architecture": "test_resnet", "num_classes": 3, "label_names": ["angry", "fear", "sad"]}
    (tmp_path / "base" / "config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), tmp_path / "base" / "model.safetensors")
    out, inner = network.fc.weight.shape
    adapter = factors("fc", (2, inner), (out, 2))
    path = write(tmp_path / "adapter", adapter, base_model_name_or_path=str(tmp_path / "base"), lora_alpha=2)
    model = interpfer.load_model(path, input_size=32)
    first, second = adapter.values()
    with torch.no_grad():
        network.fc.weight += second @ first
    torch.testing.assert_close(model.logits(model.noise), network(model.noise))
    assert model.classes == ("anger", "fear", "sadness")
    assert any("the adapter was merged into" in note for note in model.notes)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("vit") / "base"
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.ViTConfig(**sizes, intermediate_size=16, image_size=32, patch_size=16, num_labels=3)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rslora", [False, True])
def test_it_is_what_peft_computes(vit: Path, tmp_path: Path, rslora: bool) -> None:
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    names = {index: f"LABEL_{index}" for index in range(7)}
    network = transformers.ViTForImageClassification.from_pretrained(
        vit, num_labels=7, id2label=names, label2id={name: index for index, name in names.items()},
        ignore_mismatched_sizes=True,
    )  # fmt: skip
    query = next(name for name, _ in network.named_modules() if name.endswith(("query", "q_proj")))
    adapted = peft.get_peft_model(network, peft.LoraConfig(
        r=2, lora_alpha=6, use_rslora=rslora, target_modules=[query.rpartition(".")[2], "projection"],
        modules_to_save=["classifier"],
    ))  # fmt: skip
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(value)
    adapted.eval().save_pretrained(tmp_path / "adapter")
    model = interpfer.load_model(tmp_path / "adapter", classes="fer2013")
    with torch.no_grad():
        expected = adapted(model.noise).logits
    torch.testing.assert_close(model.logits(model.noise), expected)
    assert not torch.allclose(
        expected, interpfer.load_model(vit, classes="anger,fear,sadness").logits(model.noise)[:, :1]
    )
