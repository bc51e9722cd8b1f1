from pathlib import Path

import pytest
import torch
from torch import nn

from interpfer.errors import ModelError
from interpfer.models.card import FIELDS, parse_card
from interpfer.models.input import FIELDS as INPUT_FIELDS
from interpfer.models.loading import INPUT_OPTIONS, NO_CARD_FIELD, OVERRIDES, card_fields, load_model
from interpfer.models.options import ModelOptions
from interpfer.options import option_fields

VALUES = {
    "arch": "torchvision:resnet18",
    "arch_args": {"width_per_group": 64},
    "classes": "anger,fear",
    "input_size": 64,
    "color": "bgr",
    "scale": 255.0,
    "mean": [1.0, 2.0, 3.0],
    "std": 2.0,
    "output": 0,
    "layers": ["layer4"],
    "forward_args": {"phase": "test"},
}


def test_every_option_of_a_model_is_a_field_of_its_card() -> None:
    others = [name for name in OVERRIDES if name not in INPUT_OPTIONS]
    assert sorted([*others, "input"]) == sorted(FIELDS)
    assert sorted(INPUT_OPTIONS.values()) == sorted(INPUT_FIELDS)
    assert set(INPUT_OPTIONS) <= set(OVERRIDES)
    assert len(OVERRIDES) + len(NO_CARD_FIELD) == len(option_fields(ModelOptions))
    values = ModelOptions(**{("card_layers" if name == "layers" else name): value for name, value in VALUES.items()})
    assert {name: value for name, value in values.model_values().items() if name in OVERRIDES} == VALUES


def test_arguments_become_fields_of_a_card() -> None:
    assert set(VALUES) == set(OVERRIDES)
    card = parse_card(card_fields(VALUES), "C", Path())
    assert (card.arch, card.arch_args, card.classes) == (VALUES["arch"], VALUES["arch_args"], ("anger", "fear"))
    spec = card.input
    assert (spec.size, spec.color, spec.scale, spec.mean, spec.std) == (64, "bgr", 255.0, (1.0, 2.0, 3.0), (2.0,))
    assert (str(card.output), card.layers, card.forward_args) == ("0", ("layer4",), {"phase": "test"})
    assert card_fields(dict.fromkeys(OVERRIDES)) == {}


def test_an_unknown_argument() -> None:
    with pytest.raises(ModelError, match=r"load_model has no argument 'clases'\. Did you mean classes"):
        load_model(nn.Flatten(), clases="rafdb")


def test_the_name_of_a_checkpoint(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 8))
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv2d(3, 2, 8))\n"
    )
    torch.save(network.state_dict(), tmp_path / "model.pt")
    (tmp_path / "model.yaml").write_text("arch: net.py:build\nclasses: [anger, fear]\n")
    assert load_model(tmp_path / "model.pt", trust=True).name == "model"
    assert load_model(tmp_path, trust=True).name == tmp_path.name
    assert load_model(tmp_path, trust=True, name="mine").name == "mine"
