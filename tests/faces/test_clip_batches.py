"""Whole clips per batch."""

from dataclasses import replace
from pathlib import Path

import pytest

from interpfer.datasets.clips import ClipsDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.sampling import resolve_sampling
from interpfer.errors import ModelError
from interpfer.faces.clip_batches import plan_batches, require_frames
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.absent import NoLandmarks
from interpfer.models.input import InputSpec
from interpfer.types import Sample
from tests.replicas import picture, text


def samples(*lengths: int) -> list[Sample]:
    return [Sample(f"{i}/{k}", "", clip=f"c{i}", frame=k) for i, length in enumerate(lengths) for k in range(length)]


def test_clips_stay_together_where_they_fit() -> None:
    assert [len(batch) for batch in plan_batches(samples(3, 3, 2, 9), range(17), 8)] == [8, 8, 1]
    assert [len(batch) for batch in plan_batches(samples(5, 5, 5), range(15), 8)] == [5, 5, 5]
    assert [len(batch) for batch in plan_batches(samples(4, 4, 4), range(12), 6, frames=4)] == [4, 4, 4]
    assert [len(batch) for batch in plan_batches(samples(4, 8), range(12), 2, frames=4)] == [4, 4, 4]
    assert [len(batch) for batch in plan_batches([replace(one, clip="") for one in samples(7)], range(7), 3)] == [
        3,
        3,
        1,
    ]
    rows = [row for batch in plan_batches(samples(3, 3, 2, 9), range(17), 8) for row in batch]
    assert rows == list(range(17))


@pytest.fixture
def clips(tmp_path: Path) -> ClipsDataset:
    for name, count in (("a", 4), ("b", 3), ("c", 4)):
        for frame in range(count):
            picture(tmp_path / f"clips/{name}/{frame}.png")
    (tmp_path / "clips/c/2.png").write_bytes(b"no picture")
    text(tmp_path / "clips.csv", "clip,label", "a,happy", "b,sad", "c,sad")
    return ClipsDataset.open(tmp_path, "test", sampling=resolve_sampling("all"))


def test_a_network_of_clips_gets_no_incomplete_clip(clips: ClipsDataset) -> None:
    stream = FaceStream(clips, NoLandmarks(), 8, input=InputSpec(8, frames=4))
    batches = list(stream.batches(range(11), 8))
    assert [row for batch in batches for row in batch.rows] == [0, 1, 2, 3]
    skipped = {row: reason for batch in batches for row, reason in batch.skipped.items()}
    assert sorted(skipped) == list(range(4, 11))
    assert skipped[4] == "clip b has 3 frames, and the network takes 4"
    assert skipped[7].startswith(f"clip c: a frame is missing ({clips.root}/clips/c/2.png: not a readable image")
    assert skipped[9].startswith(f"{clips.root}/clips/c/2.png: not a readable image")
    of_pictures = FaceStream(clips, NoLandmarks(), 8).read(range(11))
    assert list(of_pictures.skipped) == [9]


def test_what_is_refused_before_any_work(clips: ClipsDataset) -> None:
    require_frames(clips, 1, "net")
    require_frames(clips, 3, "net")
    with pytest.raises(
        ModelError, match=r"model net takes clips of 16 frames, .* have others: a with 4: pass --frames 16"
    ):
        require_frames(clips, 16, "net")
    with pytest.raises(ModelError, match="model net takes clips of 16 frames, and the data set demo has pictures"):
        require_frames(DemoDataset("test", count=1, size=48), 16, "net")
