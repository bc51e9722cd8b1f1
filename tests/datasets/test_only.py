"""Data sets cut down to the images that a file names."""

from pathlib import Path

import pytest

from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.only import select_listed
from interpfer.errors import DataError


@pytest.fixture(scope="module")
def dataset() -> DemoDataset:
    return DemoDataset("test", count=6, size=48)


def test_names_alone_with_columns_and_without_ending(dataset: DemoDataset, tmp_path: Path) -> None:
    """The second line is as in the lists of RAN: name, class, kind of occlusion."""
    ids = [sample.id for sample in dataset.samples]
    stems = [Path(name).stem for name in ids]
    path = tmp_path / "occluded.txt"
    path.write_text(
        f"# list\n{ids[4]}\n{stems[1]}.jpg 3 2\n\n , ,\n{stems[1]}_aligned.jpg,3,2\nnobody.jpg 1 1\n", "utf-8"
    )
    subset = select_listed(dataset, path)
    assert [sample.id for sample in subset.samples] == [ids[1], ids[4]]
    assert subset.split == "test/occluded"
    assert subset.notes == (*dataset.notes, "1 names in occluded.txt are of no image of the data set (nobody.jpg)")
    assert subset.image(0).tobytes() == dataset.image(1).tobytes()


def test_a_list_of_nothing_known_is_refused(dataset: DemoDataset, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a\nb\nc\nd\n")
    with pytest.raises(DataError, match="list.txt names no image of the data set demo: a, b, c, ...."):
        select_listed(dataset, path)
    with pytest.raises(DataError, match="cannot read the list of images"):
        select_listed(dataset, tmp_path / "none.txt")
