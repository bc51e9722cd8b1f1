from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from interpfer.datasets.base import Dataset
from interpfer.errors import DataError, InterpferError
from interpfer.inspection import race
from interpfer.inspection.candidates import Candidate, Predictions, predict
from interpfer.inspection.card_search import CardSearch, _select, try_cards
from interpfer.labels import CLASS_ORDERS
from interpfer.models.input import InputSpec
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.types import Sample

RAF = CLASS_ORDERS["rafdb"]
COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200), (200, 30, 200), (120, 120, 120)]


class Painted(Dataset):
    """Each expression is a colour."""

    name: ClassVar[str] = "painted"
    summary: ClassVar[str] = "colours"

    @classmethod
    def open(cls, root: Path | None, split: str, seed: int = 0) -> "Painted":  # noqa: ARG003
        return cls([Sample(f"{i}", RAF[i % 7]) for i in range(70)] + [Sample("x", "")], split, root)

    def image(self, index: int) -> Image.Image:
        if index == 3:
            raise DataError("3: not a readable image.")
        return Image.new("RGB", (20, 20), COLOURS[index % 7])


class Scattered(Painted):
    """Every image has a colour of its own."""

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (20, 20), tuple(np.random.default_rng(index).integers(0, 256, 3).tolist()))


class Nearest(nn.Module):
    """Knows the colours exactly, as its own input has them; outputs are in the order of RAF-DB."""

    def __init__(self, mean: float, std: float, bgr: bool) -> None:
        super().__init__()
        known = (torch.tensor(COLOURS) / 255 - mean) / std
        self.register_buffer("known", known.flip(1) if bgr else known)
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return -self.weight * (x.mean((2, 3))[:, None] - self.known).square().sum(2)


def search_cards(network: nn.Module, has_classes: bool = True, **card: object) -> CardSearch:
    model = load_model(network, **{"classes": "rafdb", "input_size": 16} | card)  # type: ignore[arg-type]
    return try_cards(model, Painted.open(None, "test"), has_classes, has_size=True, limit=49)


def test_a_right_card_stands() -> None:
    search = search_cards(Nearest(0.5, 0.5, bgr=False), mean="half")
    assert search.card is not None
    assert search.best is search.card
    assert (search.card.accuracy, search.n) == (1.0, 49)
    assert search.verdict == "the card fits: 100.0% of 49 faces are right, and no alternative is significantly better"


def test_a_wrong_order_is_named() -> None:
    search = search_cards(Nearest(0.5, 0.5, bgr=False), mean="half", classes="affectnet7")
    assert (search.best.order, search.best.classes) == ("rafdb", RAF)
    assert search.verdict.startswith("the card looks wrong: ")
    assert (
        "100.0% with the classes [surprise, fear, disgust, happiness, sadness, anger, neutral] (rafdb)"
        in search.verdict
    )
    assert "input" not in search.verdict


def test_a_wrong_normalisation_and_colour_are_named() -> None:
    search = search_cards(Nearest(0.5, 0.5, bgr=True), mean="none")
    assert search.best.input == InputSpec(16, "bgr", 1, (0.5,), (0.5,))
    assert "with the input size 16, color bgr, mean half" in search.verdict


def test_without_a_card_the_likeliest_is_suggested() -> None:
    search = search_cards(Nearest(0, 1, bgr=False), has_classes=False)
    assert search.card is None
    assert search.best.classes == RAF
    assert search.verdict.startswith("100.0% of 49 faces are right with the classes [surprise, fear,")


def test_an_order_that_nobody_uses_is_spelled_out() -> None:
    network = Nearest(0, 1, bgr=False)
    order = [3, 1, 0, 2, 6, 5, 4]
    network.known = network.known[order]
    search = search_cards(network)
    assert search.best.order == "spelled out"
    assert search.best.classes == tuple(RAF[i] for i in order)


def test_weights_that_know_nothing() -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.eye(7)[:1].expand(len(x), -1)

    search = search_cards(Blind())
    assert search.verdict.startswith("no card classifies significantly better than chance (14% of 49 faces at best)")


def test_what_was_tried_is_plain_data() -> None:
    facts = search_cards(Nearest(0, 1, bgr=False)).to_dict()
    assert facts["best"]["input"]["size"] == 16
    assert len({str(attempt["input"]) for attempt in facts["attempts"]}) == 5 + 3 * 2
    assert [attempt["n"] for attempt in facts["attempts"]][-1] == 12


def test_sizes_are_tried_where_the_card_has_none() -> None:
    class Fixed(Nearest):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[-1] not in (16, 48):
                raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
            return super().forward(x) * (1 if x.shape[-1] == 48 else -1)

    model = load_model(Fixed(0, 1, bgr=False), classes="rafdb", input_size=16)
    search = try_cards(model, Painted.open(None, "test"), has_classes=True, has_size=False, limit=49)
    assert search.best.input.size == 48


def test_what_cannot_be_tried() -> None:
    class Empty(Painted):
        @classmethod
        def open(cls, root: Path | None, split: str, seed: int = 0) -> "Empty":  # noqa: ARG003
            return cls([Sample("x", "")], split, root)

    class Strange(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise RuntimeError("no")

    model = load_model(Nearest(0, 1, bgr=False), classes="rafdb", input_size=16)
    with pytest.raises(DataError, match="data set painted: no labelled image can be read"):
        try_cards(model, Empty.open(None, "test"), has_classes=True, has_size=True)
    with pytest.raises(InterpferError, match="fails on all inputs that were tried"):
        search_cards(Strange())


def test_most_inputs_are_dropped_after_a_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def count(model: Model, spec: InputSpec, images: Tensor) -> Predictions | None:
        counts.append(len(images))
        return predict(model, spec, images)

    monkeypatch.setattr(race, "predict", count)
    search = search_cards(Nearest(0, 1, bgr=False))
    assert sum(counts) <= (6 + 6 + 7) * 12 + 4 * 24 + 3 * (search.n - 48)
    assert len(counts) > 5


def test_the_best_of_many_cards_must_beat_chance_as_such() -> None:
    class Noise(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seeds = (x.flatten(1).sum(1) * 1e4).long().tolist()
            return torch.stack([torch.rand(7, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    model = load_model(Noise(), classes="rafdb", input_size=16)
    for seed in range(8):
        search = try_cards(model, Scattered.open(None, "test"), has_classes=False, has_size=True, seed=seed)
        assert search.tests > 80
        assert not search.beats_chance
        assert search.verdict.startswith("no card classifies significantly better than chance")


@pytest.mark.parametrize(("gained", "color"), [(4, "rgb"), (5, "bgr")])
def test_without_a_card_another_color_must_be_significantly_better(gained: int, color: str) -> None:
    labels = ["anger"] * 20
    rgb, bgr = InputSpec(16), InputSpec(16, "bgr")
    seen = {rgb: np.array([0] * 10 + [1] * 10), bgr: np.array([0] * (10 + gained) + [1] * (10 - gained))}
    candidates = [Candidate(spec, "two", ("anger", "fear"), (seen[spec] == 0).mean(), 20) for spec in (bgr, rgb)]
    # sign test of 4 or 5 gains without a loss: p = 1/16 or 1/32
    assert _select(candidates, None, rgb, seen, labels, 0.05).input.color == color


def test_a_constant_prediction_proves_no_order_where_one_class_is_most_of_the_faces() -> None:
    """Four faces of five are happy: whoever always says so is right on them, in an order that puts it there."""

    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.arange(7.0).expand(len(x), 7)

    class Happy(Painted):
        @classmethod
        def open(cls, root: Path | None, split: str, seed: int = 0) -> "Happy":  # noqa: ARG003
            return cls([Sample(f"{i}", "fear" if i % 5 == 4 else "happiness") for i in range(70)], split, root)

    model = load_model(Constant(), classes="rafdb", input_size=16)
    search = try_cards(model, Happy.open(None, "test"), has_classes=False, has_size=True)
    assert search.most_common > 0.7
    assert search.best.accuracy <= search.most_common
    assert not search.beats_chance
    assert search.verdict.startswith("no card classifies significantly better than chance")
