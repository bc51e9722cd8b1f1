"""The registry of measured checkpoints: every entry in the package is well formed, and every wrong field is named."""

from pathlib import Path
from typing import Any

import pytest

from interpfer.errors import ModelError
from interpfer.models.measured import list_measured, parse_measured, read_measured
from interpfer.models.preset import load_preset

ENTRY: dict[str, Any] = {
    "model": "net",
    "preset": "poster/rafdb",
    "sha256": "a" * 64,
    "dataset": "rafdb/test",
    "dataset_digest": "0" * 64,
    "n": 100,
    "accuracy": {"value": 0.9, "low": 0.85, "high": 0.94},
    "agreement": [{"name": "gradcam@layer4 cosine", "value": 0.5, "low": 0.4, "high": 0.6}],
    "version": "1.0.dev0",
}


def test_the_entries_in_the_package() -> None:
    for entry in list_measured():
        assert entry.accuracy.low <= entry.accuracy.value <= entry.accuracy.high
        if entry.preset:
            load_preset(entry.preset)
    keys = [(entry.sha256, entry.dataset_digest, entry.version) for entry in list_measured()]
    assert len(set(keys)) == len(keys)


def test_an_entry_survives_its_file() -> None:
    (entry,) = parse_measured([ENTRY], "file")
    assert entry.to_dict() == ENTRY
    assert (entry.accuracy.value, entry.agreement[0].name) == (0.9, "gradcam@layer4 cosine")
    assert parse_measured(None, "empty file") == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "abc"}, r"entry 1: sha256 must be 64 hexadecimal digits, got 'abc'"),
        ({"dataset_digest": "G" * 64}, r"dataset_digest must be 64 hexadecimal digits"),
        ({"version": "new"}, r"version must be a version such as 1\.2\.0, got 'new'"),
        ({"dataset": "rafdb"}, r"dataset must be NAME/SPLIT, got 'rafdb'"),
        ({"n": 0}, r"n must be at least 1, got 0"),
        ({"n": True}, r"n must be at least 1, got True"),
        (
            {"accuracy": {"value": 0.9, "low": 0.91, "high": 0.95}},
            r"interval 0\.91 to 0\.95 must contain the value",
        ),
        ({"accuracy": {"value": 1.2, "low": 1.0, "high": 1.3}}, r"accuracy must lie between 0 and 1"),
        ({"accuracy": {"value": "high", "low": 0, "high": 1}}, r"accuracy must have the numbers value, low and high"),
        ({"accuracy": 0.9}, r"accuracy must have value, low and high, got 0\.9"),
        ({"agreement": "good"}, r"agreement must be a list, got 'good'"),
        ({"more": 1}, r"must have the fields model, .*; check 'more'"),
    ],
)
def test_a_wrong_entry(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_measured([ENTRY | change], "file")


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    assert read_measured(path) == ()
    path.write_text("a: 1")
    with pytest.raises(ModelError, match=r"m\.yaml: must hold a list of entries, got dict"):
        read_measured(path)
    path.write_text("[")
    with pytest.raises(ModelError, match=r"m\.yaml: not YAML"):
        read_measured(path)
    with pytest.raises(ModelError, match=r"entry 1: must be a mapping, got 3"):
        parse_measured([3], "file")
