from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interpfer.inspection.draft import describe_card, draft_card
from interpfer.models.loading import CheckpointInfo
from interpfer.models.match import Match
from interpfer.models.readers.base import CheckpointData

RESNET = Match("timm:resnet10t", 1.0, {"in_chans": 1}, classes=7, channels=1, size=176)
GRAY: dict[str, Tensor] = {"conv.weight": torch.ones(4, 1, 3, 3), "fc.weight": torch.ones(8, 4)}


def info(**raw: Any) -> CheckpointInfo:
    return CheckpointInfo(CheckpointData("state_dict", GRAY), raw, "C", Path())


def test_without_a_card_everything_is_a_guess() -> None:
    draft = draft_card(info(), GRAY, None)
    assert (draft.card.arch, draft.card.input.size, draft.card.input.color) == (None, 224, "gray")
    assert draft.class_count == 8
    assert draft.card.classes == tuple("01234567")
    assert draft.assumed == {"input.size": "a guess", "input.mean": "a guess"}
    assert describe_card(draft.raw, draft.card) == {"classes": [], "input": {"size": 224, "color": "gray"}}


def test_a_known_network_gives_architecture_size_and_normalisation() -> None:
    draft = draft_card(info(), GRAY, RESNET)
    assert draft.raw == {"arch": "timm:resnet10t", "arch_args": {"in_chans": 1}}
    assert (draft.card.input.size, draft.card.input.color, draft.class_count) == (176, "gray", 7)
    colour = Match("torchvision:resnet18", 1.0, classes=7, normalisation={"mean": "imagenet"})
    assert draft_card(info(), {}, colour).card.input.mean == (0.485, 0.456, 0.406)


def test_fields_of_the_card_take_precedence() -> None:
    raw = {"arch": "net.py:build", "classes": "rafdb", "input": {"size": 64, "mean": 0.5}, "output": 1}
    draft = draft_card(info(**raw), GRAY, RESNET)
    assert draft.raw == raw
    assert (draft.card.arch, draft.card.arch_args, draft.card.input.size) == ("net.py:build", {}, 64)
    assert draft.assumed == {}
    fields = describe_card(draft.raw, draft.card)
    assert list(fields) == ["arch", "classes", "input", "output"]
    assert fields["classes"][0] == "surprise"
    assert fields["input"] == {"size": 64, "color": "gray", "mean": [0.5]}
