"""Landmarks that are followed over the clips of a data set."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from interpfer.datasets.clips import ClipsDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.sampling import resolve_sampling
from interpfer.faces.following import FollowedLandmarks, follow_clips, is_bridged
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.points import MEAN_FACE
from interpfer.types import Landmarks
from tests.replicas import picture, text

SHAPE = torch.tensor(MEAN_FACE, dtype=torch.float32)


class Detector:
    """Finds a face that moves with the shade of the picture, and none in pictures of an odd shade."""

    name, summary, needs_images, digest = "detector", "for tests", True, "1"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        assert images is not None
        self.seen += ids
        shades = torch.tensor([image.getpixel((0, 0))[0] for image in images])  # type: ignore[index]
        points = self.face() + shades[:, None, None] / 10
        return Landmarks.of(torch.where((shades % 2 == 1)[:, None, None], torch.nan, points))

    @staticmethod
    def face() -> torch.Tensor:
        spread = SHAPE - SHAPE.mean(0)
        return (spread / spread.abs().max() * 30 + 50)[None]


@pytest.fixture
def clips(tmp_path: Path) -> ClipsDataset:
    for frame, shade in enumerate((0, 20, 41, 60, 80)):
        picture(tmp_path / f"clips/a/{frame}.png", (112, 112), shade)
    picture(tmp_path / "clips/b/0.png", (112, 112), 30)
    (tmp_path / "clips/b/1.png").write_bytes(b"no picture")
    picture(tmp_path / "clips/b/2.png", (112, 112), 50)
    text(tmp_path / "clips.csv", "clip,label", "a,happy", "b,sad")
    return ClipsDataset.open(tmp_path, "test", sampling=resolve_sampling("all"))


def test_points_do_not_depend_on_batches(clips: ClipsDataset) -> None:
    whole = FaceStream(clips, follow_clips(Detector(), clips), 32).read(range(8))
    assert whole.rows == (0, 1, 2, 3, 4, 5, 7)
    assert list(whole.skipped) == [6]
    for size in (1, 3):
        provider = follow_clips(Detector(), clips)
        parts = list(FaceStream(clips, provider, 32).batches(range(8), size))
        assert torch.equal(torch.cat([part.landmarks.points for part in parts]), whole.landmarks.points)
    assert [is_bridged(whole.landmarks.note(i)) for i in range(7)] == [False, False, True, False, False, False, False]
    expected = (Detector.face() + 4) * 2  # frame 2 lies half-way between shades 20 and 60, on a canvas twice as large
    torch.testing.assert_close(whole.landmarks.points[2], expected[0])


def test_each_frame_is_located_once(clips: ClipsDataset) -> None:
    twice = ClipsDataset.open(clips.root, "test", sampling=resolve_sampling("former-dfer", 4))
    detector = Detector()
    provider = FollowedLandmarks(detector, twice)
    located = provider.locate([sample.id for sample in twice.samples[4:]], [twice.image(row) for row in (4, 4, 4, 4)])
    assert [sample.id for sample in twice.samples[4:]] == ["b/0.png", "b/1.png", "b/0.png~2", "b/1.png~2"]
    assert detector.seen == ["b/0.png", "b/1.png"]
    assert torch.equal(located.points[0], located.points[2])
    assert provider.digest == "1 followed over clips: 1, 15"


def test_pictures_are_left_alone() -> None:
    detector = Detector()
    assert follow_clips(detector, DemoDataset("test", count=1, size=48)) is detector
