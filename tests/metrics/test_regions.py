"""Shares of a map's energy in named regions of the face, and what a score says of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import interpfer
from interpfer.au.face_regions import FACE_REGIONS, locate_face_regions
from interpfer.landmarks.points import MEAN_FACE
from interpfer.metrics import METRICS, select_metrics
from interpfer.metrics.regions import region_areas, region_of, region_shares


@pytest.fixture
def points() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.tensor(MEAN_FACE).float() + 112 + 3 * torch.randn(3, 68, 2, generator=generator)


def of(region: str, maps: Tensor, points: Tensor) -> list[float]:
    return METRICS.get(f"region_{region}")(maps, points).tolist()


def skill(region: str, maps: Tensor, points: Tensor) -> list[float]:
    return METRICS.get(f"region_{region}_skill")(maps, points).tolist()


def test_a_map_inside_a_region_has_all_its_energy_there(points: Tensor) -> None:
    regions = locate_face_regions(points)
    for index, name in enumerate(FACE_REGIONS):
        maps = (regions == index).float() * torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(1))
        assert of(name, maps, points) == pytest.approx([1, 1, 1])
        assert skill(name, maps, points) == pytest.approx([1, 1, 1])
        others = [of(other, maps, points) for other in FACE_REGIONS if other != name]
        assert not np.any(others)


def test_a_uniform_map_has_the_area_of_a_region_and_no_skill(points: Tensor) -> None:
    regions = locate_face_regions(points)
    maps = torch.full((3, 224, 224), 0.3)
    for index, name in enumerate(FACE_REGIONS):
        areas = (regions == index).double().mean((1, 2)).tolist()
        assert all(0 < area < 1 for area in areas)
        assert of(name, maps, points) == pytest.approx(areas, abs=1e-6)
        assert skill(name, maps, points) == pytest.approx([0, 0, 0], abs=1e-6)
        assert region_areas(maps, points)[:, index].tolist() == pytest.approx(areas)


def test_shares_are_those_of_a_plain_loop_and_add_up_to_one(points: Tensor) -> None:
    maps = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(2)) ** 4
    regions = locate_face_regions(points).numpy()
    shares = region_shares(maps, points)
    assert shares.sum(1).tolist() == pytest.approx([1, 1, 1], abs=1e-6)
    for face in range(3):
        pixels = maps[face].double().numpy()
        total = sum(map(sum, pixels.tolist()))
        for index, name in enumerate(FACE_REGIONS):
            inside = [float(pixels[y, x]) for y, x in zip(*np.nonzero(regions[face] == index), strict=True)]
            share, area = sum(inside) / total, len(inside) / 224**2
            assert of(name, maps, points)[face] == pytest.approx(share, abs=1e-6)
            assert skill(name, maps, points)[face] == pytest.approx((share - area) / (1 - area), abs=1e-6)


def test_undefined_is_nan(points: Tensor) -> None:
    maps = torch.rand(4, 224, 224)
    points = torch.cat([points, points[:1] + 1e4])
    points[0], maps[1], maps[2] = torch.nan, torch.nan, 0
    shares, skills = of("mouth", maps, points), skill("mouth", maps, points)
    assert np.isnan(shares).tolist() == [True, True, True, False]
    assert np.isnan(skills).tolist() == [True, True, True, True]
    assert shares[3] == 0
    assert of("outside", maps, points)[3] == pytest.approx(1)


def test_names() -> None:
    names = [f"region_{name}{kind}" for name in FACE_REGIONS for kind in ("", "_skill")]
    assert list(select_metrics("regions")) == names
    assert set(names) < set(select_metrics("all"))
    assert not set(names) & set(select_metrics("agreement"))
    assert [region_of(name) for name in names] == [name for name in FACE_REGIONS for _ in range(2)]


def test_a_score_has_the_shares_of_its_maps_per_expression(checkpoint: Path, faces: Path) -> None:
    landmarks = faces / "landmarks.txt"
    run = interpfer.score(
        interpfer.load_model(checkpoint), "csv", data_root=faces, landmarks=landmarks, metrics="cosine,regions",
        maps="gradcam,baseline:uniform", device="cpu",
    )  # fmt: skip
    columns = [f"region_{name}" for name in FACE_REGIONS]
    scored = run.per_image[run.per_image["cosine"].notna()]
    assert scored[columns].sum(axis=1).tolist() == pytest.approx([1] * len(scored), abs=1e-5)
    assert run.per_image[run.per_image["label"] == "neutral"][columns].isna().all(axis=None)
    uniform = scored[scored["map"] == "baseline:uniform"]
    assert uniform["region_mouth_skill"].abs().max() < 1e-6
    for expression in set(uniform["label"]):
        own = scored[(scored["map"] == "gradcam") & (scored["label"] == expression)]
        assert run.score("gradcam", "region_mouth", expression) == pytest.approx(own["region_mouth"].mean())
    means = scored[scored["map"] == "gradcam"].groupby("label")["region_chin_skill"].mean()
    assert run.score("gradcam", "region_chin_skill", "macro") == pytest.approx(means.mean())
