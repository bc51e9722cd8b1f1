"""Which points can be the landmarks of a face, and what is said of the others."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from interpfer.landmarks.files import FileLandmarks
from interpfer.landmarks.plausibility import CAUSES, common_fault, find_faults, reject_implausible
from interpfer.landmarks.points import MEAN_FACE, MIRRORED
from interpfer.types import Landmarks
from tests.conftest import SHARED

SIZE = (240, 200)
FACE = np.array(MEAN_FACE, np.float64) * 0.8 + [120, 100]

FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "coordinates between 0 and 1": lambda face: face / SIZE,
    "coordinates between -1 and 1": lambda face: 2 * face / SIZE - 1,
    "all points at one place": lambda face: np.full_like(face, 50),
    "all points on a line": lambda face: face @ [[1, 0.5], [0, 0]],
    "x and y interleaved": lambda face: face.ravel().reshape(2, 68).T,
    "y before x": lambda face: face[:, ::-1],
    "y counted upwards": lambda face: [0, SIZE[1]] + face * [1, -1],
    "left and right swapped": lambda face: face[list(MIRRORED)],
    "not the shape of a face": lambda face: face[np.random.default_rng(0).permutation(68)],
    "upside down": lambda face: np.array(SIZE) - face,
    "most points off the picture": lambda face: face * 5,
}


def turned(face: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (face - [120, 100]) @ np.array([[cos, sin], [-sin, cos]]) + [120, 100]


def test_the_mean_face_is_symmetric_and_of_the_size_that_it_says() -> None:
    face = np.array(MEAN_FACE)
    np.testing.assert_array_equal(face[list(MIRRORED)] * [-1, 1], face)
    assert face[45, 0] - face[36, 0] == 100
    np.testing.assert_allclose(face.mean(0), 0, atol=0.5)


@pytest.mark.parametrize(("fault", "form"), FORMS.items(), ids=FORMS)
def test_every_fault_has_its_name_and_a_cause(fault: str, form: Callable[[np.ndarray], np.ndarray]) -> None:
    faces = np.stack([FACE, form(FACE), form(turned(FACE, 15))])
    assert find_faults(faces, [SIZE] * 3) == ["", fault, fault]
    assert common_fault(faces, [SIZE] * 3) == (fault, 2)
    assert common_fault(faces[:2], [SIZE] * 2) is None  # half is not most
    assert CAUSES[fault]


@pytest.mark.parametrize("degrees", [-119, -90, -45, 0, 30, 90, 119])
def test_a_rolled_head_is_a_face(degrees: float) -> None:
    assert find_faults(turned(FACE, degrees)[None], [SIZE]) == [""]


def test_a_profile_and_a_cut_face_are_faces() -> None:
    profile = (FACE - [120, 100]) * [0.35, 1] + [120, 100]
    profile[:17, 0] += np.linspace(-20, 10, 17)
    assert find_faults(profile[None], [SIZE]) == [""]
    for shift in ([-120, 0], [120, 0], [0, -90], [0, 90]):  # half of the points are off the picture
        inside = ((shift + FACE >= 0) & (shift + FACE <= SIZE)).all(1).mean()
        assert 0.4 < inside < 0.6
        assert find_faults((FACE + shift)[None], [SIZE]) == [""]


def test_most_faces_that_lie_on_the_same_side_are_of_pictures_without_their_rotation() -> None:
    left, right, upright = (turned(FACE, degrees) for degrees in (-90, 90, 0))
    assert common_fault(np.stack([left, left, upright]), [SIZE] * 3) == ("faces lie on their side", 2)
    assert common_fault(np.stack([left, right, upright]), [SIZE] * 3) is None


def test_without_sizes_the_place_is_not_judged() -> None:
    assert find_faults(FACE[None] * 5, [(0, 0)]) == [""]
    assert find_faults(FACE[None, :, ::-1], [(0, 0)]) == ["y before x"]


def test_implausible_faces_are_not_found_and_their_notes_name_the_fault() -> None:
    points = torch.from_numpy(np.stack([FACE, FACE * np.nan, FACE[:, ::-1]]))
    landmarks = Landmarks.of(points, ("several faces: took the largest of 2", "no face", ""))
    kept = reject_implausible(landmarks, [SIZE] * 3)
    assert kept.found.tolist() == [True, False, False]
    assert kept.notes == ("several faces: took the largest of 2", "no face", "implausible landmarks: y before x")
    assert torch.equal(kept.points[0], points[0])
    assert landmarks.found.tolist() == [True, False, True]
    assert reject_implausible(kept, [SIZE] * 3) is kept


def test_no_real_face_is_refused_upright_or_turned_by_a_right_angle() -> None:
    folder = SHARED / "data" / "faces"
    teachers = SHARED / "data" / "landmarks" / "teachers.npz"
    if not teachers.is_file():
        pytest.skip(f"no real faces in {SHARED}; name the folder above data/ in INTERPFER_SHARED")
    names = [path.name for path in sorted((folder / "images").iterdir())]
    landmarks = FileLandmarks(folder / "landmarks.txt").locate(names, None)
    found = landmarks.found.nonzero()[:, 0].tolist()
    sizes = []
    for row in found:
        with Image.open(folder / "images" / names[row]) as image:
            sizes.append(image.size)
    assert len(found) == 640
    assert not any(find_faults(landmarks.points[found].numpy(), sizes))
    with np.load(teachers) as arrays:
        for name in ("faceapi", "mediapipe"):
            points = arrays[name].astype(np.float64)
            assert not any(find_faults(points, [(0, 0)] * len(points)))
            lying = np.stack([-points[..., 1], points[..., 0]], 2)
            assert sum(map(bool, find_faults(lying, [(0, 0)] * len(lying)))) <= 3  # heads that are rolled already
