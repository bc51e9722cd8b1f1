"""The laws of refiners hold for each of them, and the check of an author sees where one does not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from interpfer.maps.refiners import REFINERS
from interpfer.maps.refiners.base import CLASSES, Seen, View, refiner
from interpfer.testing import check_refiner


@pytest.mark.parametrize("name", list(REFINERS))
def test_every_refiner_keeps_the_laws(name: str) -> None:
    check_refiner(REFINERS.get(name))


def absolute(maps: Tensor, _: Seen) -> Tensor:
    """Threshold at 1."""
    return (maps - 1).relu() + 0.01 * maps


def lopsided(maps: Tensor, _: Seen) -> Tensor:
    """Shift to the right."""
    return maps.roll(1, -1)


def batched(maps: Tensor, _: Seen) -> Tensor:
    """Less the mean of the batch."""
    return maps - maps.mean()


def undefined(maps: Tensor, _: Seen) -> Tensor:
    """Logarithm."""
    return maps.log()


def writing(maps: Tensor, seen: Seen) -> Tensor:
    """Writes into what it sees."""
    seen.images.mul_(2)
    return maps.clone()


def drawn(maps: Tensor, _: Seen) -> Tensor:
    """Random."""
    return maps * torch.rand(())


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (absolute, "Maps times a number give the same, stretched to .* use no absolute threshold"),
        (lopsided, "The mirrored map of a mirrored picture is mirrored: .* treat left and right alike"),
        (batched, "does not depend on the other images: alone it differs"),
        (undefined, "It returns one finite map per image: it makes finite maps NaN or infinite"),
        (writing, r"writes into none of its inputs: it changes seen\.images"),
        (drawn, "two runs differ; use fixed random numbers"),
    ],
)
def test_the_check_sees_a_broken_law(compute: Callable[[Tensor, Seen], Tensor], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_refiner(refiner(source="test")(compute))


def test_the_check_sees_missing_facts() -> None:
    for facts, message in (
        (("", ()), "source is empty"),
        (("test", ("truth",)), "needs must be of classes, .*'truth'"),
    ):
        with pytest.raises(AssertionError, match=message):
            check_refiner(refiner(*facts)(absolute))
    with pytest.raises(AssertionError, match="summary is empty; write a docstring"):
        check_refiner(refiner(source="test")(lambda maps, _: maps))


def test_a_map_that_is_not_finite_is_undefined_whatever_the_refiner_does() -> None:
    maps = torch.ones(3, 4, 4)
    maps[1, 0, 0], maps[2, 3, 3] = torch.nan, torch.inf
    seen = Seen(torch.rand(3, 3, 8, 8), torch.zeros(3, 2), torch.full((3, 2), 0.5), torch.zeros(3, dtype=torch.long))
    same = refiner(source="test")(lambda given, _: given)
    assert same(maps, seen).isnan().flatten(1).all(1).tolist() == [False, True, True]


def test_costs_are_told() -> None:
    assert [REFINERS.get(name).cost for name in ("blur", "flip", "flip3", "scales", "noise8")] == [
        "no pass",
        "1 more pass",
        "5 more passes",
        "2 more passes",
        "8 more passes",
    ]
    assert REFINERS.get("contrast").cost == "a backward per class; none before a linear head"
    assert refiner(source="test", needs=(CLASSES,))(absolute).for_baselines is False


def test_a_view_mirrors_back() -> None:
    maps = torch.arange(4.0).reshape(1, 1, 4)
    assert View("mirrored", lambda x, _: x.flip(-1), is_mirrored=True).undo(maps).flatten().tolist() == [3, 2, 1, 0]
