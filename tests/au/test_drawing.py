import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from interpfer.au import drawing, raster, union
from interpfer.au.codebook import ActionUnit, Codebook, load_codebook
from interpfer.au.drawing import au_heatmaps, au_planes
from interpfer.au.geometry import TABLE
from interpfer.datasets.drawn.shape import Identity
from interpfer.errors import DataError, PluginError
from tests.oracles import au_maps as oracle

EXPRESSIONS = tuple(oracle.AUS_OF)


def face(seed: int) -> Tensor:
    """Landmarks of a plausible face filling a 224 px crop."""
    points = torch.from_numpy(Identity.sample(np.random.default_rng(seed)).landmarks()).double()
    low, high = points.amin(0), points.amax(0)
    return (points - low) / (high - low).max() * 160 + torch.tensor([32.0, 40.0])


def moved(points: Tensor, turn: float = 0, size: float = 1, right: float = 0, down: float = 0) -> Tensor:
    """Turn (degrees) and scale points about the middle of the canvas, then shift them."""
    angle = torch.tensor(turn).deg2rad().double()
    rotation = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    return (points - 112) * size @ rotation.T + 112 + torch.tensor([right, down], dtype=torch.float64)


def assert_agree(ours: Tensor, theirs: np.ndarray, cosine: float = 0.998, difference: float = 0.006) -> None:
    a, b = ours.double(), torch.from_numpy(theirs.astype(np.float64))
    assert torch.cosine_similarity(a.flatten(), b.flatten(), dim=0) > cosine
    assert (a - b).abs().mean() < difference


def assert_agree_with_oracle(points: Tensor, expression: str) -> None:
    (ours,), (valid,) = au_heatmaps(points[None], [expression])
    theirs = oracle.au_map(points.numpy(), expression)
    assert bool(valid) == (theirs is not None)
    if theirs is None:
        assert ours.isnan().all()
    else:
        assert_agree(ours, theirs)


@given(
    seed=st.integers(0, 2**32 - 1),
    turn=st.floats(-30, 30),
    size=st.floats(0.6, 1.4),
    right=st.floats(-60, 60),
    down=st.floats(-60, 60),
    expression=st.sampled_from(EXPRESSIONS),
)
def test_heatmaps_follow_the_opencv_loop(
    seed: int, turn: float, size: float, right: float, down: float, expression: str
) -> None:
    assert_agree_with_oracle(moved(face(seed), turn, size, right, down), expression)


@given(
    seed=st.integers(0, 2**32 - 1),
    right=st.sampled_from([-230.0, -150.0, 0.0, 150.0, 230.0]),
    down=st.sampled_from([-230.0, -150.0, 0.0, 150.0, 230.0]),
    expression=st.sampled_from(EXPRESSIONS),
)
def test_a_face_partly_or_wholly_outside_the_image(seed: int, right: float, down: float, expression: str) -> None:
    assert_agree_with_oracle(moved(face(seed), right=right, down=down), expression)


@given(seed=st.integers(0, 2**32 - 1), turn=st.floats(-20, 20), au=st.sampled_from(sorted(TABLE)))
def test_each_plane_follows_the_opencv_loop(seed: int, turn: float, au: int) -> None:
    points = moved(face(seed), turn)
    planes = au_planes(points[None], [au])
    theirs = oracle.plane(oracle.ellipses(points.numpy())[au])
    assert theirs is not None
    assert_agree(planes.maps[0, 0], theirs / 255)


def test_both_tables_know_the_same_action_units(demo_points: Tensor) -> None:
    assert set(oracle.ellipses(demo_points[0].numpy())) == set(TABLE)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_drawn_faces(demo_points: Tensor, expression: str) -> None:
    maps, valid = au_heatmaps(demo_points, [expression] * len(demo_points))
    assert valid.all()
    for points, ours in zip(demo_points.numpy(), maps, strict=True):
        theirs = oracle.au_map(points, expression)
        assert theirs is not None
        assert_agree(ours, theirs)


def test_golden_heatmaps_of_the_reference(golden: Callable) -> None:
    arrays = golden("au_maps")
    names = [name for name in arrays if name[0].isdigit()]
    points = torch.from_numpy(np.stack([arrays[f"lm_{name.partition('_')[0]}"] for name in names])).double()
    maps, valid = au_heatmaps(points, [name.partition("_")[2] for name in names])
    assert valid.all()
    for name, ours in zip(names, maps, strict=True):
        assert_agree(ours, arrays[name])


def test_the_oracle_itself_agrees_with_the_golden_heatmaps(golden: Callable) -> None:
    arrays = golden("au_maps")
    for name in [name for name in arrays if name[0].isdigit()]:
        index, _, expression = name.partition("_")
        theirs = oracle.au_map(arrays[f"lm_{index}"], expression.lower())
        assert theirs is not None
        assert np.abs(theirs - arrays[name].astype(np.float64)).mean() < 3e-5


def test_a_thin_eyelid_peaks_far_below_a_lip_corner(demo_points: Tensor) -> None:
    """Softening at 28 x 28 dims what is thinner than a cell; METHOD 2 says so, and a score depends on it."""
    planes = au_planes(demo_points, [5, 12])
    lids, corners = planes.maps.amax((2, 3)).unbind(1)
    assert (lids < 0.85).all()
    assert (corners > 0.95).all()


def test_heatmaps_span_zero_to_one_and_leave_the_points_alone(demo_points: Tensor) -> None:
    before = demo_points.clone()
    maps, valid = au_heatmaps(demo_points, ["fear"] * len(demo_points))
    assert valid.all()
    assert torch.equal(maps.amin((1, 2)), torch.zeros(len(maps)))
    assert torch.equal(maps.amax((1, 2)), torch.ones(len(maps)))
    assert torch.equal(demo_points, before)


def test_a_face_does_not_depend_on_its_batch(demo_points: Tensor) -> None:
    names = [EXPRESSIONS[i % 6] for i in range(len(demo_points))]
    together, _ = au_heatmaps(demo_points, names)
    for points, name, ours in zip(demo_points, names, together, strict=True):
        assert torch.equal(au_heatmaps(points[None], [name])[0][0], ours)


@pytest.mark.parametrize("label", ["neutral", "Neutral", "contempt", ""])
def test_an_expression_without_action_units_is_undefined(demo_points: Tensor, label: str) -> None:
    maps, valid = au_heatmaps(demo_points[:2], [label, "happy"])
    assert valid.tolist() == [False, True]
    assert maps[0].isnan().all()
    assert maps[1].isfinite().all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_missing_landmarks_are_undefined(demo_points: Tensor, value: float) -> None:
    points = demo_points[:3].clone()
    points[1, 67, 1] = value
    maps, valid = au_heatmaps(points, ["anger"] * 3)
    assert valid.tolist() == [True, False, True]
    assert maps[1].isnan().all()
    assert maps[[0, 2]].isfinite().all()


def test_nothing_at_all() -> None:
    maps, valid = au_heatmaps(torch.zeros(0, 68, 2), [])
    assert maps.shape == (0, 224, 224)
    assert valid.shape == (0,)


def test_another_size_is_the_same_picture(demo_points: Tensor) -> None:
    large, _ = au_heatmaps(demo_points, ["sadness"] * len(demo_points))
    small, _ = au_heatmaps(demo_points / 2, ["sadness"] * len(demo_points), size=112)
    odd, _ = au_heatmaps(demo_points * 100 / 224, ["sadness"] * len(demo_points), size=100)
    halved = torch.nn.functional.interpolate(large[:, None], size=112, mode="bilinear", antialias=True)[:, 0]
    hundredth = torch.nn.functional.interpolate(large[:, None], size=100, mode="bilinear", antialias=True)[:, 0]
    assert (small - halved).abs().mean() < 0.005
    assert (odd - hundredth).abs().mean() < 0.005


def test_union_of_the_planes_is_the_heatmap(demo_points: Tensor) -> None:
    book = load_codebook("belharbi2024")
    for geometry in ("reference", "scaled"):
        for expression in EXPRESSIONS:
            aus = [unit.au for unit in book.units(expression)]
            planes = au_planes(demo_points, aus, geometry=geometry)
            union = planes.maps.nan_to_num(-1).amax(1)
            low, high = union.amin((1, 2), keepdim=True), union.amax((1, 2), keepdim=True)
            maps, _ = au_heatmaps(demo_points, [expression] * len(demo_points), geometry=geometry)
            torch.testing.assert_close(maps, (union - low) / (high - low), atol=1e-6, rtol=0)


def test_a_plane_keeps_its_action_unit_where_it_cannot_be_drawn(demo_points: Tensor) -> None:
    aus = (17, 1, 9)
    away = moved(demo_points.double(), down=130)  # the chin leaves the picture, the brows stay
    planes = au_planes(torch.cat([demo_points.double(), away]), aus)
    n = len(demo_points)
    assert planes.aus == aus
    assert planes.maps.shape == (2 * n, 3, 224, 224)
    assert planes.drawn[:n].all()
    assert not planes.drawn[n:, 0].any()
    assert planes.drawn[n:, 1].all()
    assert torch.equal(planes.maps.isnan().all((2, 3)), ~planes.drawn)
    assert torch.equal(planes.maps.isnan().any(3).any(2), ~planes.drawn)


def test_planes_of_a_face_without_landmarks_are_not_drawn(demo_points: Tensor) -> None:
    points = demo_points[:2].clone()
    points[0] = torch.nan
    planes = au_planes(points, [1, 2])
    assert planes.drawn.tolist() == [[False, False], [True, True]]
    assert planes.maps[0].isnan().all()


def test_weights_dim_and_sides_halve(demo_points: Tensor) -> None:
    def heat(*units: ActionUnit) -> Tensor:
        return au_heatmaps(demo_points, ["happiness"] * 14, codebook=Codebook("", "", {"happiness": units}))[0]

    both, left, right = heat(ActionUnit(6)), heat(ActionUnit(6, side="left")), heat(ActionUnit(6, side="right"))
    middle = int(demo_points[:, 41:47, 0].mean())
    assert (left[:, :, middle + 30 :] == 0).all()
    assert (right[:, :, : middle - 30] == 0).all()
    torch.testing.assert_close(torch.maximum(left, right), both)
    weighted = heat(ActionUnit(12), ActionUnit(1, weight=0.25))
    brows = au_planes(demo_points, [1]).maps[:, 0] == 1
    assert brows.any()
    torch.testing.assert_close(weighted[brows], torch.full((int(brows.sum()),), 0.25), atol=1e-3, rtol=0)
    torch.testing.assert_close(heat(ActionUnit(12), ActionUnit(15), ActionUnit(12)), heat(ActionUnit(12)))


@pytest.mark.parametrize("size", [28, 56, 84, 100, 140, 224])
def test_planes_are_blurred_and_enlarged_as_torch_does(size: int) -> None:
    """Also where a cell has an odd number of pixels, and at the size of the grid itself."""
    coverage = torch.rand(3, 28, 28)
    soft = F.avg_pool2d(F.pad(coverage[:, None], (1, 1, 1, 1), mode="reflect"), 3, 1)
    theirs = F.interpolate(soft, size=(size, size), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(raster.enlarge(coverage, size), theirs, atol=2e-6, rtol=0)


@pytest.mark.parametrize("size", [112, 224])
@pytest.mark.parametrize("faces", [1, union.FACES_AT_ONCE + 3])
def test_enlarging_the_largest_plane_once_is_enlarging_each(size: int, faces: int) -> None:
    """Random blots cross each other everywhere, also at the border; one face has no plane."""
    generator = torch.Generator().manual_seed(size + faces)
    face = torch.randint(0, faces, (4 * faces,), generator=generator).sort().values
    face = face[face != faces - 2]
    coverage = torch.rand(len(face), 28, 28, generator=generator)
    coverage *= F.interpolate(torch.rand(len(face), 1, 4, 4, generator=generator), size=28)[:, 0] > 0.6
    planes = raster.Planes(face, face, torch.ones(len(face)), face)
    maps, valid = union.merge_planes(coverage, planes, faces, size)
    for index in range(faces):
        own = coverage[face == index]
        assert bool(valid[index]) == bool(len(own))
        if len(own):
            largest = raster.enlarge(own, size).amax(0)
            expected = (largest - largest.amin()) / (largest.amax() - largest.amin())
            torch.testing.assert_close(maps[index], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("chunk", [1, 5, 512])
def test_the_heatmaps_of_an_accelerator_are_those_of_a_cpu(
    demo_points: Tensor, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accelerator's merge, run on the CPU: a maximum does not depend on how planes are grouped."""
    merged: list[Tensor] = []

    def merge(coverage: Tensor, planes: raster.Planes, faces: int, size: int, normalise: bool) -> tuple[Tensor, Tensor]:
        merged.append(torch.empty(faces, size, size))
        raster._merge_chunks_(merged[-1], coverage, planes, normalise)
        return on_cpu(coverage, planes, faces, size, normalise)

    on_cpu = drawing.merge_planes
    monkeypatch.setattr(raster, "GPU_CHUNK", chunk)
    monkeypatch.setattr(drawing, "merge_planes", merge)
    names = [[*EXPRESSIONS, "neutral"][i % 7] for i in range(len(demo_points))]
    maps, valid = au_heatmaps(demo_points, names)
    assert valid.sum() == 12
    torch.testing.assert_close(merged[0], maps, atol=1e-6, rtol=0, equal_nan=True)


@pytest.mark.parametrize("chunk", [0, 3])
def test_normalised_planes_all_reach_their_weight(
    demo_points: Tensor, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protocol corrected: the union is the maximum of planes that each peak at the weight of their AU."""
    units = (ActionUnit(5), ActionUnit(26), ActionUnit(1, weight=0.5))
    codebook = Codebook("own", "", {"surprise": units})
    planes = au_planes(demo_points, [5, 26, 1], geometry="scaled").maps
    peaks = planes.amax((2, 3), keepdim=True)
    assert (peaks[:, 0] < 0.5).any(), "the eyelids alone stay under the threshold of the masks"
    expected = (planes / peaks * torch.tensor([1, 1, 0.5])[None, :, None, None]).amax(1)
    if chunk:
        monkeypatch.setattr(raster, "GPU_CHUNK", chunk)
        monkeypatch.setattr(drawing, "merge_planes", merge_as_on_an_accelerator)
    maps, valid = au_heatmaps(demo_points, ["surprise"] * len(demo_points), 224, codebook, "scaled", normalise=True)
    torch.testing.assert_close(maps[valid], expected[valid], atol=1e-5, rtol=0)
    eyelids = planes[:, 0] == peaks[:, 0]
    assert (maps[eyelids] > 0.99).all()
    raw, _ = au_heatmaps(demo_points, ["surprise"] * len(demo_points), 224, codebook, "scaled")
    assert (raw[eyelids] < 0.5).any()


def merge_as_on_an_accelerator(
    coverage: Tensor, planes: raster.Planes, faces: int, size: int, normalise: bool
) -> tuple[Tensor, Tensor]:
    merged = torch.empty(faces, size, size)
    raster._merge_chunks_(merged, coverage, planes, normalise)
    return merged, merged[:, 0, 0].isfinite()


def test_importing_the_package_changes_no_warning_filter() -> None:
    code = "import warnings; before = list(warnings.filters); import interpfer.au.drawing as d; print(d.__name__)"
    code = f"import torch, numpy, pandas, yaml, jaxtyping; {code}; assert warnings.filters == before"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interpfer.au.drawing\n"), done.stderr


def test_what_a_caller_may_get_wrong(demo_points: Tensor, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="classes must be one per face, got 1 for 14 faces"):
        au_heatmaps(demo_points, ["happy"])
    with pytest.raises(DataError, match="unknown expression 'hapiness'"):
        au_heatmaps(demo_points[:1], ["hapiness"])
    assert au_heatmaps(demo_points[:1], ["grinning"])[1].tolist() == [False]
    with pytest.raises(PluginError, match=r"unknown geometry 'scale'\. Did you mean scaled\?"):
        au_heatmaps(demo_points[:1], ["happy"], geometry="scale")
    with pytest.raises(PluginError, match=r"unknown codebook 'emfac'\. Did you mean emfacs\?"):
        au_heatmaps(demo_points[:1], ["happy"], codebook="emfac")
    with pytest.raises(DataError, match=r"AU 21 has no region in this geometry\..*Known: 1, 2, 4"):
        au_planes(demo_points, [12, 21])
    book = tmp_path / "mine.yaml"
    book.write_text("classes: {happiness: [12, 99]}")
    with pytest.raises(DataError, match="AU 99 has no region in this geometry"):
        au_heatmaps(demo_points[:1], ["happy"], codebook=str(book))
