"""The example of the page on a training loop of one's own, as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from interpfer.maps.watch import Watch

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "own-training-loop.md"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """The names that the code of the page defines."""
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def test_the_loss_falls(example: dict[str, Any]) -> None:
    losses = example["losses"]
    assert len(losses) == 20
    assert losses[-1] < 0.8 * losses[0]


def test_gradients_reach_the_backbone_and_nothing_is_frozen(example: dict[str, Any]) -> None:
    network, seen, heat = example["network"], example["seen"], example["heat"]
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert isinstance(seen, Watch)
    network.zero_grad()
    with seen:
        network(example["images"])
    example["interpfer"].alignment_loss(seen, heat).backward()
    reached = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert all(torch.any(dict(network.named_parameters())[name].grad != 0) for name in reached)
    assert reached == {name for name, _ in network.named_parameters() if name.startswith("stages.")}


def test_the_loop_has_about_fifteen_lines() -> None:
    _, loop = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len([line for line in loop.splitlines() if line.strip()]) <= 17
