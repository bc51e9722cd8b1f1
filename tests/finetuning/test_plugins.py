"""Training plug-ins of ours: known answers, gradients, what they leave alone, and what they refuse."""

import math

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from interpfer.errors import InterpferError
from interpfer.finetuning.accelerator import TrainingForward
from interpfer.finetuning.augment import Mixture
from interpfer.finetuning.cross_entropy import CrossEntropy
from interpfer.finetuning.cut_patches import CutPatches, cut, merge
from interpfer.finetuning.flip_consistency import add_mirrored, flip_distance, mirror
from interpfer.finetuning.guidance import Guidance
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.token_weights import TokenWeights, weigh_tokens
from interpfer.maps.capture import LayerRecorder
from interpfer.models.heads.attach import attach_head
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.truth.base import Truth

CLASSES = ("anger", "fear", "sadness")
SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}


class Pointwise(nn.Module):
    """Stages that see one cell at a time, so that a patch has the features that it has in the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, 4)
        self.stages = nn.Sequential(*(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Tanh()) for _ in range(3)))
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.stages(self.stem(x)).mean((2, 3)))


def pointwise() -> Model:
    torch.manual_seed(0)
    return load_model(Pointwise(), classes=CLASSES, input_size=32, layers=["stages.0", "stages.1", "stages.2"])


def small() -> Model:
    torch.manual_seed(0)
    return load_model(SmallCNN(3, width=4), classes=CLASSES, input_size=64)


def tokens_model() -> Model:
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", num_classes=3, **SIZES)
    return attach_head(load_model(network, classes=CLASSES, input_size=32), "ts-cam")


def test_a_temperature_divides_the_logits_and_the_gradient() -> None:
    """With classes (2, 0) and temperature 2: log(1 + exp(-1)), and (softmax - target) / 2."""
    truth = Truth(torch.full((1, 1, 1), torch.nan), torch.tensor([False]))
    mixture = Mixture(torch.rand(1, 3, 1, 1), torch.tensor([0]), torch.tensor([1]), 1.0, truth, truth)
    logits = torch.tensor([[2.0, 0.0]], requires_grad=True)
    loss = CrossEntropy(temperature=2.0)(logits, mixture)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))
    loss.backward()
    own = 1 / (1 + math.exp(-1))
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([(own - 1) / 2, (1 - own) / 2])
    assert CrossEntropy()(logits, mixture).item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_an_enlarged_mirror_image_shows_the_middle() -> None:
    """Twice as large, the middle half of a ramp, turned around, each pixel halfway between two."""
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert mirror(ramp, 2.0)[0, 0, 3].tolist() == pytest.approx([5.25, 4.75, 4.25, 3.75, 3.25, 2.75, 2.25, 1.75])
    assert torch.equal(mirror(ramp), ramp.flip(-1))
    heat = torch.zeros(2, 8, 8)
    heat[0, 0, 0], heat[1, 4, 4] = 1.0, 1.0  # a corner, which is not seen any more, and the middle
    truth = Truth(heat, torch.tensor([True, True]), heat > 0)
    mixture = Mixture(torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), torch.tensor([0, 1]), 1.0, truth, truth)
    both = add_mirrored(mixture, 2.0)
    assert both.truth.valid.tolist() == [True, True, False, True]
    assert both.truth.ignore is not None
    assert both.truth.ignore[3, 3:6, 2:5].any()
    assert not both.truth.ignore[2].any()
    torch.testing.assert_close(both.images[2:], mirror(mixture.images, 2.0))


def test_maps_agree_if_that_of_the_enlarged_mirror_image_is_the_enlarged_mirrored_map() -> None:
    own = torch.rand(3, 6, 6, dtype=torch.float64)
    view = mirror(own[:, None], 1.5)[:, 0]
    assert flip_distance(torch.cat([own, 7 * view + 2]), 1.5).item() == pytest.approx(0, abs=1e-12)
    assert flip_distance(torch.cat([own, own]), 1.5).item() > 0.05
    maps = torch.randn(4, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: flip_distance(x, 1.3), maps)


def test_patches_are_the_quarters_and_come_back_where_they_were() -> None:
    features = torch.arange(2 * 16.0).reshape(2, 1, 4, 4)
    patches = cut(features)
    quarters = [features[i, :, y : y + 2, x : x + 2] for i in range(2) for y in (0, 2) for x in (0, 2)]
    assert torch.equal(patches, torch.stack(quarters))
    assert torch.equal(merge(patches), features)
    assert torch.equal(cut(features, 1), features)


def test_patches_that_see_one_cell_give_the_logits_of_the_whole() -> None:
    model, x, targets = pointwise(), torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 2, -1])
    branches = CutPatches(model, weight=0.5)
    assert branches.layers == ("stages.0", "stages.1")
    wanted = torch.nn.functional.cross_entropy(model.module(x)[:3], targets[:3])
    loss = branches.loss(model.module, x, [(1.0, targets), (0.0, targets)])
    assert loss is not None
    torch.testing.assert_close(loss, 0.5 * wanted)
    assert branches.loss(model.module, x, [(1.0, torch.full((4,), -1))]) is None


def test_a_cut_into_one_piece_is_the_network_and_a_cut_into_four_is_a_plain_loop() -> None:
    model, x, targets = small(), torch.rand(3, 3, 64, 64), torch.tensor([0, 1, 2])
    network = model.module.train()
    network.dropout.p = 0.0
    whole = CutPatches(model, 1.0, pieces=1).loss(network, x, [(1.0, targets)])
    assert whole is not None
    torch.testing.assert_close(whole, torch.nn.functional.cross_entropy(network(x), targets))
    network.eval()
    branches = CutPatches(model, 1.0)
    losses = []
    for name in branches.layers:
        stage = int(name.rpartition(".")[2]) + 1
        below, above = nn.Sequential(*network.stages[:stage]), nn.Sequential(*network.stages[stage:])
        features = below(x)
        half = features.shape[2] // 2
        rows = []
        for y in (0, half):
            row = [above(features[:, :, y : y + half, left : left + half]) for left in (0, half)]
            rows.append(torch.cat(row, 3))
        losses.append(torch.nn.functional.cross_entropy(network.head(torch.cat(rows, 2).mean((2, 3))), targets))
    got = branches.loss(network, x, [(1.0, targets)])
    assert got is not None
    torch.testing.assert_close(got, torch.stack(losses).mean())


def test_branches_leave_statistics_hooks_and_lower_stages_alone() -> None:
    model, x, targets = small(), torch.rand(3, 3, 64, 64), torch.tensor([0, 1, 2])
    network = model.module.requires_grad_().train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    recorder = LayerRecorder(model, model.layers("last"))
    branches = CutPatches(model, 1.0)
    with recorder.attached():
        network(x)
        before_forward = {key: value.clone() for key, value in network.state_dict().items()}
        loss = branches.loss(network, x, [(1.0, targets)])
    assert recorder.collect().keys() == set(model.layers("last"))
    assert loss is not None
    loss.backward()
    assert any(not torch.equal(before[key], before_forward[key]) for key in before)
    assert all(torch.equal(before_forward[key], value) for key, value in network.state_dict().items())
    first = branches.layers[0]
    assert all(value.grad is None for key, value in network.named_parameters() if key.startswith(f"{first}."))
    assert all(value.grad is not None for key, value in network.named_parameters() if key.startswith("stages.3"))


def test_the_gradient_of_the_branches_is_that_of_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the last stage, which all branches run: central differences of single weights, in double precision."""
    model, targets = pointwise(), [(1.0, torch.tensor([1]))]
    branches = CutPatches(model, 1.0)
    network, x = model.module.double().requires_grad_(), torch.rand(1, 3, 32, 32).double()
    monkeypatch.setattr(Model, "select", lambda _, output, __: output)  # which would round to float32
    loss = branches.loss(network, x, targets)
    assert loss is not None
    weight = network.stages[2][0].weight
    (slope,) = torch.autograd.grad(loss, weight)
    for place in ((0, 0), (3, 1), (2, 2)):
        ends = []
        for step in (1e-6, -2e-6):
            weight.data[place] += step
            ends.append(branches.loss(network, x, targets).item())
        weight.data[place] += 1e-6
        assert slope[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


def test_tokens_with_attention_above_the_mean_are_strengthened() -> None:
    attention = torch.tensor([[[0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8]]])
    tokens = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])  # both directions: .4, 1, .2 around a mean of .533
    wanted = torch.tensor([[[0.5, 1.0], [4.5, 6.0], [2.5, 3.0]]])
    torch.testing.assert_close(weigh_tokens(tokens, attention, 0.5), wanted)
    assert torch.equal(weigh_tokens(tokens, attention, 0.0), tokens)
    values = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    rows = torch.rand(2, 3, 3, dtype=torch.float64).softmax(2)
    assert torch.autograd.gradcheck(lambda x: weigh_tokens(x, rows, 0.3), values)


def test_tokens_are_weighed_in_training_alone_behind_the_recorder() -> None:
    model, x = tokens_model(), torch.rand(2, 3, 32, 32)
    network, plugin = model.module, TokenWeights(model, 0.25)
    recorder = LayerRecorder(model, ["trunk.norm"])
    forward, targets = TrainingForward(network, {}, [plugin]), [(1.0, torch.tensor([0, 1]))]
    with torch.no_grad():
        torch.testing.assert_close(forward.eval()(x, targets)[0], network(x))
        forward.train()
        attention: list[Tensor] = []
        handles = []
        for block in network.trunk.blocks:
            block.attn.fused_attn = False
            handles.append(block.attn.attn_drop.register_forward_hook(lambda *args: attention.append(args[2])))
        with recorder.attached():
            logits, _ = forward(x, targets)
        for handle in handles:
            handle.remove()
        features = recorder.collect()["trunk.norm"]
        mean = torch.stack(attention).mean((0, 2))
        wanted = network.head(weigh_tokens(features, mean, 0.25)[:, 1:].mT.reshape(2, 16, 4, 4))
    torch.testing.assert_close(logits, wanted)
    assert not torch.allclose(logits, network.head(features[:, 1:].mT.reshape(2, 16, 4, 4)))
    assert not network.trunk.norm._forward_hooks


def test_networks_that_a_plugin_is_not_for_are_refused_in_one_line() -> None:
    with pytest.raises(InterpferError, match="--token-weights needs a transformer with a class token and a head"):
        TokenWeights(small(), 0.25)
    with pytest.raises(InterpferError, match=r"--cut-patches cuts the grid of a stage into 2 x 2 patches .* leave it"):
        CutPatches(tokens_model(), 0.5)
    tiny = load_model(resnet18(num_classes=3), classes=CLASSES, input_size=64)
    assert CutPatches(tiny, 0.5).layers == ("layer1", "layer2", "layer3")
    headed = attach_head(small(), "expand-shrink", width=4)
    headed.module.requires_grad_()
    with pytest.raises(InterpferError, match="a DeformableHead has no second derivative, which class maps in the loss"):
        Guidance(Guide(), headed)
    assert Guidance(Guide(cam_weight=0.0), headed).cam_layers == ()
