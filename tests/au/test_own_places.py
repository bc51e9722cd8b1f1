"""Places of action units that no reference code draws: where FACS puts the muscle, and symmetric."""

import pytest
import torch
from torch import Tensor

from interpfer import au_heatmaps
from interpfer.au.drawing import au_planes
from interpfer.au.face_regions import FACE_REGIONS, locate_face_regions
from interpfer.au.geometry import GEOMETRIES, OWN_PLACES, TABLE, reference, scaled
from interpfer.au.names import AU_NAMES
from interpfer.landmarks.points import MEAN_FACE, MIRRORED
from interpfer.types import CANVAS

EXPECTED = {
    **dict.fromkeys((8, 18, 19, 22, 28, 32), {"mouth"}),
    11: {"cheeks"},
    13: {"cheeks"},
    **dict.fromkeys((33, 34, 35), {"cheeks", "chin"}),
    **dict.fromkeys((38, 39), {"nose"}),
    **dict.fromkeys((41, 42, 44, 45, 46), {"eyes"}),
}
"""AU -> regions of the face that FACS describes, by ``locate_face_regions``, which knows no action units."""


@pytest.fixture(scope="module")
def faces(mean_face: Tensor) -> Tensor:
    """Return the mean face and faces moved from it, upright in the middle of the canvas."""
    noise = torch.randn(8, 68, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.cat([mean_face, mean_face + 1.5 * noise])


@pytest.fixture(scope="module")
def mean_face() -> Tensor:
    return torch.tensor(MEAN_FACE, dtype=torch.float64)[None] * 1.1 + torch.tensor([112.0, 118.0])


def ellipses(points: Tensor, au: int, geometry: str) -> Tensor:
    regions = GEOMETRIES[geometry](points)
    return regions.ellipses[:, regions.aus.index(au)]


def test_the_table_is_complete_and_leaves_the_reference_alone() -> None:
    assert set(EXPECTED) == set(OWN_PLACES)
    assert not OWN_PLACES.keys() & TABLE.keys()
    assert OWN_PLACES.keys() <= AU_NAMES.keys()


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("au", sorted(EXPECTED))
def test_centres_lie_in_the_regions_that_facs_describes(au: int, geometry: str, faces: Tensor) -> None:
    regions = locate_face_regions(faces)
    for face, pair in enumerate(ellipses(faces, au, geometry)):
        for x, y, *_ in pair.tolist():
            assert FACE_REGIONS[int(regions[face, int(y), int(x)])] in EXPECTED[au], (face, au)


@pytest.mark.parametrize("au", sorted(EXPECTED))
def test_the_left_ellipse_is_on_the_left_and_mirrors_into_the_right(au: int, faces: Tensor) -> None:
    mirrored = faces[:, list(MIRRORED)] * faces.new_tensor([-1.0, 1.0]) + faces.new_tensor([CANVAS, 0.0])
    x, y, *radii = ellipses(faces, au, "scaled").flip(1).unbind(-1)
    torch.testing.assert_close(ellipses(mirrored, au, "scaled"), torch.stack([CANVAS - x, y, *radii], -1))
    left, right = ellipses(faces, au, "reference")[..., 0].unbind(1)
    assert (left < right).all() or OWN_PLACES[au] == TABLE[23]
    if OWN_PLACES[au] != TABLE[23]:
        assert (left < faces[:, 33, 0]).all()
        assert (right > faces[:, 33, 0]).all()


def test_a_few_by_hand() -> None:
    points = torch.zeros(1, 68, 2, dtype=torch.float64)
    places = {31: (100.7, 130.2), 35: (124.0, 131.0), 48: (86.0, 160.0), 50: (104.0, 152.0), 4: (60.0, 170.0)}
    for index, place in places.items():
        points[0, index] = torch.tensor(place)
    assert ellipses(points, 11, "reference")[0, 0].tolist() == [83, 141, 20, 20]
    assert ellipses(points, 13, "reference")[0, 0].tolist() == [86, 145, 20, 20]
    assert ellipses(points, 38, "reference")[0].tolist() == [[100, 130, 14, 14], [124, 131, 14, 14]]
    assert ellipses(points, 34, "reference")[0, 0].tolist() == [73, 165, 22, 22]


def test_action_units_of_one_place_share_a_plane(mean_face: Tensor) -> None:
    for regions in (reference(mean_face), scaled(mean_face)):
        first = {au: regions.aus[regions.shared[column]] for column, au in enumerate(regions.aus)}
        assert {first[au] for au in (8, 18, 19, 22, 23, 24, 26, 27, 28, 32)} == {8}
        assert {first[au] for au in (41, 42, 43, 44, 45, 46)} == {41}
        assert (first[11], first[13], first[34], first[39]) == (11, 13, 33, 38)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_they_are_drawn(geometry: str, mean_face: Tensor) -> None:
    for au in OWN_PLACES:
        maps, valid = au_heatmaps(mean_face, aus=[{au: 1}], geometry=geometry)
        assert valid.all()
        assert float(maps.max()) == pytest.approx(1)
    pucker, _ = au_heatmaps(mean_face, aus=[{18: 1}], geometry=geometry)
    tightener, _ = au_heatmaps(mean_face, aus=[{23: 1}], geometry=geometry)
    assert torch.equal(pucker, tightener)
    assert au_planes(mean_face, [11, 39], geometry=geometry).drawn.all()
    assert not au_heatmaps(mean_face, aus=[{21: 1, 51: 1}], geometry=geometry)[1].any()
