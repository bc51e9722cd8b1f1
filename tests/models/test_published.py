from pathlib import Path
from typing import Any

import pytest

from interpfer.errors import ModelError
from interpfer.finetuning.checkpoints import card_fields
from interpfer.models.card import parse_card
from interpfer.models.preset import load_preset, preset_names
from interpfer.models.published import Published, parse_published

LEAST: dict[str, Any] = {"arch": "torchvision:resnet18", "classes": ["anger", "fear"]}


def test_a_card_states_published_accuracies() -> None:
    card = parse_card(LEAST | {"published": {"rafdb/test": {"accuracy": 0.9221, "source": "a paper"}}}, "C", Path())
    assert card.published == {"rafdb/test": Published(0.9221, "a paper")}


def test_they_decide_no_score_and_are_not_those_of_a_fine_tuned_network() -> None:
    plain = parse_card(LEAST, "C", Path())
    stated = parse_card(LEAST | {"published": {"rafdb/test": 0.9}}, "C", Path())
    assert plain.identity == stated.identity
    assert "published" not in card_fields(stated)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([0.9], r"model card C: published must map DATASET/SPLIT to an accuracy, got \[0.9\]\."),
        ({"rafdb": 0.9}, r"model card C: published: 'rafdb: 0.9' must be 'DATASET/SPLIT: accuracy'"),
        ({"rafdb/test": {"acc": 0.9}}, r"must be 'DATASET/SPLIT: accuracy', or name accuracy and source"),
        ({"rafdb/test": 92.21}, r"the accuracy on rafdb/test must be a share between 0 and 1, got 92\.21\."),
        ({"rafdb/test": "high"}, r"must be a share between 0 and 1, got 'high'\."),
        ({"rafdb/test": True}, r"must be a share between 0 and 1, got True\."),
    ],
)
def test_another_form_is_refused(raw: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_published(raw, "C")


def test_presets_state_them_with_their_source() -> None:
    names = [f"{name}/{variant}" for name in preset_names() for variant in load_preset(name).variants]
    stated = {
        name: parse_published(load_preset(name).card["published"], name)
        for name in (*preset_names(), *names)
        if "published" in load_preset(name).card
    }
    assert stated["poster_v2/rafdb"]["rafdb/test"].accuracy == 0.9221
    assert all(entry.source for entries in stated.values() for entry in entries.values())
