"""Where a map's energy lies in terms of action units."""

import numpy as np
import pandas as pd
import pytest
import torch

from interpfer.au.drawing import au_planes
from interpfer.metrics.au_profile import agreement, cells, profile, summarise_profiles
from interpfer.truth.base import BACKGROUND
from interpfer.truth.codebook import CodebookTruth
from interpfer.types import Landmarks

TRUTH = CodebookTruth("belharbi2024", "reference")
PARTS = TRUTH.parts


def shares(points: torch.Tensor, truth: CodebookTruth = TRUTH) -> torch.Tensor:
    return truth.shares(Landmarks.of(points))


def test_units_of_one_region_share_an_entry() -> None:
    assert "12+15" in PARTS.names
    assert "23+24+26+27" in PARTS.names
    assert PARTS.names[-1] == BACKGROUND
    groups = sorted(au for group in PARTS.groups for au in group)
    assert groups == sorted({au for name in ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
                             for au in TRUTH.expected_aus(name)})  # fmt: skip


@pytest.mark.parametrize("geometry", ["reference", "scaled"])
def test_every_cell_is_divided_completely(demo_points: torch.Tensor, geometry: str) -> None:
    divided = shares(demo_points, CodebookTruth("belharbi2024", geometry))
    assert divided.min() >= 0
    torch.testing.assert_close(divided.sum(1), torch.ones(len(demo_points), 28, 28))


def test_cells_are_means_of_eight_by_eight_pixels() -> None:
    maps = torch.rand(2, 224, 224)
    torch.testing.assert_close(cells(maps)[1, 3, 5], maps[1, 24:32, 40:48].mean())
    assert torch.equal(cells(cells(maps)), cells(maps))


def test_energy_adds_up_and_ignores_brightness(demo_points: torch.Tensor) -> None:
    divided = shares(demo_points)
    maps = torch.rand(len(demo_points), 224, 224)
    found = profile(maps, divided)
    torch.testing.assert_close(found.sum(1), torch.ones(len(maps)))
    torch.testing.assert_close(profile(7 * maps, divided), found)


def test_a_map_of_one_unit_has_its_energy_there(demo_points: torch.Tensor) -> None:
    divided = shares(demo_points)
    for index, group in enumerate(PARTS.groups):
        plane = au_planes(demo_points, group[:1]).maps[:, 0]
        drawn = plane.amax((1, 2)) > 0  # a thin ellipse can fall between the sampled pixels
        share = profile(plane[drawn].square(), divided[drawn])
        uniform = profile(torch.ones_like(plane[drawn]), divided[drawn])
        assert (share[:, index] > 3 * uniform[:, index]).all(), group
        assert (share[:, -1] < uniform[:, -1]).all(), group


def test_a_single_cell_goes_where_a_plain_loop_sends_it(demo_points: torch.Tensor) -> None:
    points = demo_points[:1]
    first = [group[0] for group in PARTS.groups]
    planes = au_planes(points / 8, first, 28).maps[0].nan_to_num(0).double().numpy()
    maps = torch.zeros(1, 224, 224)
    maps[0, 8 * 20 : 8 * 21, 8 * 13 : 8 * 14] = 1
    cell = planes[:, 20, 13]
    expected = [*(cell / cell.sum() * cell.max() if cell.sum() else cell), 1 - cell.max()]
    np.testing.assert_allclose(profile(maps, shares(points))[0].numpy(), expected, atol=1e-5)


def test_no_landmarks_no_profile(demo_points: torch.Tensor) -> None:
    points = demo_points[:2].clone()
    points[0, 3, 0] = torch.nan
    found = profile(torch.ones(2, 224, 224), shares(points))
    assert found[0].isnan().all()
    assert found[1].isfinite().all()


def test_table_names_what_is_used_but_not_expected_and_the_reverse() -> None:
    g = len(PARTS.names)
    uniform = np.full(g, 1 / g)
    expected = TRUTH.expected_parts("happiness")
    share = np.full(g, 0.01)
    share[PARTS.names.index("6")] = 0.5
    share[PARTS.names.index("9")] = 0.3
    share[-1] = 1 - share[:-1].sum()
    profiles = np.stack([np.stack([share, uniform, expected / expected.sum()])] * 2 + [np.full((3, g), np.nan)])
    groupings = {"true": ["happiness"] * 3, "predicted": ["happiness", "anger", "anger"]}
    table = summarise_profiles(profiles, groupings, [("gradcam", "layer4")], TRUTH)
    assert len(table) == 3 * g
    assert (table["n"].groupby([table["by"], table["expression"]]).first() == [1, 1, 2]).all()
    line = agreement(table).set_index(["by", "expression"]).loc[("true", "happiness")]
    assert line["unexpected"] == "9"
    assert line["missed"] == "12+15 25"
    assert line["precision"] == 0.5
    assert line["recall"] == pytest.approx(1 / 3)
    assert line["energy"] == pytest.approx(0.52 / share[:-1].sum())


def test_means_do_not_depend_on_the_blocks_that_profiles_come_in() -> None:
    random = np.random.default_rng(0)
    profiles = random.random((40, 3, len(PARTS.names)))
    profiles[3, 0] = profiles[5, -1] = np.nan
    labels = random.choice(["fear", "anger", ""], 40).tolist()
    keys = [("gradcam", "layer4")]
    whole = summarise_profiles(profiles, {"true": labels}, keys, TRUTH)
    parts = summarise_profiles([profiles[:7], profiles[7:8], profiles[8:]], {"true": labels}, keys, TRUTH)
    pd.testing.assert_frame_equal(whole, parts)
    for name in ("fear", "anger"):
        own = np.array([label == name for label in labels]) & np.isfinite(profiles[:, 0, 0])
        line = whole[whole["expression"] == name]
        assert (line["n"] == own.sum()).all()
        expected = profiles[own].mean(0)
        np.testing.assert_allclose(line["share"].to_numpy(float), expected[0])
        np.testing.assert_allclose(line["uniform"].to_numpy(float), expected[1])
        np.testing.assert_allclose(line["codebook"].to_numpy(float), np.nanmean(profiles[own, -1], 0))
