import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from interpfer.landmarks import PROVIDERS
from interpfer.landmarks.embedded import (
    MIN_CONFIDENCE,
    SEARCH_CONFIDENCE,
    WEIGHTS,
    EmbeddedLandmarks,
    load_network,
)
from interpfer.landmarks.network import CROP, LandmarkNet, Squares, fold
from interpfer.landmarks.points import MIRRORED
from interpfer.types import Landmarks

SHARED = Path(os.environ.get("INTERPFER_SHARED", "../shared")) / "data" / "landmarks"

Locate = Callable[[Image.Image], Tensor]


@pytest.fixture(scope="module")
def provider() -> EmbeddedLandmarks:
    return EmbeddedLandmarks()


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    return Image.fromarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def face(astronaut: Image.Image) -> Image.Image:
    """A crop such as a data set brings, 120 pixels wide."""
    return astronaut.crop((165, 50, 285, 190))


@pytest.fixture(scope="module")
def locate(provider: EmbeddedLandmarks) -> Locate:
    def one(image: Image.Image) -> Tensor:
        found = provider.locate(["it"], [image])
        assert found.found.all()
        return found.points[0]

    return one


def outer_eye(points: Tensor) -> Tensor:
    return (points[..., 36, :] - points[..., 45, :]).norm(dim=-1)


def apart(a: Tensor, b: Tensor) -> float:
    """Mean distance on the inner points over the outer-eye distance."""
    return float((a - b)[17:].norm(dim=-1).mean() / outer_eye(b))


def drawn_shapes(seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (200, 200), tuple(random.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        low, high = np.sort(random.integers(0, 200, (2, 2)), axis=0).tolist()
        (draw.ellipse if random.random() < 0.5 else draw.rectangle)(
            [*low, *high], fill=tuple(random.integers(0, 256, 3).tolist())
        )
    return picture


def plain() -> dict[str, Image.Image]:
    random = np.random.default_rng(0)
    ramp = np.tile(np.linspace(0, 255, 160), (120, 1))
    arrays = {
        "black": np.zeros((100, 100)),
        "white": np.full((100, 100), 255),
        "grey": np.full((90, 130), 127),
        "noise": random.integers(0, 256, (150, 150)),
        "gradient": ramp,
        "stripes": (np.arange(160) // 8 % 2 * 255) * np.ones((160, 1)),
    }
    arrays |= {name: getattr(skimage.data, name)() for name in ("brick", "grass", "gravel", "coins", "page")}
    pictures = {name: Image.fromarray(array.astype(np.uint8)).convert("RGB") for name, array in arrays.items()}
    return pictures | {f"shapes {seed}": drawn_shapes(seed) for seed in range(3)}


def test_weights_are_small_and_plain() -> None:
    assert WEIGHTS.stat().st_size <= 700_000
    state = torch.load(WEIGHTS, weights_only=True)
    assert all(value.dtype == torch.float16 and value.isfinite().all() for value in state.values())


def test_provider_is_listed() -> None:
    assert PROVIDERS.get("embedded") is EmbeddedLandmarks
    assert EmbeddedLandmarks.name == "embedded"
    assert EmbeddedLandmarks.needs_images


def test_weights_are_read_late_and_digest_names_them(provider: EmbeddedLandmarks) -> None:
    fresh = EmbeddedLandmarks()
    assert "network" not in vars(fresh)
    assert fresh.digest == provider.digest
    assert fresh.digest.startswith("embedded-")


PLAIN = plain()


@pytest.mark.parametrize("name", PLAIN)
def test_a_picture_without_a_face_is_refused(provider: EmbeddedLandmarks, name: str) -> None:
    landmarks = provider.locate([name], [PLAIN[name]])
    assert not landmarks.found.any()
    assert landmarks.points.isnan().all()


def test_confidence_says_what_is_a_face(face: Image.Image) -> None:
    points, confidence = EmbeddedLandmarks(search=False).predict([face, PLAIN["brick"]])
    assert confidence[0] > SEARCH_CONFIDENCE
    assert confidence[1] < 0.1 < MIN_CONFIDENCE
    assert points.isfinite().all()


def together(face: Image.Image, *widths: int) -> Image.Image:
    """Faces of some widths side by side."""
    scene = Image.new("RGB", (640, 400), (90, 110, 80))
    for place, width in enumerate(widths):
        scene.paste(face.resize((width, width * 7 // 6)), (20 + place * 310, 60))
    return scene


def test_of_several_faces_the_largest_is_taken_if_it_is_clear(provider: EmbeddedLandmarks, face: Image.Image) -> None:
    found = provider.locate(list("abc"), [together(face, *w) for w in ((220,), (110, 220), (220, 210))])
    assert found.found.tolist() == [True, True, False]
    assert found.note(0) == ""
    assert (found.points[1, :, 0] > 310).all()  # the larger one, on the right
    assert found.note(1).startswith("several faces: took the largest of 2, ")
    assert found.note(2).startswith("several faces: 2, and none is clearly the largest (")


def test_the_note_depends_on_the_confidence(
    provider: EmbeddedLandmarks, face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    detection = provider._detect([face])
    for score, note in ((0.69, "low confidence: 0.69 < 0.7"), (0.2, "no face"), (0.71, "")):
        result = detection[0].clone(), torch.tensor([score]), [[]]
        monkeypatch.setattr(provider, "_detect", lambda _, result=result: result)
        found = provider.locate(["a"], [face])
        assert found.notes == (note,)
        assert found.found.item() == (not note)


def test_a_face_in_a_larger_picture_is_found(locate: Locate, astronaut: Image.Image) -> None:
    points = locate(astronaut)
    x, y = points[17:].T
    assert 170 < x.min() < x.max() < 275
    assert 70 < y.min() < y.max() < 180
    for side, centre in (("right", (203, 101)), ("left", (247, 103))):
        eye = points[36:42] if side == "right" else points[42:48]
        assert (eye.mean(0) - torch.tensor(centre)).norm() < 5, side
    assert points[8, 1] > points[57, 1] > points[33, 1] > points[27, 1]


def test_crop_and_larger_picture_agree(locate: Locate, astronaut: Image.Image, face: Image.Image) -> None:
    assert apart(locate(face) + torch.tensor([165.0, 50.0]), locate(astronaut)) < 0.03


def test_mirroring_the_picture_mirrors_the_points(locate: Locate, face: Image.Image) -> None:
    mirrored = locate(ImageOps.mirror(face))[list(MIRRORED)]
    mirrored[:, 0] = face.width - mirrored[:, 0]
    assert apart(mirrored, locate(face)) < 0.005


@pytest.mark.parametrize("factor", [0.5, 2.0, 5.0])
def test_points_scale_with_the_picture(locate: Locate, face: Image.Image, factor: float) -> None:
    resized = face.resize((round(face.width * factor), round(face.height * factor)), Image.Resampling.BILINEAR)
    assert apart(locate(resized) / factor, locate(face)) < 0.03


@pytest.mark.parametrize("shift", [(12, 0), (0, 15), (-10, -10)])
def test_points_move_with_the_picture(
    locate: Locate, astronaut: Image.Image, face: Image.Image, shift: tuple[int, int]
) -> None:
    box = (165 + shift[0], 50 + shift[1], 285 + shift[0], 190 + shift[1])
    assert apart(locate(astronaut.crop(box)) + torch.tensor(shift), locate(face)) < 0.03


@pytest.mark.parametrize("angle", [-25.0, 25.0])
def test_points_rotate_with_the_picture(
    locate: Locate, astronaut: Image.Image, face: Image.Image, angle: float
) -> None:
    turned = astronaut.rotate(angle, Image.Resampling.BILINEAR, center=(225, 120)).crop((165, 50, 285, 190))
    turn = torch.tensor(angle).deg2rad()
    middle = torch.tensor([60.0, 70.0])
    back = torch.stack([torch.stack([turn.cos(), turn.sin()]), torch.stack([-turn.sin(), turn.cos()])])
    assert apart((locate(turned) - middle) @ back + middle, locate(face)) < 0.04


def test_a_grey_picture_gives_the_same_points(locate: Locate, face: Image.Image) -> None:
    assert apart(locate(face.convert("L")), locate(face)) < 1e-4


def test_a_face_does_not_depend_on_its_batch(
    provider: EmbeddedLandmarks, astronaut: Image.Image, face: Image.Image
) -> None:
    images = [face, drawn_shapes(0), ImageOps.mirror(face), astronaut, face.resize((40, 47))]
    together = provider.locate([str(i) for i in range(5)], images)
    assert together.found.tolist() == [True, False, True, True, True]
    in_pairs = EmbeddedLandmarks(batch_size=2).locate([str(i) for i in range(5)], images)
    assert torch.allclose(in_pairs.points, together.points, atol=1e-2, equal_nan=True)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (16, 16), (400, 5), (5, 400)])
def test_odd_sizes_do_no_harm(provider: EmbeddedLandmarks, size: tuple[int, int]) -> None:
    assert not provider.locate(["it"], [Image.new("RGB", size, (90, 120, 40))]).found.any()


def test_no_images_give_no_landmarks(provider: EmbeddedLandmarks) -> None:
    landmarks = provider.locate([], [])
    assert isinstance(landmarks, Landmarks)
    assert landmarks.points.shape == (0, 68, 2)


def test_points_can_be_used_where_gradients_flow(provider: EmbeddedLandmarks, face: Image.Image) -> None:
    points = provider.locate(["it"], [face]).points
    weight = torch.ones((), requires_grad=True)
    (points * weight).sum().backward()
    assert weight.grad is not None


def test_mirroring_twice_changes_nothing() -> None:
    assert [MIRRORED[MIRRORED[i]] for i in range(68)] == list(range(68))


def test_squares_transform_points_there_and_back() -> None:
    random = torch.Generator().manual_seed(0)
    points = torch.rand(4, 68, 2, generator=random) * 50
    squares = Squares.around(points)
    inside = squares.from_picture(points)
    assert inside.abs().max() <= 1 / 1.3 + 1e-4
    assert torch.allclose(squares.to_picture(inside), points, atol=1e-4)
    eyes = inside[:, 42:48].mean(1) - inside[:, 36:42].mean(1)
    assert torch.allclose(eyes[:, 1], torch.zeros(4), atol=1e-5)
    assert (eyes[:, 0] > 0).all()


def test_an_upright_square_is_cut_unchanged() -> None:
    picture = torch.rand(1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    centre = torch.tensor([[60.0 + CROP / 2, 30.0 + CROP / 2]])
    crop = Squares(centre, torch.tensor([float(CROP)]), torch.zeros(1)).cut(picture)
    assert torch.allclose(crop, picture[:, :, 30 : 30 + CROP, 60 : 60 + CROP], atol=1e-4)


def test_folding_keeps_the_results() -> None:
    torch.manual_seed(0)
    net = LandmarkNet()
    crops = torch.rand(6, 1, CROP, CROP)
    net(crops)
    net.eval()
    for expected, answer in zip(net(crops), fold(net)(crops), strict=True):
        assert torch.allclose(expected, answer, atol=1e-4)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no faces with teachers at {SHARED} (set INTERPFER_SHARED)")
@pytest.mark.parametrize(("side", "bound"), [(None, 0.020), (32, 0.024)])
def test_error_on_real_faces(provider: EmbeddedLandmarks, side: int | None, bound: float) -> None:
    teachers = np.load(SHARED / "teachers.npz")
    held = [i for i, name in enumerate(teachers["name"]) if _held_out(str(name))][::9]
    with zipfile.ZipFile(SHARED / "faces.zip") as archive:
        images = [Image.open(io.BytesIO(archive.read(str(teachers["name"][i])))).convert("RGB") for i in held]
    target = torch.from_numpy((teachers["faceapi"][held] + teachers["mediapipe"][held]) / 2)
    if side:
        smaller = [_reduced(image, side) for image in images]
        scale = [[b.width / a.width, b.height / a.height] for a, b in zip(images, smaller, strict=True)]
        images, target = smaller, target * torch.tensor(scale)[:, None]
    landmarks = provider.locate([str(i) for i in held], images)
    assert landmarks.found.float().mean() >= 0.99
    error = (landmarks.points - target)[:, 17:].norm(dim=-1).mean(1) / outer_eye(target)
    assert error[landmarks.found].mean() < bound


def _reduced(image: Image.Image, side: int) -> Image.Image:
    ratio = side / max(image.size)
    return image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.BILINEAR)


def _held_out(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % 5 == 0


def test_loading_draws_no_random_numbers() -> None:
    before = torch.random.get_rng_state()
    load_network(WEIGHTS)
    assert torch.equal(torch.random.get_rng_state(), before)
