from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from interpfer.errors import ModelError
from interpfer.models.card import FIELDS, parse_card
from interpfer.models.input import FIELDS as INPUT_FIELDS
from interpfer.models.input import InputSpec
from interpfer.models.known_networks import find_pretrained_input
from interpfer.models.loading import INPUT_OPTIONS, NO_CARD_FIELD, OVERRIDES, card_fields, load_model
from interpfer.models.options import ModelOptions
from interpfer.options import option_fields

VALUES = {
    "arch": "torchvision:resnet18",
    "arch_args": {"width_per_group": 64},
    "classes": "anger,fear",
    "input": {"resize": 80, "crop": 70, "size": 70},
    "input_size": 64,
    "color": "bgr",
    "scale": 255.0,
    "mean": [1.0, 2.0, 3.0],
    "std": 2.0,
    "output": 0,
    "aus": [1, 12],
    "aus_output": "1[:2]",
    "layers": ["layer4"],
    "forward_args": {"phase": "test"},
    "head": "lse",
    "head_args": {"r": 5},
    "prompts": "a {} face",
}

CARD = {"layers": "card_layers", "aus": "card_aus"}
"""Field of a card -> option of the same meaning, where its name is taken."""


def test_every_option_of_a_model_is_a_field_of_its_card() -> None:
    others = [name for name in OVERRIDES if name not in INPUT_OPTIONS]
    assert sorted(others) == sorted(set(FIELDS) - {"published", "name", "lineage", "source"})
    assert set(INPUT_OPTIONS.values()) < set(INPUT_FIELDS)
    assert set(INPUT_OPTIONS) <= set(OVERRIDES)
    assert len(OVERRIDES) + len(NO_CARD_FIELD) == len(option_fields(ModelOptions))
    values = ModelOptions(**{CARD.get(name, name): value for name, value in VALUES.items()})
    assert {name: value for name, value in values.model_values().items() if name in OVERRIDES} == VALUES


def test_arguments_become_fields_of_a_card() -> None:
    assert set(VALUES) == set(OVERRIDES)
    card = parse_card(card_fields(VALUES), "C", Path())
    assert (card.arch, card.arch_args, card.classes) == (VALUES["arch"], VALUES["arch_args"], ("anger", "fear"))
    spec = card.input
    assert (spec.size, spec.color, spec.scale, spec.mean, spec.std) == (64, "bgr", 255.0, (1.0, 2.0, 3.0), (2.0,))
    assert (spec.resize, spec.crop) == (80, 70)
    assert (str(card.output), card.layers, card.forward_args) == ("0", ("layer4",), {"phase": "test"})
    assert (card.head, card.head_args) == ("lse", {"r": 5})
    assert card.prompts is not None
    assert card.prompts.classes == {"anger": ("an angry face",), "fear": ("a fearful face",)}
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


def write_resnet(folder: Path, card: str) -> Path:
    network = resnet18(num_classes=2)
    torch.save(network.state_dict(), folder / "net.pt")
    (folder / "net.yaml").write_text(f"arch: torchvision:resnet18\nclasses: [anger, fear]\n{card}")
    return folder / "net.pt"


def test_a_card_without_input_says_what_is_assumed(tmp_path: Path) -> None:
    (note,) = load_model(write_resnet(tmp_path, "")).notes
    assert note == (
        "the card does not say how images are prepared: assumed 224 x 224 rgb in [0, 1], not normalised; write input "
        "into the card (input: {size: 224, mean: imagenet}), or input: pretrained for that of the pretrained weights"
    )
    assert load_model(write_resnet(tmp_path, "input: {size: 96}")).notes == ()


def test_the_input_of_the_pretrained_weights(tmp_path: Path) -> None:
    path = write_resnet(tmp_path, "input: pretrained")
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    assert load_model(path).card.input == InputSpec(224, resize=256, crop=224, rounded="pillow", **imagenet)
    assert load_model(path, input_size=96).card.input.size == 96
    assert load_model(path, mean="half").card.input.mean == (0.5,)
    (tmp_path / "net.yaml").write_text("arch: net.py:build\nclasses: [anger, fear]\ninput: pretrained")
    with pytest.raises(ModelError, match=r"input: pretrained is for networks of torchvision and timm, got arch net"):
        load_model(path)


def test_a_network_without_pretrained_weights_has_no_input_of_them() -> None:
    pytest.importorskip("timm")
    with pytest.raises(ModelError, match="model card C: input: pretrained: timm:nothing has no pretrained weights"):
        find_pretrained_input("timm:nothing", "C")
    assert find_pretrained_input("timm:resnet10t", "C")["crop"] == 176
