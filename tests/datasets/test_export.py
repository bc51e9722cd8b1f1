"""An exported data set is read again as it was."""

from pathlib import Path

from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.disfa import DisfaDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.datasets.rafau import RafAuDataset
from interpfer.datasets.unbc import UnbcDataset
from tests.datasets import test_disfa, test_rafau, test_unbc


def test_action_units_that_were_not_coded_do_not_become_absent(tmp_path: Path) -> None:
    test_disfa.replica(tmp_path / "disfa")
    dataset = DisfaDataset.open(tmp_path / "disfa", "all")
    write_csv_layout(dataset, tmp_path / "csv")
    again = CsvDataset.open(tmp_path / "csv", "all")
    assert [sample.id for sample in again.samples] == [sample.id for sample in dataset.samples]
    assert [sample.aus for sample in again.samples] == [sample.aus for sample in dataset.samples]
    assert again.samples[0].aus is not None
    assert again.samples[0].aus.is_present(7) is None
    assert [sample.subject for sample in again.samples] == [sample.subject for sample in dataset.samples]


def test_sides_and_labels(tmp_path: Path) -> None:
    test_rafau.replica(tmp_path / "rafau")
    dataset = RafAuDataset.open(tmp_path / "rafau", "all")
    write_csv_layout(dataset, tmp_path / "csv")
    again = CsvDataset.open(tmp_path / "csv", "all")
    keys = [[(sample.id, sample.label, sample.aus) for sample in each.samples] for each in (dataset, again)]
    assert keys[0] == keys[1]


def test_attributes(tmp_path: Path) -> None:
    test_unbc.replica(tmp_path / "unbc")
    (tmp_path / "unbc" / "Frame_Labels" / "PSPI" / "042-ll042" / "ll042t1aaaff" / "ll042t1aaaff002_facs.txt").unlink()
    dataset = UnbcDataset.open(tmp_path / "unbc", "test")
    write_csv_layout(dataset, tmp_path / "csv")
    assert (tmp_path / "csv" / "labels.csv").read_text().splitlines()[:3] == [
        "image,label,subject,aus,pspi",
        "042-ll042/ll042t1aaaff/ll042t1aaaff001.png,,042-ll042,,0",
        "042-ll042/ll042t1aaaff/ll042t1aaaff002.png,,042-ll042,4b+6c+7a+10e+43,",
    ]
    again = CsvDataset.open(tmp_path / "csv", "all")
    assert [sample.attributes for sample in again.samples] == [{"pspi": "0"}, {}, {"pspi": "0"}]
