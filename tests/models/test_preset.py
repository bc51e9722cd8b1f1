"""Each preset is tested with a stand-in that takes and returns the same as the published network."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interpfer.choices import COLORS
from interpfer.errors import ModelError
from interpfer.models import preset
from interpfer.models.card import parse_card
from interpfer.models.loading import load_model
from interpfer.models.measured import Measured, Value
from interpfer.models.preparation import normalise, prepare_pixels
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
    "openface3": lambda z, f: (z, z[:, :2], z),
    "vit-face-expression": lambda z, f: {"logits": z},
    "vit-motheecreator": lambda z, f: {"logits": z, "attentions": None},
    "vit-dima806": lambda z, f: {"logits": z},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_stand_in_of_the_published_network(name: str) -> None:
    published = load_preset(name)
    card = parse_card(published.card, name, Path(), has_module=True)
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
    published = load_preset(name)
    assert published.code.startswith("https://")
    assert published.citation
    assert published.summary
    assert bool(published.variants) == ("classes" not in published.card)
    assert all("\n" not in note for note in published.notes)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("poster/rafdb", "surprise fear disgust happiness sadness anger neutral"),
        ("apvit/8", "anger disgust fear sadness happiness surprise neutral contempt"),
        ("resemotenet", "happiness surprise sadness anger disgust fear neutral"),
        ("emotiefflib/8", "anger contempt disgust fear happiness neutral sadness surprise"),
        ("rmn", "anger disgust fear happiness sadness surprise neutral"),
        ("openface3/readme", "neutral happiness sadness surprise fear disgust anger contempt"),
        ("openface3/issue15", "neutral happiness sadness surprise fear anger disgust contempt"),
        ("emo-affectnet", "neutral happiness sadness surprise fear disgust anger"),
        ("opencv-zoo", "anger disgust fear happiness neutral sadness surprise"),
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


def test_the_list_says_what_is_claimed_and_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    value = Value(0.91, 0.9, 0.92)
    entry = Measured("n", "qcs/rafdb", "0" * 64, "rafdb/test", "1" * 64, 3068, value, (), "1.0")
    monkeypatch.setattr(preset, "list_measured", lambda: (entry,))
    listed = {name.partition("\n")[0]: facts for name, facts in preset.list_presets().items()}
    assert "rafdb/test 0.9221 (README of the authors' code)" in listed["poster_v2"]["claimed"].splitlines()
    assert listed["qcs"]["measured"] == "rafdb/test 0.910 [0.900, 0.920], n = 3068"
    assert (listed["poster"]["measured"], listed["dan"]["claimed"]) == ("by nobody yet", "nothing found")
    assert "sure: order and input, from the code" in listed["opencv-zoo"]["worth knowing"]


def test_what_a_preset_was_read_from() -> None:
    for name in ("openface3", "emo-affectnet", "opencv-zoo", "qcs", "dcs"):
        assert load_preset(name).sources
        assert load_preset(name).sure
    for name in preset_names():
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in load_preset(name).sha256.values())


def test_the_input_of_emo_affectnet_is_that_of_its_code() -> None:
    spec = parse_card(load_preset("emo-affectnet").card, "C", Path(), has_module=True).input
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    expected = torch.from_numpy(picture.copy()).permute(2, 0, 1).float().flip(0)
    expected -= torch.tensor([91.4953, 103.8827, 131.0912]).view(3, 1, 1)
    given = normalise(prepare_pixels(picture, spec)[None], spec)[0]
    torch.testing.assert_close(given, expected, atol=1e-3, rtol=0)
