"""Landmark files of other programs and data sets: eyes are eyes, the mouth is the mouth, left is left.

Each file is written out of the points of drawn faces, read, and checked against the drawn faces by masks of what is
painted there (almonds of the eyes, outline of the lips), which know no point of the files.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.io import savemat

from interpfer.datasets.demo import DemoDataset
from interpfer.errors import DataError, InterpferError
from interpfer.faces.check import check_landmarks
from interpfer.landmarks.files import FileLandmarks, FractionLandmarks, open_landmarks
from interpfer.landmarks.files.schemes import (
    INSIGHTFACE_106,
    LAPA_106,
    MEDIAPIPE,
    ORDERS_106,
    SENSETIME_106,
    WFLW_98,
    convert,
    recognise_order,
)
from interpfer.landmarks.points import MEAN_FACE, MIRRORED
from interpfer.landmarks.resolve import resolve_landmarks
from tests.landmarks import templates

Points = NDArray[np.float64]

COUNT, SIZE = 6, 160


@pytest.fixture(scope="module")
def dataset() -> DemoDataset:
    return DemoDataset("test", count=COUNT, size=SIZE)


@pytest.fixture(scope="module")
def drawn(dataset: DemoDataset) -> dict[str, Points]:
    ids = [sample.id for sample in dataset.samples]
    return dict(zip(ids, dataset.landmarks().locate(ids, None).points.double().numpy(), strict=True))


def mesh_478(face: Points) -> Points:
    """Return MediaPipe's points: those of its lists of eyes, brows and lips by these lists, others on the nose."""
    points = np.repeat(face[[30]], 478, 0)
    ring = [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7]
    other = [362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382]
    for indices, eye in ((ring, face[36:42]), (other, face[42:48])):
        points[indices[:9]] = templates.along(eye[:4], 10)[[0, 1, 2, 3, 4, 6, 7, 8, 9]]
        points[indices[8:]] = templates.along(eye[[3, 4, 5, 0]], 10)[[0, 1, 2, 3, 4, 6, 7, 8]]
    points[[70, 63, 105, 66, 107]], points[[336, 296, 334, 293, 300]] = face[17:22], face[22:27]
    outer = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146]
    points[outer[:11]] = templates.along(face[48:55], 11)
    points[outer[10:]] = templates.along(face[[54, 55, 56, 57, 58, 59, 48]], 11)[:10]
    inner = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
    points[inner[:11]] = templates.along(face[60:65], 11)
    points[inner[10:]] = templates.along(face[[64, 65, 66, 67, 60]], 11)[:10]
    points[[168, 6, 197, 195, 5, 4]] = templates.along(face[27:31], 6)
    points[[75, 97, 2, 326, 305]] = face[31:36]
    jaw = [
        127,
        234,
        93,
        132,
        58,
        172,
        136,
        150,
        149,
        176,
        148,
        152,
        377,
        400,
        378,
        379,
        365,
        397,
        288,
        361,
        323,
        454,
        356,
    ]
    points[jaw] = templates.along(face[:17], len(jaw))
    return points


# --- writers of the forms: faces by name -> file or folder ----------------------------------------------------------


def columns(prefix: str, points: Points, first: int = 0) -> dict[str, float]:
    """Return all x before all y, as OpenFace and py-feat name them."""
    return {
        f"{prefix}{axis}_{i + first}": float(points[i, a]) for a, axis in enumerate("xy") for i in range(len(points))
    }


def write_csv(path: Path, rows: list[dict[str, object]], separator: str = ",") -> Path:
    lines = [separator.join(rows[0]), *(separator.join(str(value) for value in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def openface2(folder: Path, faces: dict[str, Points]) -> Path:
    """One table per picture, blanks behind the commas of the header, points in space in capitals."""
    out = folder / "openface"
    out.mkdir()
    for name, face in faces.items():
        row: dict[str, object] = {"frame": 1, "face_id": 0, "timestamp": 0.0, "confidence": 0.98, "success": 1}
        row |= {"gaze_0_x": 0.1, "eye_lmk_x_0": 3.0, "eye_lmk_y_0": 4.0} | columns("", face)
        row |= {f"{axis}_{i}": 999.0 for axis in "XYZ" for i in range(68)} | {"p_rx": 0.1, "AU01_r": 0.5, "AU01_c": 1.0}
        write_csv(out / f"{Path(name).stem}.csv", [row], ", ")
    return out


def pyfeat(folder: Path, faces: dict[str, Points]) -> Path:
    rows: list[dict[str, object]] = []
    for name, face in faces.items():
        box = {"FaceRectX": 1, "FaceRectY": 1, "FaceRectWidth": 50, "FaceRectHeight": 60, "FaceScore": 0.9}
        rows.append(
            box | columns("", face) | {"Pitch": 0, "AU01": 0.5, "anger": 0.1, "input": f"/data/{name}", "frame": 0}
        )
        rows.append({**rows[-1], **columns("", face + 300), "FaceScore": 0.6})
    return write_csv(folder / "feat.csv", rows)


def pyfeat2(folder: Path, faces: dict[str, Points]) -> Path:
    rows: list[dict[str, object]] = []
    for name, face in faces.items():
        mesh = {f"mesh_{axis}_{i}": -7.0 for i in range(478) for axis in "xyz"}
        rows.append({"FaceRectX": 1, "FaceScore": 0.9} | mesh | columns("", face) | {"Neutral": 0.1, "input": name})
    return write_csv(folder / "feat2.csv", rows)


def pyfeat_mesh(folder: Path, faces: dict[str, Points]) -> Path:
    """MPDetector: x_0, y_0, z_0, x_1, ...; more than 68 of them."""
    rows: list[dict[str, object]] = []
    for name, face in faces.items():
        mesh = mesh_478(face)
        cells = {f"{axis}_{i}": value for i in range(478) for axis, value in zip("xyz", [*mesh[i], 0.1], strict=True)}
        rows.append({"FaceRectX": 1, "FaceScore": 0.9} | cells | {"input": name})
    return write_csv(folder / "mesh.csv", rows)


def mediapipe_json(folder: Path, faces: dict[str, Points]) -> Path:
    content = {
        name: [{"x": x / SIZE, "y": y / SIZE, "z": 0.1} for x, y in mesh_478(face)] for name, face in faces.items()
    }
    path = folder / "mesh.json"
    path.write_text(json.dumps(content))
    return path


def libreface(folder: Path, faces: dict[str, Points]) -> Path:
    out = folder / "libreface"
    out.mkdir()
    for name, face in faces.items():
        mesh = mesh_478(face) / SIZE
        cells = {f"lm_mp_{i}_{axis}": value for i in range(478) for axis, value in zip("xy", mesh[i], strict=True)}
        write_csv(out / f"{Path(name).stem}.csv", [{"au_1": 0, "facial_expression": "Happiness"} | cells])
    return out


def openface3(folder: Path, faces: dict[str, Points]) -> Path:
    """Cells hold Python lists; the landmarks are WFLW's 98."""
    out = folder / "openface3"
    out.mkdir()
    for name, face in faces.items():
        lists, other = templates.wflw_98(face).tolist(), (templates.wflw_98(face) + 9).tolist()
        text = (
            "timestamp,image_path,face_id,face_detection,landmarks,emotion,gaze_yaw,gaze_pitch,action_units\n"
            f'2025-01-01 10:00:00,images/{name},0,"[1.0, 2.0, 90.0, 99.0, 0.99, 1.0]","{lists}",1,0.1,0.2,"[[0.1]]"\n'
            f'2025-01-01 10:00:00,images/{name},1,"[1.0, 2.0, 9.0, 9.0, 0.55]","{other}",1,0.1,0.2,"[[0.1]]"\n'
        )
        (out / f"face_analysis_{Path(name).stem}.csv").write_text(text)
    return out


def pts(folder: Path, faces: dict[str, Points], count: str = "n_points:  68", sign: int = 1) -> Path:
    """Pixels from 1."""
    out = folder / f"pts{len(count)}{sign}"
    (out / "indoor").mkdir(parents=True)
    for name, face in faces.items():
        written = face + 1
        written[3:6] *= sign
        lines = "\n".join(f"{x} {y}" for x, y in written)
        (out / "indoor" / f"{Path(name).stem}.pts").write_text(f"version: 1\n{count}\n{{\n{lines}\n}}\n")
    return out


def openface_pts(folder: Path, faces: dict[str, Points]) -> Path:
    return pts(folder, faces, "npoints: 68")


def merl_rav(folder: Path, faces: dict[str, Points]) -> Path:
    return pts(folder, faces, sign=-1)


def aflw2000(folder: Path, faces: dict[str, Points]) -> Path:
    out = folder / "aflw"
    out.mkdir()
    for name, face in faces.items():
        points = np.concatenate([face.T + 1, np.zeros((1, 68))])
        savemat(out / f"{Path(name).stem}.mat", {"pt3d_68": points, "pt2d": np.full((2, 21), -1.0)})
    return out


def wflw(folder: Path, faces: dict[str, Points], extra: str = "10 10 90 90 0 0 1 0 0 0 ") -> Path:
    """Numbers, box, attributes, name; a second, smaller face of a picture."""
    lines = []
    for name, face in faces.items():
        for points in (templates.wflw_98(face) * 0.5, templates.wflw_98(face)):
            lines.append(f"{' '.join(str(value) for value in points.ravel())} {extra}37--Soccer/{name}")
    path = folder / f"list_98pt_{len(extra)}.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def wflw_plain(folder: Path, faces: dict[str, Points]) -> Path:
    return wflw(folder, faces, "")


def lapa(folder: Path, faces: dict[str, Points]) -> Path:
    """A file per picture: 106, then a point per line."""
    out = folder / "lapa"
    out.mkdir()
    for name, face in faces.items():
        lines = "\n".join(f"{x} {y}" for x, y in templates.lapa_106(face))
        (out / f"{Path(name).stem}.txt").write_text(f"106\n{lines}\n")
    return out


def table_106(make: Callable[[Points], Points]) -> Callable[[Path, dict[str, Points]], Path]:
    def write(folder: Path, faces: dict[str, Points]) -> Path:
        rows = [{"image": name} | columns("", make(face), 1) for name, face in faces.items()]
        return write_csv(folder / "points_106.csv", rows)

    return write


FORMS: dict[str, tuple[Callable[[Path, dict[str, Points]], Path], str]] = {
    "openface2": (openface2, "OpenFace 2: 68 points, pixels"),
    "openface3": (openface3, "OpenFace 3: 98 points (WFLW), pixels"),
    "pyfeat": (pyfeat, "py-feat: 68 points, pixels"),
    "pyfeat2": (pyfeat2, "py-feat: 68 points, pixels"),
    "pyfeat_mesh": (pyfeat_mesh, "py-feat: 478 points (MediaPipe), pixels"),
    "libreface": (libreface, "LibreFace: 478 points (MediaPipe), fractions of the picture"),
    "mediapipe": (mediapipe_json, "table: 478 points (MediaPipe), fractions of the picture"),
    "300w": (pts, ".pts of 300-W, from 1 (assumed): 68 points, pixels"),
    "npoints": (openface_pts, ".pts of 300-W, from 1 (assumed): 68 points, pixels"),
    "merl-rav": (merl_rav, ".pts of 300-W, from 1 (assumed): 68 points, pixels"),
    "aflw2000": (aflw2000, ".mat of AFLW2000-3D, from 1 (assumed): 68 points, pixels"),
    "wflw": (wflw, "WFLW list: 98 points (WFLW), pixels"),
    "wflw without attributes": (wflw_plain, "WFLW list: 98 points (WFLW), pixels"),
    "lapa": (lapa, "one .txt per picture: 106 points (order lapa), pixels"),
    "lapa table": (table_106(templates.lapa_106), "table: 106 points (order lapa), pixels"),
    "insightface": (table_106(templates.insightface_106), "table: 106 points (order insightface), pixels"),
    "sensetime": (table_106(templates.sensetime_106), "table: 106 points (order sensetime), pixels"),
}


def mask(outline: Points) -> NDArray[np.bool_]:
    """Return the pixels of a polygon, thickened by a pixel."""
    picture = Image.new("1", (SIZE, SIZE))
    corners = [tuple(point) for point in outline.tolist()]
    ImageDraw.Draw(picture).polygon(corners, fill=1, outline=1)
    ImageDraw.Draw(picture).line([*corners, corners[0]], fill=1, width=3)
    return np.array(picture)


def overlap(read: Points, face: Points) -> float:
    ours, theirs = mask(read), mask(face)
    return float((ours & theirs).sum() / (ours | theirs).sum())


@pytest.mark.parametrize("form", FORMS)
def test_eyes_are_eyes_the_mouth_is_the_mouth_and_left_is_left(
    form: str, dataset: DemoDataset, drawn: dict[str, Points], tmp_path: Path
) -> None:
    write, described = FORMS[form]
    provider = open_landmarks(write(tmp_path, drawn))
    assert provider.form == described
    is_said = f"landmarks of {provider.path.name} are read as {described}" in provider.notes
    assert is_said == (": 68 points, pixels" not in described or "assumed" in described)
    pictures = [dataset.image(row) for row in range(COUNT)] if provider.needs_images else None
    landmarks = provider.locate(list(drawn), pictures)
    assert landmarks.found.all(), landmarks.notes
    for read, face in zip(landmarks.points.double().numpy(), drawn.values(), strict=True):
        for part in (slice(36, 42), slice(42, 48), slice(48, 60), slice(60, 68)):
            assert overlap(read[part], face[part]) > 0.6
        assert read[36:42, 0].max() < read[27, 0] < read[42:48, 0].min()
        assert overlap(read[:17], face[:17]) > 0.9
        eye = np.linalg.norm(face[45] - face[36])
        assert np.linalg.norm(read[17:] - face[17:], axis=1).max() < 0.15 * eye
    check_landmarks(provider, dataset)


def test_the_right_face_of_several_counts_and_a_note_says_so(drawn: dict[str, Points], tmp_path: Path) -> None:
    provider = open_landmarks(pyfeat(tmp_path, drawn))
    assert provider.notes == (
        "6 pictures have several faces in feat.csv, such as /data/test_0001.png: the one of highest confidence, of "
        "equal ones the largest counts",
    )
    name = next(iter(drawn))
    np.testing.assert_allclose(provider.locate([name], None).points[0].numpy(), drawn[name])


def test_a_failed_face_and_one_that_is_partly_invisible_are_not_found(drawn: dict[str, Points], tmp_path: Path) -> None:
    names = list(drawn)
    folder = openface2(tmp_path, drawn)
    failed = folder / f"{Path(names[0]).stem}.csv"
    failed.write_text(failed.read_text().replace(", 0.98, 1, ", ", 0.1, 0, "))
    assert FileLandmarks(folder).locate(names, None).found.tolist() == [False, *[True] * 5]
    folder = pts(tmp_path, drawn)
    hidden = folder / "indoor" / f"{Path(names[1]).stem}.pts"
    lines = hidden.read_text().splitlines()
    lines[5] = "-1 -1"
    hidden.write_text("\n".join(lines))
    assert FileLandmarks(folder).locate(names, None).found.tolist() == [True, False, *[True] * 4]


def test_points_off_the_upper_left_corner_stay_there(tmp_path: Path) -> None:
    face = np.array(MEAN_FACE, float) + [70, 50]
    assert (face < 0).all(1).sum() == 0
    face -= [0, 10]
    face = face - face[[0, 17]].max(0) - 3
    assert (face < 0).all(1).any()
    folder = pts(tmp_path, {"a.jpg": face})
    np.testing.assert_allclose(FileLandmarks(folder).locate(["a.png"], None).points[0].numpy(), face, atol=1e-4)


def test_fractions_need_the_pictures(drawn: dict[str, Points], tmp_path: Path) -> None:
    path = mediapipe_json(tmp_path, drawn)
    provider = resolve_landmarks(path)
    assert isinstance(provider, FractionLandmarks)
    assert provider.needs_images
    name = next(iter(drawn))
    wide = provider.locate([name], [Image.new("RGB", (2 * SIZE, SIZE))]).points[0]
    assert float(wide[36, 0]) == pytest.approx(2 * drawn[name][36, 0])
    assert float(wide[36, 1]) == pytest.approx(drawn[name][36, 1])
    with pytest.raises(DataError, match="holds fractions of pictures: their sizes are needed"):
        provider.locate([name], None)


# --- the tables -------------------------------------------------------------------------------------------------------

MEDIAPIPE_PARTS = {
    range(36, 42): {7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246},
    range(42, 48): {249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466},
    range(17, 22): {46, 52, 53, 55, 63, 65, 66, 70, 105, 107},
    range(22, 27): {276, 282, 283, 285, 293, 295, 296, 300, 334, 336},
    range(48, 60): {0, 17, 37, 39, 40, 61, 84, 91, 146, 181, 185, 267, 269, 270, 291, 314, 321, 375, 405, 409},
    range(60, 68): {13, 14, 78, 80, 81, 82, 87, 88, 95, 178, 191, 308, 310, 311, 312, 317, 318, 324, 402, 415},
    range(27, 31): {1, 4, 5, 6, 168, 195, 197},
}
"""Points of the 68 -> those of MediaPipe's own lists (eyes, brows, lips, nose); right is the subject's."""


def test_mediapipe_points_are_those_of_its_own_lists() -> None:
    for ours, theirs in MEDIAPIPE_PARTS.items():
        assert {index for point in ours for index in MEDIAPIPE[point]} <= theirs


def test_wflw_agrees_with_facexlib() -> None:
    """Its table: contour every second, nose 51 to 59, lips 76 to 95, eyes by lists; brows are means of both edges."""
    theirs = {i: 2 * i for i in range(17)} | {27 + i: 51 + i for i in range(9)} | {48 + i: 76 + i for i in range(20)}
    theirs |= dict(zip(range(36, 48), [60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75], strict=True))
    assert all(WFLW_98[ours] == (other,) for ours, other in theirs.items())
    upper_of_brows = [33, 34, 35, 36, 37, 42, 43, 44, 45, 46]
    assert [WFLW_98[17 + i] for i in range(10)] == [(i,) for i in upper_of_brows]


MIRROR_98 = dict(zip(range(98), [
    *range(32, -1, -1), 46, 45, 44, 43, 42, 50, 49, 48, 47, 37, 36, 35, 34, 33, 41, 40, 39, 38, 51, 52, 53, 54, 59, 58,
    57, 56, 55, 72, 71, 70, 69, 68, 75, 74, 73, 64, 63, 62, 61, 60, 67, 66, 65, 82, 81, 80, 79, 78, 77, 76, 87, 86, 85,
    84, 83, 92, 91, 90, 89, 88, 95, 94, 93, 97, 96,
], strict=True))  # fmt: skip
"""Left and right of WFLW, as mmpose lists them."""

MIRROR_LAPA = dict(zip(range(106), [
    *range(32, -1, -1), 46, 45, 44, 43, 42, 50, 49, 48, 47, 37, 36, 35, 34, 33, 41, 40, 39, 38, 51, 52, 53, 54,
    *range(65, 54, -1), 79, 78, 77, 76, 75, 82, 81, 80, 83, 70, 69, 68, 67, 66, 73, 72, 71, 74,
    90, 89, 88, 87, 86, 85, 84, 95, 94, 93, 92, 91, 100, 99, 98, 97, 96, 103, 102, 101, 105, 104,
], strict=True))  # fmt: skip
"""Left and right of LaPa, as mmpose lists them."""


@pytest.mark.parametrize(("scheme", "mirror"), [(WFLW_98, MIRROR_98), (LAPA_106, MIRROR_LAPA)])
def test_left_and_right_are_those_of_mmpose(scheme: tuple[tuple[int, ...], ...], mirror: dict[int, int]) -> None:
    for point, other in enumerate(MIRRORED):
        assert {mirror[index] for index in scheme[point]} == set(scheme[other]), point


def test_the_orders_of_106_have_the_points_that_others_use() -> None:
    """Corners of eyes and mouth, nose and chin of LaPa in a pose estimator; the copied table of insightface."""
    lapa_points = {
        17: 33,
        21: 37,
        22: 42,
        26: 46,
        36: 66,
        39: 70,
        42: 75,
        45: 79,
        31: 58,
        35: 62,
        48: 84,
        54: 90,
        57: 93,
    }
    assert all(LAPA_106[ours] == (theirs,) for ours, theirs in (lapa_points | {8: 16}).items())
    nearest = [1, 10, 12, 14, 16, 3, 5, 7, 0, 23, 21, 19, 32, 30, 28, 26, 17, 43, 48, 49, 51, 50, 102, 103, 104, 105,
               101, 72, 73, 74, 86, 78, 79, 80, 85, 84, 35, 41, 42, 39, 37, 36, 89, 95, 96, 93, 91, 90, 52, 64, 63, 71,
               67, 68, 61, 58, 59, 53, 56, 55, 65, 66, 62, 70, 69, 57, 60, 54]  # fmt: skip
    assert all(theirs in ours for ours, theirs in zip(INSIGHTFACE_106, nearest, strict=True))
    assert all(len(set(scheme)) == 68 for scheme in (*ORDERS_106.values(), WFLW_98, MEDIAPIPE))
    assert max(max(point) for point in SENSETIME_106) == 103


@given(seed=st.integers(0, 10_000), order=st.sampled_from(["lapa", "insightface", "sensetime"]))
@settings(max_examples=30, deadline=None)
def test_the_order_of_106_points_is_recognised_on_uneven_faces(seed: int, order: str) -> None:
    rng = np.random.default_rng(seed)
    turn, squeeze = rng.uniform(-0.8, 0.8), rng.uniform(0.6, 1.2)
    faces = np.array(MEAN_FACE, float) * [squeeze, 1] + rng.normal(0, 4, (3, 68, 2))
    faces = faces @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + 150
    make = {"lapa": templates.lapa_106, "insightface": templates.insightface_106, "sensetime": templates.sensetime_106}
    points = np.stack([make[order](face) for face in faces])
    assert recognise_order(points, "F") == order
    np.testing.assert_allclose(convert(points, ORDERS_106[order]), faces, atol=1e-9)


def test_106_points_of_no_known_order_or_of_two_are_refused() -> None:
    noise = np.random.default_rng(0).uniform(0, 100, (4, 106, 2))
    with pytest.raises(DataError, match=r"landmark file F: 106 points that make no face in any known order \(fit to"):
        recognise_order(noise, "F")
    face = np.array(MEAN_FACE, float)
    both = (templates.lapa_106(face) + templates.sensetime_106(face)) / 2
    with pytest.raises(DataError, match="106 points that make faces in more than one order"):
        recognise_order(both[None], "F")


# --- what is malformed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "image,x_0,y_0\na,1,2\n", "the header must name x and y of 68, 98, 106, 468 or 478 landm"),
        ("a.csv", "frame,confidence,success\n1,1,1\n", "the header names no landmarks, such as x_0, y_0"),
        ("a.csv", "image,face_detection,landmarks\na,[],{1: 2}\n", "line 2: landmarks must be a list of numbers, g"),
        ("a.csv", 'image,face_detection,landmarks\na,[],"[[1, 2]]"\n', "line 2: expected 68, 98, 106, 468 or 47"),
        ("a.csv", 'image,face_detection,landmarks\na,[],"[[1], 2]"\n', "line 2: landmarks must be a list of poin"),
        ("a.csv", 'image,face_detection,landmarks\n,[],"[]"\n', "line 2: the name of the image is missing"),
        ("a.csv", 'image,face_detection,landmarks\na,[]\n', "line 2: expected 3 values, got 2"),
        ("a.pts", "version: 1\nn_points: 68\n{\n1 2\n}\n", "a.pts: expected 136 coordinates, got 2"),
        ("a.pts", "version: 1\nn_points: 5\n{\n1 2\n}\n", "a.pts: expected 68, 98, 106, 468, 478 points, got 5"),
        ("a.pts", "1 2\n", "a.pts: expected n_points: 68 and the points in braces"),
        ("a.pts", f"n_points: 68\n{{\n{'x 1 ' * 68}\n}}", "a.pts: not a coordinate (could not convert"),
        ("a.mat", "no", "a.mat: not a file of Matlab"),
        ("a.json", "[1]", "a.json: expected a mapping from images to lists of points"),
        ("a.json", '{"a": [[1, 2]]}', "a.json, 'a': expected 68, 98, 106, 468, 478 landmarks, got 1"),
        ("a.json", '{"a": [1]}', "a.json, 'a': expected a list of points x, y"),
        ("a.json", "{", "a.json: not JSON"),
        ("a.txt", f"{'1 ' * 196}a.jpg\n{'1 ' * 20}b.jpg\n", "line 2: expected 196 or 206 numbers and a name, got"),
        ("a.txt", f"{'1 ' * 196}a.jpg\n{'x ' * 196}b.jpg\n", "line 2: not a coordinate"),
    ],
)  # fmt: skip
def test_bad_files_are_one_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        open_landmarks(tmp_path / name)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_of_nothing_of_two_kinds_and_of_videos(tmp_path: Path, drawn: dict[str, Points]) -> None:
    with pytest.raises(DataError, match=r"holds no \.pts, \.mat, \.txt or \.csv file"):
        FileLandmarks(tmp_path)
    folder = openface2(tmp_path, drawn)
    (folder / "a.pts").write_text("")
    with pytest.raises(DataError, match=r"holds files of several kinds \(\.csv, \.pts\); keep one kind"):
        FileLandmarks(folder)
    (folder / "a.pts").unlink()
    table = next(iter(folder.iterdir()))
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[1].replace("1, 0,", "2, 0,", 1)]))
    with pytest.raises(DataError, match="line 3: '.*' has several frames; the file is of a video"):
        FileLandmarks(folder)


def test_the_digest_of_a_folder_follows_names_and_contents(tmp_path: Path, drawn: dict[str, Points]) -> None:
    folder = pts(tmp_path, drawn)
    before = FileLandmarks(folder).digest
    assert FileLandmarks(folder).digest == before
    first = next(iter((folder / "indoor").iterdir()))
    first.rename(first.with_name("other.pts"))
    assert FileLandmarks(folder).digest != before


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mangled")


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mangled_files_raise_nothing_but_errors_of_interpfer(data: st.DataObject, scratch: Path) -> None:
    face = np.array(MEAN_FACE, float) + 100
    kind = data.draw(st.sampled_from(["csv", "pts", "txt", "json", "list"]))
    texts = {
        "csv": ",".join(["image", "confidence", *columns("", face)])
        + "\n"
        + ",".join(["a", "1", *map(str, face.T.ravel())]),
        "pts": "version: 1\nn_points: 68\n{\n" + "\n".join(f"{x} {y}" for x, y in face) + "\n}\n",
        "txt": " ".join(map(str, templates.wflw_98(face).ravel())) + " a.jpg\n",
        "json": json.dumps({"a": face.tolist()}),
        "list": f'image,face_detection,landmarks\na,"[1, 2, 3, 4, 0.5]","{templates.wflw_98(face).tolist()}"\n',
    }
    text = texts[kind]
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 30))
        piece = data.draw(st.text(st.characters(codec="utf-8", max_codepoint=0x2FF), max_size=6))
        text = text[:at] + piece + text[at + cut :]
    path = scratch / f"a.{'csv' if kind == 'list' else kind}"
    path.write_bytes(text.encode(errors="replace"))
    try:
        provider = open_landmarks(path)
        provider.locate(["a"], [Image.new("RGB", (9, 9))])
    except InterpferError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
