"""A small share of the fuzzed inputs of ``python -m benchmarks.faults fuzz``, and the faults that it has found."""

import json
import random
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.faults.fuzz import make_input, read_input
from benchmarks.faults.inputs import READERS
from benchmarks.faults.mutations import BOMB, mutate
from interpfer.au.codebook import load_codebook
from interpfer.au.files.reader import read_aus
from interpfer.config import read_config
from interpfer.datasets.facs_text import parse_facs
from interpfer.datasets.parquet import ParquetDataset
from interpfer.datasets.webdataset import WebDataset
from interpfer.errors import DataError, InterpferError, RunError
from interpfer.files import bounded_integer, exists, parse_json, parse_yaml, write_atomic
from interpfer.landmarks.files.provider import open_landmarks
from interpfer.results.run import load_run
from interpfer.truth.mask_files import read_masks
from tests.datasets.test_parquet import table
from tests.datasets.test_webdataset import shard, write_tar

INPUTS = {"checkpoints": 12, "cards": 12, "codebooks": 20, "csv lists": 20, "runs and configs": 12}
"""Inputs of readers that take more than a few milliseconds."""


@pytest.mark.parametrize("name", READERS)
def test_a_share_of_the_inputs(name: str, tmp_path: Path) -> None:
    """Each is read or refused in one line; none runs code, or takes long or much."""
    if name == "clips":
        pytest.importorskip("av")
    seeds, canary = READERS[name](), tmp_path / "canary"
    for number in range(INPUTS.get(name, 30)):
        chosen, files = make_input(name, seeds, number, 7, str(canary))
        kind, text, *_ = read_input(chosen, files, tmp_path / str(number))
        assert kind in ("read", "refused"), text
        assert not canary.exists(), f"input {number} ran code"


def test_inputs_are_decided_by_their_number() -> None:
    seeds = READERS["codebooks"]()
    first = [make_input("codebooks", seeds, number, 0, "c")[1] for number in range(5)]
    assert first == [make_input("codebooks", seeds, number, 0, "c")[1] for number in range(5)]
    assert len({repr(files) for files in first}) == 5
    assert mutate(b'{"a": 1}', "x.json", random.Random(1), "c") == mutate(b'{"a": 1}', "x.json", random.Random(1), "c")


def test_messages_are_one_printable_line_of_bounded_length() -> None:
    text = str(InterpferError("a\x1b[31m\u202e" + "x" * 10_000 + "\ud800 end"))
    assert text.startswith("a\\x1b[31m\\u202exxx")
    assert text.endswith("x\\ud800 end")
    assert len(text) < 2100
    assert str(InterpferError("one\ntwo  é")) == "one two é"


def test_yaml_that_grows_or_nests(tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    for content, message in (
        (f"classes:\n  happy: [6]\n{BOMB}", "repetitions .* make more than 100000 values"),
        ("classes: &a {happy: *a}", "repetitions"),
        ("[" * 5000, "nested too deeply"),
        (f"classes: {{happy: [{'9' * 5000}]}}", "Exceeds the limit"),
        ("a: " + "x" * 200_000, "more than 200000"),
        ("when: 2020-13-45", "month must be in"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ):
        book.write_text(content)
        started = time.process_time()
        with pytest.raises(DataError, match=message):
            load_codebook(str(book))
        assert time.process_time() - started < 2
    book.write_bytes(b"classes: \xff")
    with pytest.raises(DataError, match="is not text in UTF-8"):
        load_codebook(str(book))
    book.write_text("[" * 5000)
    with pytest.raises(InterpferError, match="cannot read the config file .* nested too deeply"):
        read_config(book)
    assert parse_yaml("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}
    deep = "[" * 100 + "]" * 100
    assert parse_yaml(deep) == json.loads(deep)


def test_texts_that_are_not_numbers_or_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)
    assert bounded_integer("-" + "9" * 5000) == -(10**18)
    assert not exists("a" * 5000)
    with pytest.raises(DataError, match="here: AU 1111"):
        parse_facs("1" * 5000, "here")
    scores = ", ".join(f'"{name}": {10**400}' for name in ("mouthSmileLeft", "mouthSmileRight", "jawOpen"))
    (tmp_path / "blend.json").write_text(f"{{{scores}}}")
    with pytest.raises(DataError, match=r"blend.json"):
        read_aus(tmp_path / "blend.json")
    (tmp_path / "au.csv").write_text(f"image,AU{'1' * 5000}_c\na.png,1\n")
    with pytest.raises(DataError, match="an AU must be between"):
        read_aus(tmp_path / "au.csv")
    (tmp_path / "masks.csv").write_text(f'image,class,x,y\na.png,"{"x" * 200_000}",1,1\n')
    with pytest.raises(DataError, match="not a CSV table .field larger than field limit"):
        read_masks(tmp_path / "masks.csv")
    (tmp_path / "points.csv").write_text(f"frame,x_{'1' * 5000},y_1\n1,1,1\n")
    with pytest.raises(DataError):
        open_landmarks(tmp_path / "points.csv")


def test_damaged_shards_and_tables(tmp_path: Path) -> None:
    write_tar(tmp_path / "tars/test/0.tar", shard(0))
    (tmp_path / "tars/classnames.txt").write_bytes(b"angry\n\xe0\n")
    with pytest.raises(DataError, match=r"classnames.txt: is not text in UTF-8"):
        WebDataset.open(tmp_path / "tars", "test")
    write_tar(tmp_path / "tars/test/0.tar", {"a.png": b"x", "a.cls": b"--5"})
    (tmp_path / "tars/classnames.txt").write_text("angry\n")
    with pytest.raises(DataError, match="0.tar, a: .*--5"):
        WebDataset.open(tmp_path / "tars", "test")
    (tmp_path / "tables").mkdir()
    path = tmp_path / "tables/test.parquet"
    pq.write_table(table(2).rename_columns(["image", "label", "café", "subject"]), path)
    path.write_bytes(path.read_bytes().replace("café".encode(), b"caf\xe9\xe9"))
    with pytest.raises(DataError, match="not a readable table"):
        ParquetDataset.open(tmp_path / "tables", "test")
    path.unlink()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table(3).schema) as writer:
        writer.write_table(table(3))
    content = bytearray(sink.getvalue().to_pybytes())
    place = content.index(b"s0s0s1")  # texts of a column; its offsets lie before them
    offsets = content.rindex(b"\0\0\0\0\2\0\0\0\4\0\0\0\6\0\0\0", 0, place)
    content[offsets + 4 : offsets + 8] = b"\xff\xff\xff\xff"
    (tmp_path / "tables/data.arrow").write_bytes(content)
    with pytest.raises(DataError, match="not a readable table"):
        ParquetDataset.open(tmp_path / "tables", "test")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"arguments": 1}'])
def test_damaged_runs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"is damaged .*; score again with --overwrite|has neither|is damaged"):
        load_run(tmp_path)


def test_a_disk_that_is_read_only_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written, the draft cannot be removed either."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(RunError, match=r"cannot write .*a\.csv: .*Read-only file system"):
        write_atomic(tmp_path / "a.csv", b"")
