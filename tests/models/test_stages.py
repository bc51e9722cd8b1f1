from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from interpfer.maps.compute import compute_maps
from interpfer.models.layer import Layer
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.stages import find_stage_ends

CLASSES = ["anger", "fear", "sadness"]
SIZE = 32


def load(network: nn.Module, **options: object) -> Model:
    return load_model(network, **({"classes": CLASSES, "input_size": SIZE} | options))


class Block(nn.Module):
    """Tokens in, tokens and their grid out, as MViT's blocks have it; or the sums of a pair, as TNT's."""

    def __init__(self, channels: int, returns: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Linear(channels, channels)
        self.returns = returns

    def forward(self, x: Tensor) -> object:
        return self.returns(x + self.mlp(self.norm(x)))


class Tokens(nn.Module):
    """A stem of more grids than the stages, then two stages of tokens in lists, and a head."""

    def __init__(self, returns: Callable[[Tensor], object]) -> None:
        super().__init__()
        stem = [nn.Sequential(nn.Conv2d(a, 8, 3, 2, 1), nn.ReLU()) for a in (3, 8)]
        self.stem = nn.ModuleList(stem)
        self.stages = nn.ModuleList(nn.ModuleList(Block(8, returns) for _ in range(2)) for _ in range(2))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.stem:
            x = part(x)
        x = x.flatten(2).mT
        for stage, grid in zip(self.stages, (8, 4), strict=True):
            if x.shape[1] != grid**2:
                x = nn.functional.avg_pool2d(x.mT.reshape(-1, 8, 8, 8), 2).flatten(2).mT
            for block in stage:
                x = tokens_of(block(x))
        return self.head(x.mean(1))


@pytest.mark.parametrize(
    "returns",
    [
        lambda x: x,
        lambda x: (x, torch.zeros(2)),
        lambda x: (torch.zeros(9, 16, 4), x),
        lambda x: [x, torch.zeros(1, 5)],
    ],
)
def test_the_last_layer_of_tokens_and_tuples(returns: Callable[[Tensor], object]) -> None:
    network = Tokens(returns)
    chosen = load(network)
    assert chosen.layers("last") == ("stages.1.1",)
    assert chosen.layers("all")[-2:] == ("stages.0.1", "stages.1.1")
    x = torch.rand(1, 3, SIZE, SIZE)
    with torch.no_grad():
        kept: list[Tensor] = []
        handle = network.stages[1][1].register_forward_hook(lambda _, __, output: kept.append(tokens_of(output)))
        network(x)
        handle.remove()
    raw = compute_maps(chosen, x, maps="attention", layers="last")["attention", "stages.1.1"]
    torch.testing.assert_close(raw, kept[0].mean(2).reshape(1, 4, 4))


def tokens_of(output: object) -> Tensor:
    parts = [output] if isinstance(output, Tensor) else output
    return next(part for part in parts if part.shape[-1:] == (8,))


class Shared(nn.Module):
    """One block of several runs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = self.block(x)
        return self.head(x.mean((2, 3)))


def test_a_block_that_runs_several_times_ends_with_its_last_call() -> None:
    assert load(Shared()).layers("last") == ("block@3",)


class Narrow(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.b = nn.Conv2d(8, 16, 3, 2, 1)
        self.c = nn.Conv2d(16, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.b(self.a(x).relu()).relu()).mean((2, 3))


@pytest.mark.parametrize("order", ["fer2013", "ferplus"])
def test_a_layer_with_a_channel_per_class_is_a_head_only_at_the_end(order: str) -> None:
    chosen = load(Narrow({"fer2013": 7, "ferplus": 8}[order]), classes=order)
    assert chosen.layers("all") == ("a", "b")
    assert chosen.layers("a") == ("a",)
    assert [layer.name for layer in chosen.spatial_layers] == ["a", "b"]


class Saving(nn.Module):
    """Stages under gradient checkpointing."""

    def __init__(self, use_reentrant: bool | None) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.two = nn.Sequential(nn.Conv2d(6, 9, 3, 2, 1), nn.ReLU(inplace=True))
        self.head = nn.Linear(9, 3)
        self.use_reentrant = use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        for part in (self.one, self.two):
            x = part(x) if self.use_reentrant is None else checkpoint(part, x, use_reentrant=self.use_reentrant)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_gradient_checkpointing_changes_nothing(use_reentrant: bool) -> None:
    plain, saving = Saving(None), Saving(use_reentrant)
    saving.load_state_dict(plain.state_dict())
    x = torch.rand(2, 3, SIZE, SIZE)
    layers = ["one", "one.0", "two", "two.0"]
    expected = compute_maps(load(plain), x, maps=["gradcam", "layercam", "attention"], layers=layers)
    chosen = load(saving)
    assert chosen.layers("all") == ("one", "two")
    actual = compute_maps(chosen, x, maps=["gradcam", "layercam", "attention"], layers=layers)
    assert list(actual) == list(expected)
    assert all(torch.equal(actual[key], expected[key]) for key in expected)
    assert [layer.calls for layer in chosen.spatial_layers] == [1] * 7


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointing_is_on_again_afterwards(use_reentrant: bool) -> None:
    network = Saving(use_reentrant).train()
    assert load(network).spatial_layers
    calls = []
    network.two.register_forward_pre_hook(lambda *_: calls.append(None))
    network(torch.rand(2, 3, SIZE, SIZE, requires_grad=True)).sum().backward()
    assert len(calls) == 2  # the second one in the backward
    assert network.two[0].weight.grad is not None


def layers(*specs: tuple[str, int, bool]) -> list[Layer]:
    """Layers of convolutional modules by name, side of the grid, and whether they hold modules."""
    return [
        Layer(name, 8, (side, side), "nchw", is_composite=composite, source=index)
        for index, (name, side, composite) in enumerate(specs)
    ]


def test_a_stem_of_more_grids_than_the_trunk_is_no_trunk() -> None:
    found = layers(("stem.0", 32, True), ("stem.1", 16, True), ("stem.2", 8, True), ("stages.0", 4, True))
    assert find_stage_ends(found)[-1] == "stages.0"


def test_a_convolution_after_the_blocks_replaces_the_last_stage() -> None:
    found = layers(("blocks.0", 8, True), ("blocks.1", 4, True), ("blocks", 4, True), ("conv_head", 4, False))
    assert find_stage_ends(found) == ("blocks.0", "conv_head")


def test_layers_that_the_logits_do_not_depend_on_end_no_stage() -> None:
    one, two, three = layers(("a", 8, True), ("b", 4, True), ("c", 2, True))
    unused = Layer("c", 8, (2, 2), "nchw", is_composite=True, is_used=False, source=three.source)
    assert find_stage_ends([one, two, unused]) == ("a", "b")
