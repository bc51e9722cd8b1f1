import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.compute import compute_maps
from interpfer.models.layer import Layer
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.placement import (
    REORDERED,
    RIGHT,
    UNCLEAR,
    WRONG,
    Placement,
    describe_places,
    list_orders,
)
from interpfer.models.placement_cache import remember_places

CLASSES = ["anger", "fear", "sadness"]
SIDE, SIZE = 8, 32


class Shuffled(nn.Module):
    """Patches as tokens in a given order.

    ``blurred`` tokens all hold the mean of all patches. In the first two rows ``opposed`` tokens hold five times that
    mean minus their patch, so that they change by all bright cells, which are one in five, unless their own is bright.
    """

    def __init__(self, sequence: Tensor, blurred: bool = False, opposed: bool = False) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, SIZE // SIDE, SIZE // SIDE)
        self.block = nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 12))
        self.head = nn.Linear(12, 3)
        self.sequence, self.blurred, self.opposed = sequence, blurred, opposed

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT
        if self.opposed:
            tokens = tokens.where(CELLS[:, None] >= 2 * SIDE, 5 * tokens.mean(1, keepdim=True) - tokens)
        tokens = tokens[:, self.sequence]
        if self.blurred:
            tokens = tokens.mean(1, keepdim=True).expand(-1, SIDE**2, -1) + torch.zeros(1, SIDE**2, 1)
        return self.head((tokens + self.block(tokens)).relu().mean(1))


def load(sequence: Tensor, **options: bool) -> Model:
    torch.manual_seed(0)
    return load_model(Shuffled(sequence, **options), classes=CLASSES, input_size=SIZE)


CELLS = torch.arange(SIDE**2)
SEQUENCES = {
    "columns": CELLS.view(SIDE, SIDE).T.reshape(-1),
    "windows": CELLS.view(2, 4, 2, 4).permute(0, 2, 1, 3).reshape(-1),
    "unrolled": CELLS.view(4, 2, 4, 2).permute(1, 3, 0, 2).reshape(-1),
    "random": torch.randperm(SIDE**2, generator=torch.Generator().manual_seed(5)),
}


def test_tokens_row_by_row_are_right() -> None:
    chosen = load(CELLS)
    place = chosen.find_places(["block"])["block"]
    assert (place.verdict, place.order) == (RIGHT, None)
    assert place.evidence > 0.3
    assert chosen.layers("block") == ("block",)
    assert chosen.notes == ()


@pytest.mark.parametrize("name", SEQUENCES)
def test_tokens_in_another_order_are_put_right(name: str) -> None:
    sequence = SEQUENCES[name]
    chosen, plain = load(sequence), load(CELLS)
    place = chosen.find_places(["block"])["block"]
    assert place.verdict == REORDERED
    assert place.order == tuple(sequence.argsort().tolist())
    x = torch.rand(2, 3, SIZE, SIZE)
    expected = compute_maps(plain, x, maps=["attention", "gradcam"], layers="block")
    actual = compute_maps(chosen, x, maps=["attention", "gradcam"], layers="block")
    for key, value in expected.items():
        torch.testing.assert_close(actual[key], value)
    assert chosen.notes == (
        "layer block: its tokens are in another order than the picture; their order is found by bright patches on the "
        "input, and maps are put right",
    )


@pytest.mark.parametrize(("sequence", "verdict"), [(CELLS, RIGHT), (SEQUENCES["random"], REORDERED)])
def test_tokens_may_change_less_where_their_cell_is_bright(sequence: Tensor, verdict: str) -> None:
    place = load(sequence, opposed=True).find_places(["block"])["block"]
    assert place.verdict == verdict
    assert place.order == (None if verdict == RIGHT else tuple(sequence.argsort().tolist()))
    assert place.evidence > 0.3


def test_an_order_that_cannot_be_proven_is_said_to_be_assumed() -> None:
    chosen = load(CELLS, blurred=True)
    assert chosen.layers("block") == ("block",)
    assert chosen.find_places(["block"])["block"].verdict == UNCLEAR
    assert chosen.notes == (
        "layer block: its tokens are assumed to be in the order of the picture, row by row; bright patches on the "
        "input do not prove it",
    )


class One(Shuffled):
    """Takes one image at a time."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(1, 3, SIZE, SIZE))


def test_a_network_for_one_image_is_run_image_by_image() -> None:
    chosen = load_model(One(SEQUENCES["windows"]), classes=CLASSES, input_size=SIZE)
    assert chosen.find_places(["block"])["block"].verdict == REORDERED


def test_an_unknown_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = load(CELLS)
    monkeypatch.setattr("interpfer.models.layer_access.find_places", lambda *_: {"block": Placement(WRONG, 0.01)})
    with pytest.raises(ModelError) as error:
        chosen.layers("block")
    assert str(error.value) == (
        "layer block of model Shuffled: its tokens are in another order than the picture, and bright patches on the "
        "input do not tell which, so no map of it is made; choose another layer (--layers)."
    )


def test_the_order_of_hiera() -> None:
    # two steps of facebookresearch/hiera's Unroll, written out cell by cell
    def unroll(cells: list[list[int]], steps: int) -> list[int]:
        if steps == 0:
            return [cell for row in cells for cell in row]
        parts = [[row[x::2] for row in cells[y::2]] for y in (0, 1) for x in (0, 1)]
        return [cell for part in parts for cell in unroll(part, steps - 1)]

    grid = CELLS.view(SIDE, SIDE).tolist()
    orders = [tuple(order.tolist()) for order in list_orders(SIDE)]
    for steps in (1, 2, 3):
        sequence = unroll(grid, steps)
        assert tuple(sequence.index(cell) for cell in range(SIDE**2)) in orders


def test_slow_results_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, found = Layer("a", 3, (2, 2), "tokens"), {"a": Placement(REORDERED, 0.5, (3, 2, 1, 0))}
    calls: list[None] = []

    def find() -> dict[str, Placement]:
        calls.append(None)
        return found

    assert remember_places("key", [layer], find, tmp_path) == found
    assert list(tmp_path.iterdir()) == []  # it took no time
    monkeypatch.setattr("interpfer.models.placement_cache.SLOW", -1.0)
    for _ in range(3):
        assert remember_places("key", [layer], find, tmp_path) == found
    assert len(calls) == 2
    [file] = tmp_path.iterdir()
    assert json.loads(file.read_text()) == {"a": [REORDERED, 0.5, [3, 2, 1, 0]]}
    file.write_text("no JSON")
    assert remember_places("key", [layer], find, tmp_path) == found
    assert remember_places("other", [layer], find, tmp_path) == found
    assert remember_places(None, [layer], find, tmp_path) == found
    assert len(calls) == 5
    monkeypatch.setattr("interpfer.models.placement_cache.RULES", (3,))
    remember_places("key", [layer], find, tmp_path)
    assert len(calls) == 6  # a result of other rules is not used


def test_notes_name_what_is_not_as_in_the_picture() -> None:
    places = {"a": Placement(RIGHT, 0.6), "b": Placement(WRONG, 0.0)}
    assert describe_places(places) == [
        "layer b: its tokens are in another order than the picture, which is not found, so no map of it is made"
    ]
