import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from interpfer.datasets.demo import DemoDataset
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.alignment import (
    TEMPLATE,
    five_points,
    invert_transform,
    resize_transform,
    similarity_transform,
    transform_points,
    warp_image,
)

FACES = DemoDataset("test", count=7, size=96)
POINTS = FACES.landmarks().locate([sample.id for sample in FACES.samples], None).points.double()


@given(turn=st.floats(-3, 3), scale=st.floats(0.2, 5), x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_alignment_undoes_any_similarity(turn: float, scale: float, x: float, y: float) -> None:
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    moved = torch.tensor([[cos, -sin, x], [sin, cos, y]], dtype=torch.float64).expand(len(POINTS), 2, 3)
    there = transform_points(POINTS, moved)
    aligned = transform_points(POINTS, similarity_transform(POINTS, 224))
    torch.testing.assert_close(transform_points(there, similarity_transform(there, 224)), aligned, rtol=0, atol=1e-6)


def test_a_face_that_is_the_template_stays() -> None:
    points = torch.zeros(1, 68, 2, dtype=torch.float64)
    for place, at in zip((slice(36, 42), slice(42, 48), 30, 48, 54), TEMPLATE, strict=True):
        points[:, place] = torch.tensor(at, dtype=torch.float64)
    torch.testing.assert_close(
        similarity_transform(points, 112), torch.eye(2, 3, dtype=torch.float64)[None], rtol=0, atol=1e-9
    )
    torch.testing.assert_close(five_points(points)[0], torch.tensor(TEMPLATE, dtype=torch.float64))


def test_the_way_back() -> None:
    there = similarity_transform(POINTS, 224)
    torch.testing.assert_close(transform_points(transform_points(POINTS, there), invert_transform(there)), POINTS)


def test_pixels_and_points_move_together() -> None:
    dots = Image.new("L", (96, 96))
    spot = (60, 40)
    dots.paste(255, (spot[0] - 2, spot[1] - 2, spot[0] + 3, spot[1] + 3))
    there = similarity_transform(POINTS[:1], 224)[0]
    crop = np.asarray(warp_image(dots, there, 224), float)
    rows, columns = np.mgrid[:224, :224]
    centre = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    expected = there[:, :2].numpy() @ (np.array(spot) + 0.5) + there[:, 2].numpy() - 0.5
    np.testing.assert_allclose(centre, expected, atol=0.6)


def test_a_plain_resize_covers_the_whole_picture() -> None:
    corner = transform_points(torch.full((1, 68, 2), 50.0), resize_transform(100, 200, 224)[None])
    assert corner[0, 0].tolist() == [112.0, 56.0]


def test_the_stream_aligns_faces_and_keeps_those_without_landmarks() -> None:
    plain, aligned = (FaceStream(FACES, FACES.landmarks(), 64, align).read(range(7)) for align in (False, True))
    target = torch.tensor(TEMPLATE) * 2
    off = (five_points(aligned.landmarks.points.float()) - target).norm(dim=-1).mean()
    assert off < (five_points(plain.landmarks.points.float()) - target).norm(dim=-1).mean()
    assert off < 12
    back = transform_points(aligned.landmarks.points, invert_transform(aligned.transforms))
    torch.testing.assert_close(back.double(), POINTS, rtol=0, atol=1e-3)
    assert aligned.faces.images.shape == plain.faces.images.shape
    assert not torch.equal(aligned.faces.images, plain.faces.images)
    ahead = FaceStream(FACES, FACES.landmarks(), 64, True).landmarks(range(7))
    torch.testing.assert_close(ahead.points, aligned.landmarks.points)
