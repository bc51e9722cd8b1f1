from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interpfer.inspection.forward import COMMON_SIZES, run_on_noise
from interpfer.models.loading import load_model
from interpfer.models.model import Model


class Fixed(nn.Module):
    """Runs at one input size only."""

    def __init__(self, size: int, outputs: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)
        self.head = nn.Linear(4 * (size // 8) ** 2, outputs)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.conv(x).relu().flatten(1))


def model(network: nn.Module, size: int = 224) -> Model:
    return load_model(network, classes=["anger", "fear", "sadness"], input_size=size)


@pytest.mark.parametrize("guess", COMMON_SIZES)
@pytest.mark.parametrize("size", COMMON_SIZES)
def test_another_common_size_is_used_if_the_size_is_a_guess(size: int, guess: int) -> None:
    result = run_on_noise(model(Fixed(size), guess), {"classes": ["anger", "fear", "sadness"]})
    assert result.model is not None
    assert result.model.card.input.size == size
    reason = f"a guess, as the network does not run at {guess}"
    assert result.assumed == ({} if size == guess else {"input.size": reason})
    assert (result.outputs, result.output_count, result.missing) == ("a tensor (1, 3)", 3, ())
    assert [(layer.name, layer.spatial) for layer in result.layers] == [("conv", True), ("head", False)]


def test_the_size_of_a_card_is_not_changed() -> None:
    network = Fixed(64).train()
    result = run_on_noise(model(network, 112), {"input": {"size": 112}})
    assert result.model is None
    assert result.layers == ()
    assert len(result.missing) == 1
    assert result.missing[0].startswith("input: the network cannot run: RuntimeError: mat1 and mat2 shapes cannot be")
    assert all(module.training for module in network.modules())


def test_classes_of_another_number_are_missing() -> None:
    result = run_on_noise(model(Fixed(64, outputs=5), 64), {"classes": ["anger", "fear", "sadness"]})
    assert result.missing == (
        "classes: model Fixed must return 1 x 3 logits, got a tensor (1, 5); its classes are anger, fear, sadness.",
    )
    assert result.model is not None
    without_classes = run_on_noise(model(Fixed(64, outputs=5), 64), {})
    assert (without_classes.output_count, without_classes.missing) == (5, ())


def test_an_ambiguous_output_is_missing() -> None:
    class Two(Fixed):
        def forward(self, x: Tensor) -> Any:
            logits = super().forward(x)
            return logits, torch.zeros_like(logits)

    result = run_on_noise(model(Two(64), 64), {})
    assert result.outputs == "a tuple (0: (1, 3), 1: (1, 3))"
    assert result.missing[0].startswith("output: model Two returned a tuple (0: (1, 3), 1: (1, 3)): specify which one")
