"""Where a map's energy lies in terms of action units."""

import numpy as np
import pytest
import torch

from interpfer.au.codebook import CODEBOOKS
from interpfer.au.drawing import au_planes
from interpfer.metrics.au_profile import BACKGROUND, agreement, evidence, profile, shares, summarise_profiles

BOOK = CODEBOOKS.get("belharbi2024")
REGIONS = evidence(BOOK, "reference")


def test_units_of_one_region_stand_together() -> None:
    assert "12+15" in REGIONS.names
    assert "23+24+26+27" in REGIONS.names
    assert REGIONS.names[-1] == BACKGROUND
    assert sorted(au for group in REGIONS.groups for au in group) == list(BOOK.aus())
    named = [name for name, yes in zip(REGIONS.names, REGIONS.expected(BOOK, "happiness"), strict=True) if yes]
    assert named == ["6", "12+15", "25"]
    assert not REGIONS.expected(BOOK, "neutral").any()


@pytest.mark.parametrize("geometry", ["reference", "scaled"])
def test_every_cell_is_dealt_out_whole(demo_points: torch.Tensor, geometry: str) -> None:
    dealt = shares(demo_points, REGIONS, geometry)
    assert dealt.min() >= 0
    torch.testing.assert_close(dealt.sum(1), torch.ones(len(demo_points), 28, 28))


def test_energy_adds_up_and_ignores_brightness(demo_points: torch.Tensor) -> None:
    dealt = shares(demo_points, REGIONS, "reference")
    maps = torch.rand(len(demo_points), 224, 224)
    found = profile(maps, dealt)
    torch.testing.assert_close(found.sum(1), torch.ones(len(maps)))
    torch.testing.assert_close(profile(7 * maps, dealt), found)


def test_a_map_of_one_unit_is_evidence_of_that_unit(demo_points: torch.Tensor) -> None:
    dealt = shares(demo_points, REGIONS, "reference")
    for index, group in enumerate(REGIONS.groups):
        plane = au_planes(demo_points, group[:1]).maps[:, 0]
        drawn = plane.amax((1, 2)) > 0  # a thin ellipse can fall between the sampled pixels
        share = profile(plane[drawn].square(), dealt[drawn])
        uniform = profile(torch.ones_like(plane[drawn]), dealt[drawn])
        assert (share[:, index] > 3 * uniform[:, index]).all(), group
        assert (share[:, -1] < uniform[:, -1]).all(), group


def test_a_single_cell_goes_where_a_plain_loop_sends_it(demo_points: torch.Tensor) -> None:
    points = demo_points[:1]
    first = [group[0] for group in REGIONS.groups]
    planes = au_planes(points / 8, first, 28).maps[0].nan_to_num(0).double().numpy()
    maps = torch.zeros(1, 224, 224)
    maps[0, 8 * 20 : 8 * 21, 8 * 13 : 8 * 14] = 1
    cell = planes[:, 20, 13]
    expected = [*(cell / cell.sum() * cell.max() if cell.sum() else cell), 1 - cell.max()]
    np.testing.assert_allclose(profile(maps, shares(points, REGIONS, "reference"))[0].numpy(), expected, atol=1e-5)


def test_no_landmarks_no_profile(demo_points: torch.Tensor) -> None:
    points = demo_points[:2].clone()
    points[0, 3, 0] = torch.nan
    found = profile(torch.ones(2, 224, 224), shares(points, REGIONS, "reference"))
    assert found[0].isnan().all()
    assert found[1].isfinite().all()


def test_table_names_what_is_used_but_not_expected_and_the_reverse() -> None:
    g = len(REGIONS.names)
    uniform = np.full(g, 1 / g)
    expected = REGIONS.expected(BOOK, "happiness")
    share = np.full(g, 0.01)
    share[REGIONS.names.index("6")] = 0.5
    share[REGIONS.names.index("9")] = 0.3
    share[-1] = 1 - share[:-1].sum()
    profiles = np.stack([np.stack([share, uniform, expected / expected.sum()])] * 2 + [np.full((3, g), np.nan)])
    groupings = {"true": ["happiness"] * 3, "predicted": ["happiness", "anger", "anger"]}
    table = summarise_profiles(profiles, groupings, [("gradcam", "layer4")], REGIONS, BOOK)
    assert len(table) == 3 * g
    assert (table["n"].groupby([table["by"], table["expression"]]).first() == [1, 1, 2]).all()
    line = agreement(table).set_index(["by", "expression"]).loc[("true", "happiness")]
    assert line["unexpected"] == "9"
    assert line["missed"] == "12+15 25"
    assert line["precision"] == 0.5
    assert line["recall"] == pytest.approx(1 / 3)
    assert line["energy"] == pytest.approx(0.52 / share[:-1].sum())
