from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interpfer.datasets.csv import CsvDataset
from interpfer.errors import DataError
from interpfer.faces.stream import FaceStream
from interpfer.finetuning import pool
from interpfer.finetuning.pool import FacePool, Share, output_indices, shuffled_batches
from interpfer.landmarks.files import FileLandmarks


@given(
    n=st.integers(1, 90),
    batch=st.integers(1, 20),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 5),
    world=st.integers(1, 3),
)
def test_processes_share_every_row(n: int, batch: int, seed: int, epoch: int, world: int) -> None:
    rows = [10 * i for i in range(n)]
    shares = [shuffled_batches(rows, batch, seed, epoch, Share(rank, world)) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    seen = [row for share in shares for part in share for row in part]
    assert set(seen) == set(rows)
    assert len(seen) == max(n, world * len(shares[0])) if n >= world else True
    sizes = [len(part) for share in shares for part in share]
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


def read(faces: Path) -> FacePool:
    made = FacePool(FaceStream(CsvDataset.open(faces, "test"), FileLandmarks(faces / "landmarks.txt"), 32), (3, 0, 7))
    made.load(lambda *_: None)
    return made


def test_images_beyond_the_memory_are_read_again(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = read(faces).take((7, 3))
    monkeypatch.setattr(pool, "MEMORY", 1)
    fresh = read(faces).take((7, 3))
    assert torch.equal(in_memory.images, fresh.images)
    assert torch.equal(in_memory.landmarks.points, fresh.landmarks.points)
    assert in_memory.rows == (7, 3)
    assert in_memory.labels == tuple(CsvDataset.open(faces, "test").samples[row].label for row in (7, 3))


def test_unreadable_images_are_skipped_by_name(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = CsvDataset.image

    def broken(self: CsvDataset, row: int) -> object:
        if row != 3:
            raise DataError(f"no image {row}")
        return image(self, row)

    monkeypatch.setattr(CsvDataset, "image", broken)
    made = read(faces)
    assert made.rows == (3,)
    assert made.skipped == {0: "no image 0", 7: "no image 7"}
    made.rows = (0,)
    with pytest.raises(DataError, match="no image of the data set csv can be read: no image"):
        made.load(lambda *_: None)
    with pytest.raises(DataError, match="an image can no longer be read: no image 7"):
        made.take((3, 7))


def test_unknown_labels_have_no_output() -> None:
    assert output_indices(["fear", "contempt"], ["anger", "fear"]).tolist() == [1, -1]
