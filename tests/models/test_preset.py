"""Each preset is tested with a stand-in that takes and returns the same as the published network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interpfer.choices import COLORS
from interpfer.errors import ModelError
from interpfer.models.card import parse_card
from interpfer.models.loading import load_model
from interpfer.models.preset import load_preset, merge_cards, preset_names

VARIANTS = [
    f"{name}/{variant}" if variant else name
    for name in preset_names()
    for variant in load_preset(name).variants or ("",)
]


class StandIn(nn.Module):
    """Convolutions at the preset's layers, and the arguments and output of the published network."""

    def __init__(
        self, layers: tuple[str, ...], classes: int, wrap: Any, arguments: dict[str, Any], channels: int
    ) -> None:
        super().__init__()
        self.layers: list[nn.Module] = []
        for i, name in enumerate(layers or ("features",)):
            parent: nn.Module = self
            *path, last = name.split(".")
            for step in path:
                if not hasattr(parent, step):
                    parent.add_module(step, nn.Module())
                parent = getattr(parent, step)
            parent.add_module(last, nn.Conv2d(channels if i == 0 else 4, 4, 3, stride=8 if i == 0 else 1, padding=1))
            self.layers.append(getattr(parent, last))
        self.head = nn.Linear(4, classes)
        self.wrap, self.arguments = wrap, arguments

    def forward(self, x: Tensor, **arguments: Any) -> Any:
        assert arguments == self.arguments
        for layer in self.layers:
            x = layer(x)
        return self.wrap(self.head(x.mean((2, 3))), x)

    def eval(self) -> None:  # type: ignore[override]
        """Return nothing, as EmoNet does."""
        super().eval()


OUTPUTS: dict[str, Any] = {
    "poster": lambda z, f: (z, f),
    "dan": lambda z, f: (z, f, [z, z]),
    "ddamfn": lambda z, f: (z, f, [z, z]),
    "apvit": lambda z, f: list(z),
    "eac": lambda z, f: (z, f),
    "scn": lambda z, f: (z[:, :1], z),
    "ma-net": lambda z, f: (z, z + 1),
    "emonet": lambda z, f: {"heatmap": f, "expression": z, "valence": z[:, 0], "arousal": z[:, 1]},
    "emotiefflib/mtl": lambda z, f: torch.cat([z, z[:, :2]], 1),
    "libreface": lambda z, f: (z.sigmoid(), f),
    "vit-face-expression": lambda z, f: {"logits": z},
    "vit-motheecreator": lambda z, f: {"logits": z, "attentions": None},
    "vit-dima806": lambda z, f: {"logits": z},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_stand_in_of_the_published_network(name: str) -> None:
    preset = load_preset(name)
    card = parse_card(preset.card, name, Path(), has_module=True)
    wrap = OUTPUTS.get(name, OUTPUTS.get(name.partition("/")[0], lambda z, f: z))
    network = StandIn(card.layers or (), len(card.classes), wrap, dict(card.forward_args), COLORS[card.input.color])
    model = load_model(network, preset=name)
    assert model.classes == card.classes
    x = model.preprocess(torch.rand(2, 3, 50, 60))
    features = x
    for layer in network.layers:
        features = layer(features)
    expected = network.head(features.mean((2, 3)))
    expected = {"ma-net": expected + 0.4, "libreface": expected.sigmoid()}.get(name, expected)
    torch.testing.assert_close(model.logits(x), expected)
    assert model.layers("all") == (card.layers or ("features",))


@pytest.mark.parametrize("name", preset_names())
def test_what_a_preset_says(name: str) -> None:
    preset = load_preset(name)
    assert preset.code.startswith("https://")
    assert preset.citation
    assert preset.summary
    assert bool(preset.variants) == ("classes" not in preset.card)
    assert all("\n" not in note for note in preset.notes)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("poster/rafdb", "surprise fear disgust happiness sadness anger neutral"),
        ("apvit/8", "anger disgust fear sadness happiness surprise neutral contempt"),
        ("resemotenet", "happiness surprise sadness anger disgust fear neutral"),
        ("emotiefflib/8", "anger contempt disgust fear happiness neutral sadness surprise"),
        ("rmn", "anger disgust fear happiness sadness surprise neutral"),
        ("vit-dima806", "sadness disgust anger neutral fear surprise happiness"),
        ("ma-net", "neutral happiness sadness surprise fear disgust anger"),
    ],
)
def test_orders_that_were_read_from_the_published_code(name: str, classes: str) -> None:
    card = parse_card(load_preset(name).card, name, Path(), has_module=True)
    assert " ".join(card.classes) == classes


def test_poster_on_rafdb_sees_blue_first_with_the_means_of_red_first() -> None:
    spec = parse_card(load_preset("poster/rafdb").card, "C", Path(), has_module=True).input
    assert (spec.color, spec.mean) == ("bgr", (0.485, 0.456, 0.406))


def test_flags_go_over_a_preset_and_a_preset_over_the_card(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(3, 7, 8).state_dict(), tmp_path / "m.pt")
    (tmp_path / "m.yaml").write_text(
        "arch: net.py:build\ninput: {size: 99, color: rgb, mean: half}\nclasses: fer2013\n"
    )
    (tmp_path / "net.py").write_text("from torch import nn\ndef build():\n    return nn.Conv2d(3, 7, 8)\n")
    model = load_model(tmp_path / "m.pt", trust=True, preset="rmn", color="rgb")
    assert (model.card.input.size, model.card.input.color, model.card.input.mean) == (224, "rgb", (0.0,))
    assert model.card.layers == ("mask4",)


def test_names_that_are_wrong_and_an_order_that_is_open(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"unknown preset 'postr'\. Did you mean poster"):
        load_preset("postr")
    with pytest.raises(ModelError, match=r"preset 'poster' has no variant 'raf'\. Did you mean rafdb\? Known: rafdb,"):
        load_preset("poster/raf")
    with pytest.raises(ModelError, match=r"preset 'rmn' has no variant 'x'\. It has none"):
        load_preset("rmn/x")
    torch.save({"conv.weight": torch.ones(7, 3, 1, 1)}, tmp_path / "m.pt")
    with pytest.raises(
        ModelError, match=r"preset 'dan': the order of the classes depends on .*--preset dan/rafdb, dan/"
    ):
        load_model(tmp_path / "m.pt", preset="dan")
    with pytest.raises(ModelError, match=r"'arch' is missing, .*the preset needs a function that returns DAN\("):
        load_model(tmp_path / "m.pt", preset="dan/rafdb")


def test_merging_leaves_its_arguments_alone() -> None:
    one, two = {"input": {"size": 1}}, {"input": {"color": "bgr"}, "output": 1}
    assert merge_cards(one, two) == {"input": {"size": 1, "color": "bgr"}, "output": 1}
    assert (one, two) == ({"input": {"size": 1}}, {"input": {"color": "bgr"}, "output": 1})
