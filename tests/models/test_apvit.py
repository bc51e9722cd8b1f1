"""APViT: both attentive poolings against a plain forward of one image, its names, and its attention as a layer."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer import compute_maps, load_model
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import ModelError
from interpfer.finetuning.run import finetune
from interpfer.models.apvit import APViT, largest, take
from interpfer.models.new_network import new_network

TINY = {"size": 48, "widths": (6, 6, 6, 8), "blocks": (1, 2, 1), "dim": 16, "depth": 4, "heads": 2, "keep": 20}


def tiny(**arguments: object) -> APViT:
    torch.manual_seed(0)
    network = APViT(3, **{**TINY, **arguments}).eval()
    for name, value in network.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(value, std=0.3)
    return network


def plain_block(block: torch.nn.Module, tokens: Tensor, rate: float) -> Tensor:
    """One block on the tokens of one image, head by head; tokens are dropped one by one."""
    normed = F.layer_norm(tokens, (16,), block.norm1.weight, block.norm1.bias, 1e-6)
    query, key, value = (normed @ block.attn.qkv.weight.T).chunk(3, 1)
    mixed, attention = [], torch.zeros(len(tokens) - 1)
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        scores = query[:, part] @ key[:, part].T / 8**0.5
        attention += scores[0, 1:]
        mixed.append(scores.softmax(1) @ value[:, part])
    tokens = tokens + block.attn.proj(torch.cat(mixed, 1))
    ranks = sorted(range(len(attention)), key=lambda place: -attention[place].item())
    kept = sorted(ranks[: int(len(ranks) * rate)])
    tokens = torch.stack([tokens[0], *(tokens[1 + place] for place in kept)])
    hidden = F.gelu(block.mlp["fc1"](F.layer_norm(tokens, (16,), block.norm2.weight, block.norm2.bias, 1e-6)))
    return tokens + block.mlp["fc2"](hidden)


def plain_forward(network: APViT, image: Tensor, keep: int, rates: list[float]) -> tuple[Tensor, Tensor]:
    """Logits of one image, and the attention of its patches."""
    vit, features = network.vit, network.extractor(image[None])[0]
    patches = torch.stack([vit.projs[0].weight[:, :, 0, 0] @ features[:, y, x] for y in range(6) for x in range(6)])
    patches = patches + vit.projs[0].bias
    attention = patches.abs().sum(1)
    ranks = sorted(range(36), key=lambda place: -attention[place].item())
    positions = vit.patch_pos_embed[0]
    kept = [patches[place] + positions[place] for place in sorted(ranks[:keep])]
    tokens = torch.stack([(vit.cls_token + vit.cls_pos_embed)[0, 0], *kept])
    for block, rate in zip(vit.blocks, rates, strict=True):
        tokens = plain_block(block, tokens, rate)
    token = F.layer_norm(tokens[0], (16,), vit.norm.weight, vit.norm.bias, 1e-6)
    return network.head["fc"](token), attention.reshape(6, 6)


def test_it_is_the_plain_forward_of_each_image_also_where_the_batch_has_as_many_images_as_tokens() -> None:
    network = tiny()
    counts = []
    for block in network.vit.blocks:
        block.register_forward_hook(lambda *args: counts.append(args[2].shape[1]))
    images = torch.rand(21, 3, 48, 48)  # 20 patches and the class token
    with torch.no_grad():
        logits = network(images)
        for row in (0, 7, 20):
            torch.testing.assert_close(
                logits[row], plain_forward(network, images[row], 20, [1, 1, 0.9, 0.9])[0], atol=1e-5, rtol=1e-4
            )
    assert counts == [21, 21, 19, 17]


def test_the_published_sizes_keep_144_129_116_and_104_of_160_patches() -> None:
    network = APViT(7, widths=(4, 4, 4, 4), blocks=(1, 1, 1), dim=16).eval()
    counts = []
    for block in network.vit.blocks:
        block.register_forward_hook(lambda *args: counts.append(args[2].shape[1] - 1))
    network(torch.rand(1, 3, 112, 112))
    assert counts == [160] * 4 + [144, 129, 116, 104]


def test_it_has_the_names_and_shapes_of_the_published_file() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in APViT(7).state_dict().items()}
    assert sum(name.endswith("res_layer.1.weight") for name in shapes) == 3 + 4 + 14
    published = {
        "extractor.input_layer.0.weight": (64, 3, 3, 3),
        "extractor.input_layer.2.weight": (64,),
        "extractor.body.0.0.res_layer.4.running_mean": (64,),
        "extractor.body.1.0.shortcut_layer.0.weight": (128, 64, 1, 1),
        "extractor.body.2.13.res_layer.3.weight": (256, 256, 3, 3),
        "vit.cls_token": (1, 1, 768),
        "vit.patch_pos_embed": (1, 196, 768),
        "vit.cls_pos_embed": (1, 1, 768),
        "vit.projs.0.weight": (768, 256, 1, 1),
        "vit.blocks.7.attn.qkv.weight": (2304, 768),
        "vit.blocks.7.attn.proj.bias": (768,),
        "vit.blocks.0.mlp.fc1.weight": (2304, 768),
        "vit.blocks.0.norm2.weight": (768,),
        "vit.norm.bias": (768,),
        "head.fc.weight": (7, 768),
    }
    assert {name: shapes.get(name) for name in published} == published
    assert set(shapes) == names_of_their_modules()


def names_of_their_modules() -> set[str]:
    """Names of the state of their modules, read in their code at commit 9864285: irse, vit_siam_merge, linear_head."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = {"input_layer.0.weight", "input_layer.2.weight", *(f"input_layer.1.{each}" for each in norm)}
    widths = (64, 64, 128, 256)
    for stage, units in enumerate((3, 4, 14)):
        for unit in range(units):
            block = f"body.{stage}.{unit}"
            names |= {f"{block}.res_layer.{layer}.weight" for layer in (1, 2, 3)}
            names |= {f"{block}.res_layer.{layer}.{each}" for layer in (0, 4) for each in norm}
            if unit == 0 and widths[stage] != widths[stage + 1]:
                names |= {f"{block}.shortcut_layer.0.weight", *(f"{block}.shortcut_layer.1.{each}" for each in norm)}
    tokens = {"projs.0.weight", "projs.0.bias", "cls_token", "patch_pos_embed", "cls_pos_embed"}
    tokens |= {"norm.weight", "norm.bias"}
    for block in range(8):
        tokens.add(f"blocks.{block}.attn.qkv.weight")
        parts = ("norm1", "norm2", "attn.proj", "mlp.fc1", "mlp.fc2")
        tokens |= {f"blocks.{block}.{part}.{each}" for part in parts for each in ("weight", "bias")}
    extractor = {f"extractor.{name}" for name in names}
    return extractor | {f"vit.{name}" for name in tokens} | {"head.fc.weight", "head.fc.bias"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vit.alpha": torch.ones(())}, r"vit\.alpha"),
        ({"vit.norm.weight": None}, r"vit\.norm\.weight"),
        ({"vit.patch_pos_embed": torch.zeros(1, 49, 16)}, r"vit\.patch_pos_embed"),
    ],
)
def test_a_file_of_other_names_or_shapes_is_refused_by_name(
    change: dict[str, Tensor | None], message: str, tmp_path: Path
) -> None:
    state = {name: value for name, value in (tiny().state_dict() | change).items() if value is not None}
    torch.save({"state_dict": state}, tmp_path / "other.pth")
    classes = ["anger", "fear", "sadness"]
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "other.pth", preset="apvit/7", arch_args=TINY, input_size=48, classes=classes)


def test_a_file_loads_through_the_preset_and_its_attention_is_a_layer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = tiny(size=48)
    torch.save({"meta": {"epoch": 40}, "state_dict": network.state_dict()}, tmp_path / "tiny.pth")
    model = load_model(
        tmp_path / "tiny.pth", preset="apvit/7", arch_args=TINY, input_size=48, classes=["anger", "fear", "sadness"]
    )
    images = torch.rand(2, 3, 48, 48)
    x = model.preprocess(images)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), network(x), atol=1e-6, rtol=0)
        attention = torch.stack([plain_forward(network, image, 20, [1, 1, 0.9, 0.9])[1] for image in x])
    assert model.layers("all") == ("extractor.body.0", "extractor.body.1", "vit.projs.0")
    (found,) = compute_maps(model, images, "attention", layers=["vit.pooling"]).values()
    torch.testing.assert_close(found, attention, atol=1e-4, rtol=1e-4)
    (cam,) = compute_maps(model, images, "gradcam", layers=["last"], targets="fear").values()
    assert cam.shape == (2, 6, 6)


def test_its_attention_is_guided_and_images_of_another_size_are_refused(tmp_path: Path) -> None:
    faces = DemoDataset("train", count=14, size=48)
    arguments = {name: value for name, value in TINY.items() if name != "size"}
    model = new_network("interpfer:apvit", classes=faces.classes, input_size=48, arch_args=arguments)
    assert model.card.arch_args["size"] == 48
    choices = {"align": "attention", "align_layers": "vit.pooling", "weight": 5.0, "blend": 0.0, "freeze": "none"}
    choices |= {"lr": 0.01, "epochs": 2, "batch_size": 7, "device": "cpu", "test": None}
    result = finetune(model, faces, out=tmp_path / "out", **choices)
    assert result.history["attention"].iloc[1] < result.history["attention"].iloc[0]
    assert load_model(tmp_path / "out" / "model.pt").layer("vit.pooling").grid == (6, 6)
    with pytest.raises(ModelError, match="was built for images of 48 px, got a grid of"):
        model.module(torch.rand(2, 3, 64, 64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 50}, "size must be a multiple of 8, got 50."),
        ({"dim": 15}, r"dim must be a multiple of heads \(2\), got 15."),
        ({"rate": 0.0}, "rate must be above 0 and at most 1, got 0.0."),
        ({"keep": 0}, "keep must be at least 1, got 0."),
        ({"blocks": (1, 1)}, r"widths and blocks must be of a stem and three stages, got \(1, 1\)."),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=f"interpfer:apvit: {message}"):
        APViT(3, **{**TINY, **arguments})


def test_pretrained_weights_are_for_networks_of_libraries() -> None:
    with pytest.raises(ModelError, match="--pretrained needs torchvision:NAME or timm:NAME as MODEL, got interpfer:"):
        new_network("interpfer:apvit-small", True, classes="rafdb")
    small = new_network("interpfer:apvit-small", classes="rafdb")
    assert small.card.input.size == 112


def test_gradients_are_finite_differences() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0, 5.0]], dtype=torch.float64)
    tokens = torch.randn(1, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: take(x, largest(scores, 2)), tokens)
    network = tiny().double()
    features = torch.randn(1, 8, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: network.vit(x), features, fast_mode=True)
