from pathlib import Path

from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.subset import Subset


def test_a_subset_is_its_data_set_with_fewer_rows(faces: Path) -> None:
    whole = CsvDataset.open(faces, "test")
    part = Subset(whole, (5, 2), "held-out")
    assert [sample.id for sample in part.samples] == [whole.samples[5].id, whole.samples[2].id]
    assert part.image(1).tobytes() == whole.image(2).tobytes()
    assert part.size(0) == whole.size(5)
    assert part.classes == whole.classes
    assert part.name == "csv"
