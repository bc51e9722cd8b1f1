"""LeGrad, Grad-ECLIP, value-cam and window-rollout against hand-made cases, plain restatements, and a peer."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import MaxVit, SwinTransformer, VisionTransformer

from interpfer.errors import ModelError
from interpfer.maps import MAPS
from interpfer.maps.attention_maps import legrad_of_blocks
from interpfer.maps.base import MapContext
from interpfer.maps.engine import run_maps
from interpfer.maps.windows import SoftmaxRecorder, Windows, find_windows, hand_back
from interpfer.models.attention import record_attention
from interpfer.models.hooks import hooked
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from tests.maps.test_transformers import deit, maxvit, swin, timm_vit

SIZE = 64
NAMES = ("legrad", "grad-eclip", "value-cam")


def load(network: nn.Module) -> Model:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.2)
    return load_model(network, classes=["a", "b", "c"], input_size=SIZE)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def vit() -> Model:
    return load(timm_vit())


@pytest.fixture(scope="module")
def torchvision_vit() -> Model:
    return load(VisionTransformer(SIZE, 16, 3, 2, 32, 64, num_classes=3))


def context_of(model: Model, images: Tensor, target: int = 1) -> MapContext:
    return MapContext(model, images, torch.full((len(images),), target), "input", (0,) * len(images), 0)


def compute(model: Model, images: Tensor, *names: str, target: int = 1) -> dict[str, Tensor]:
    targets = torch.full((len(images),), target)
    found = run_maps(model, images, {name: MAPS.get(name) for name in names}, (), targets)
    assert not found.refused
    return {name: raw for (name, _), raw in found.maps.items()}


class OneBlock(nn.Module):
    """Two blocks of which the first does nothing: values are inputs, and the logit is linear in the mean of tokens."""

    class Block(nn.Module):
        def __init__(self, works: bool) -> None:
            super().__init__()
            self.self_attention = nn.MultiheadAttention(4, 1, bias=False, batch_first=True)
            self.works = works

        def forward(self, x: Tensor) -> Tensor:
            mixed = self.self_attention(x, x, x, need_weights=False)[0]
            return mixed if self.works else x + 0 * mixed

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 4, 16, 16)
        self.blocks = nn.Sequential(self.Block(False), self.Block(True))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x).flatten(2).mT).mean(1))


def test_legrad_of_one_block_is_the_positive_part_of_what_the_values_say(images: Tensor) -> None:
    network = OneBlock()
    raw = legrad_of_blocks(context_of(load(network), images), 1)
    attention = network.blocks[1].self_attention
    with torch.no_grad():
        tokens = network.embed(images).flatten(2).mT
        values = tokens @ attention.in_proj_weight[8:].T @ attention.out_proj.weight.T
        expected = (values @ network.head.weight[1]).relu().reshape(2, 4, 4) / 16
    torch.testing.assert_close(raw, expected, rtol=1e-4, atol=1e-7)


def test_legrad_is_that_of_torchcam(torchvision_vit: Model, images: Tensor) -> None:
    from torchcam.methods import LeGrad

    network = torchvision_vit.module.eval()
    with LeGrad(network, list(network.encoder.layers)[-2:]) as peer:
        scores = network(images.clone().requires_grad_())
        expected = peer([1, 1], scores)[0]
    network.zero_grad()
    ours = compute(torchvision_vit, images, "legrad")["legrad"].flatten(1)
    ours = (ours - ours.amin(1, True)) / (ours.amax(1, True) - ours.amin(1, True))
    assert (F.cosine_similarity(ours, expected.flatten(1)) > 0.999).all()


def test_grad_eclip_is_its_formula_and_sums_to_the_score_if_weighted_by_attention(vit: Model, images: Tensor) -> None:
    network, last = vit.module, vit.module.blocks[-1].attn
    seen: list[Tensor] = []
    handles = [last.proj.register_forward_pre_hook(lambda _, given: seen.append(given[0]))]
    handles += [last.qkv.register_forward_hook(lambda _, __, output: seen.append(output))]
    recorded: list[Tensor] = []
    with hooked(network, {}), record_attention(network, recorded), torch.enable_grad():
        logits = network(images.clone().requires_grad_())
        packed, mixed = seen
        (slope,) = torch.autograd.grad(logits[:, 1].sum(), mixed)
    for handle in handles:
        handle.remove()
    expected, identity = torch.zeros(2, 16), torch.zeros(2)
    q, k, v = packed.detach().reshape(2, 17, 3, 2, 16).permute(2, 0, 3, 1, 4)
    for n in range(2):
        for head in range(2):
            g = slope[n, 0, 16 * head : 16 * head + 16]
            cosines = torch.stack([F.cosine_similarity(q[n, head, 0], k[n, head, i], dim=0) for i in range(1, 17)])
            likeness = (cosines - cosines.min()) / (cosines.max() - cosines.min())
            expected[n] += torch.stack([(g @ v[n, head, i]) * likeness[i - 1] for i in range(1, 17)])
            identity[n] += sum((g @ v[n, head, i]) * recorded[-1][n, head, 0, i].detach() for i in range(17))
    torch.testing.assert_close(identity, (slope[:, 0] * mixed[:, 0].detach()).sum(1), rtol=1e-3, atol=1e-6)
    ours = compute(vit, images, "grad-eclip")["grad-eclip"]
    torch.testing.assert_close(ours.flatten(1), expected.relu(), rtol=1e-3, atol=1e-6)


def test_value_cam_is_the_block_with_values_alone(vit: Model, images: Tensor) -> None:
    network, block = vit.module, vit.module.blocks[-1]
    tokens: list[Tensor] = []
    handle = block.register_forward_pre_hook(lambda _, given: tokens.append(given[0]))
    with hooked(network, {}), torch.no_grad():
        network(images)
        handle.remove()
        values = block.attn.qkv(block.norm1(tokens[0]))[..., 64:]
        path = tokens[0] + block.attn.proj(values)  # attention is the identity
        path = path + block.mlp(block.norm2(path))
        expected = network.head(network.norm(path))[:, 1:, 2].reshape(2, 4, 4)
    torch.testing.assert_close(compute(vit, images, "value-cam", target=2)["value-cam"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [deit, lambda: timm_vit(class_token=False, global_pool="avg")], ids=["deit", "mean"])
def test_other_heads_over_tokens(build: object, images: Tensor) -> None:
    model = load(build())
    maps = compute(model, images, *NAMES)
    alone = compute(model, images[1:], *NAMES)
    for name, raw in maps.items():
        assert raw.shape == (2, 4, 4)
        assert raw.std() > 0
        torch.testing.assert_close(raw[1:], alone[name], rtol=1e-3, atol=1e-5)


def test_attention_within_windows_is_refused(images: Tensor) -> None:
    model = load(swin())
    found = run_maps(model, images, {name: MAPS.get(name) for name in NAMES}, ())
    assert found.refused["legrad", "input"] == "LeGrad needs attention of all tokens to all tokens in each block."
    assert "not of all tokens to all tokens" in found.refused["grad-eclip", "input"]
    assert "attention within windows" in found.refused["value-cam", "input"]


def hugging_face_swin() -> nn.Module:
    from transformers import SwinConfig, SwinForImageClassification

    sides = {"image_size": SIZE, "patch_size": 4, "window_size": 4, "num_labels": 3}
    return SwinForImageClassification(SwinConfig(embed_dim=24, depths=[2, 2], num_heads=[2, 4], **sides))


def test_windows_that_are_filled_up_before_they_are_rolled() -> None:
    windows = Windows((3, 3), (2, 2), (1, 1), pads_first=True)
    values = torch.arange(1.0, 10).reshape(1, 3, 3)
    divided = windows.divide(values)
    assert divided[0].tolist() == [[5, 6, 8, 9], [0, 4, 0, 7], [0, 0, 2, 3], [0, 0, 0, 1]]
    torch.testing.assert_close(windows.unite(divided), values)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["hugging face swin", "torchvision maxvit"])
def test_places_attend_to_those_of_their_own_window(kind: str, images: Tensor) -> None:
    """The windows that are found are those of the network: a pixel changes the attention of its windows alone."""
    torch.manual_seed(0)
    if kind == "torchvision maxvit":
        network: nn.Module = MaxVit((SIZE, SIZE), 8, 4, [8], [1], 8, 0.0, num_classes=3)
        blocks = [m for m in network.modules() if type(m).__name__ == "PartitionAttentionLayer"]
    else:
        network = hugging_face_swin()
        blocks = [m for m in network.modules() if type(m).__name__ == "SwinLayer"][:2]
    for block in blocks:
        inputs: list[tuple[object, ...]] = []
        handle = block.register_forward_pre_hook(lambda _, given, inputs=inputs: inputs.append(given))
        with hooked(network, {}), torch.no_grad():
            network(images[:1])
        handle.remove()
        windows = find_windows(block, *inputs[0][:2])
        assert windows is not None
        x = inputs[0][0]
        place = (3, 9)
        changed = x.clone()
        at = (0, slice(None), *place) if x.dim() == 4 else (0, place[0] * windows.grid[1] + place[1])
        changed[at] = torch.randn_like(changed[at])
        with hooked(network, {}), torch.no_grad():
            before, after = (block(each, *inputs[0][1:]) for each in (x, changed))
        before, after = (each[0] if isinstance(each, tuple) else each for each in (before, after))
        moved = (before - after).abs().amax(1 if x.dim() == 4 else 2).reshape(1, *windows.grid) > 1e-6
        mark = torch.zeros(1, *windows.grid)
        mark[0, place[0], place[1]] = 1
        divided = windows.divide(mark)
        assert torch.equal(moved, windows.unite(divided.amax(2, keepdim=True).expand_as(divided)) > 0)


@pytest.mark.parametrize("is_spread", [False, True])
@pytest.mark.parametrize("shift", [(0, 0), (1, 2)])
def test_windows_are_divided_and_united(is_spread: bool, shift: tuple[int, int]) -> None:
    windows = Windows((6, 7), (2, 3), shift, is_spread)
    values = torch.arange(1.0, 85).reshape(2, 6, 7)
    divided = windows.divide(values)
    assert divided.shape == (2, 9, 6)
    torch.testing.assert_close(windows.unite(divided), values)
    first = values.roll((-shift[0], -shift[1]), (1, 2))[0]
    places = [(r * 3 if is_spread else r, c * 3 if is_spread else c) for r in range(2) for c in range(3)]
    assert divided[0, 0].tolist() == [float(first[place]) if place[1] < 7 else 0.0 for place in places]


def test_window_rollout_is_a_product_of_matrices() -> None:
    torch.manual_seed(0)
    windows = Windows((4, 4), (2, 2), (1, 1))
    attention = torch.rand(1, 4, 4, 4)
    whole = torch.zeros(16, 16)
    places = torch.arange(16.0).reshape(1, 4, 4)
    for window, tokens in enumerate(windows.divide(places)[0].int().tolist()):
        for a, query in enumerate(tokens):
            for b, key in enumerate(tokens):
                whole[query, key] = attention[0, window, a, b]
    row = torch.rand(1, 4, 4)
    expected = (row.flatten() + 1 / 16) @ (torch.eye(16) + whole) - 1 / 16
    torch.testing.assert_close(hand_back(row, attention, windows).flatten(), expected)
    fine = hand_back(row, torch.zeros(1, 16, 4, 4), Windows((8, 8), (2, 2)))
    torch.testing.assert_close(fine[0, :2, :2], row[0, :1, :1].expand(2, 2) / 4)


@pytest.mark.parametrize(
    "build",
    [
        swin,
        maxvit,
        lambda: SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=3),
        hugging_face_swin,
        lambda: MaxVit((SIZE, SIZE), 8, 4, [8, 16], [1, 1], 8, 0.0, num_classes=3),
    ],
)
def test_window_rollout_of_networks(build: object, images: Tensor) -> None:
    model = load(build())
    before, other = (compute(model, images, "window-rollout", target=target)["window-rollout"] for target in (1, 2))
    assert before.shape[1] == before.shape[2] >= 4
    assert (before >= 0).all()
    assert (before.std((1, 2)) > 0).all()
    assert not torch.allclose(before, other)
    alone = compute(model, images[1:], "window-rollout")["window-rollout"]
    torch.testing.assert_close(before[1:], alone, rtol=1e-3, atol=1e-6)


def test_window_rollout_needs_windows(vit: Model, images: Tensor) -> None:
    with pytest.raises(
        ModelError, match="window-rollout needs a Swin transformer of timm, torchvision or Hugging Face"
    ):
        MAPS.get("window-rollout").compute(context_of(vit, images))
    assert find_windows(vit.module, images) is None
    recorder = SoftmaxRecorder()
    with recorder:
        F.softmax(images, 1)
    assert not recorder.found


def test_maps_of_attention_share_the_pass(vit: Model, images: Tensor) -> None:
    names = (
        "gradcam",
        "attention-rollout",
        "gradient-rollout",
        "gradient-attention",
        "class-token-attention",
        "grad-eclip",
        "legrad",
        "value-cam",
    )
    layers = vit.layers("last")
    run_maps(vit, images, {name: MAPS.get(name) for name in names}, layers)  # finds out once how the layers are used
    calls: list[int] = []
    handle = vit.module.register_forward_hook(lambda *_: calls.append(1))
    found = run_maps(vit, images, {name: MAPS.get(name) for name in names}, layers, torch.tensor([1, -1]))
    assert len(calls) == 1
    for name in ("legrad", "value-cam"):
        assert MAPS.get(name).is_shared
        alone = run_maps(vit, images, {name: MAPS.get(name)}, (), torch.tensor([1, -1]))
        torch.testing.assert_close(alone.maps[name, "input"], found.maps[name, "input"], equal_nan=True)
    assert len(calls) == 3  # one forward each
    handle.remove()
    own = context_of(vit, images)
    for name in names[1:]:
        raw = found.maps[name, "input"]
        torch.testing.assert_close(raw[0], MAPS.get(name).compute(own)[0], rtol=1e-3, atol=1e-6)
        assert bool(raw[1].isnan().all()) is MAPS.get(name).class_specific
