from pathlib import Path

import pytest
import torch
from torchvision.models import mobilenet_v3_small, squeezenet1_1

from interpfer.errors import ModelError
from interpfer.models.identify import identify_architecture
from interpfer.models.loading import load_model


def test_a_known_network_is_found_with_its_facts() -> None:
    network = mobilenet_v3_small(num_classes=8)
    guess = identify_architecture(network.state_dict())
    assert guess.chosen is not None
    assert (guess.chosen.arch, guess.chosen.classes, guess.chosen.size) == (
        "torchvision:mobilenet_v3_small",
        8,
        224,
    )
    assert guess.chosen.card_fields() == {"arch": "torchvision:mobilenet_v3_small", "input": {"size": 224}}
    assert guess.why.startswith(f"all {len(network.state_dict())} tensors fit torchvision:mobilenet_v3_small")


def test_twins_that_differ_are_not_chosen() -> None:
    import timm

    guess = identify_architecture(timm.create_model("tf_efficientnet_b0", num_classes=8).state_dict())
    assert guess.chosen is None
    assert "timm:efficientnet_b0, timm:tf_efficientnet_b0" in guess.why
    assert guess.why.endswith("specify which one")


def test_nothing_is_found_for_other_weights() -> None:
    guess = identify_architecture({"a.weight": torch.ones(3, 3)})
    assert (guess.matches, guess.chosen) == ((), None)
    assert guess.why == "no network of torchvision or timm has all these weights"


def test_weights_without_a_card_are_not_scored_by_a_guessed_order_of_classes(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    torch.save(squeezenet1_1(num_classes=7).state_dict(), path)
    with pytest.raises(ModelError, match="the field 'classes' is missing: the expressions in output order; write it"):
        load_model(path)
    model = load_model(path, classes=["rafdb"])
    assert any(note.startswith("architecture inferred") for note in model.notes)
    assert any(note.startswith("the card does not say how images are prepared: assumed") for note in model.notes)
