"""The run folder while a score fills it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpfer.errors import RunError
from interpfer.results.batch_file import BatchResult
from interpfer.results.folder import RunFolder
from interpfer.results.plans import PARTS

PLAN = {"model": "m", "maps": ["gradcam"]}


def batch(*rows: int) -> BatchResult:
    n = len(rows)
    return BatchResult(
        rows=np.array(rows, np.int64),
        predicted=np.zeros(n, np.int64),
        confidence=np.full(n, 0.5),
        digests=tuple(f"sha{row}" for row in rows),
        scores=np.zeros((n, 1, 1)),
        counts={"pxap": np.full((n, 1, 2), 3, np.uint16)},
        single={"pxap": np.full((n, 1), 20.0)},
        profiles=np.zeros((n, 3, 2)),
        valid=np.ones(n, bool),
        faceless={rows[0]: ""},
        skipped={99: "no image"},
        refused={("cam", "layer4"): "no head"},
        unlike=frozenset({("hirescam", "layer4")}),
    )


def begin(path: Path | None, **choices: Any) -> RunFolder:
    return RunFolder.begin(path, **({"plan": PLAN, "resume": False, "overwrite": False} | choices))


@pytest.mark.parametrize("name", ["run", None])
def test_batches_come_back_in_order_also_from_another_process(tmp_path: Path, name: str | None) -> None:
    path = None if name is None else tmp_path / name
    folder = begin(path)
    joined = RunFolder.join(path, folder.batches)
    joined.add(batch(4, 5))
    folder.add(batch(0, 1))
    assert [part.rows.tolist() for part in folder.parts()] == [[0, 1], [4, 5]]
    assert folder.done() == joined.done() == {0, 1, 4, 5, 99}
    part = next(iter(joined.parts()))
    assert part.refused == {("cam", "layer4"): "no head"}
    assert part.unlike == {("hirescam", "layer4")}
    assert (part.faceless, part.skipped) == ({0: ""}, {99: "no image"})
    assert part.single["pxap"].tolist() == [[20.0], [20.0]]
    assert [counts.tolist() for counts in folder.counts("pxap", 0)] == [[[3, 3], [3, 3]]] * 2
    assert list(folder.pictures()) == [([0, 1], None), ([4, 5], None)]
    folder.discard()


@pytest.mark.parametrize("name", ["run", None])
def test_either_process_can_discard_the_batches(tmp_path: Path, name: str | None) -> None:
    path = None if name is None else tmp_path / name
    folder = begin(path)
    folder.add(batch(0))
    joined = RunFolder.join(path, folder.batches)
    joined.discard()
    assert not folder.batches.exists()
    joined.discard()
    folder.discard()
    assert not folder.batches.exists()


def test_a_temporary_folder_is_removed_at_the_end() -> None:
    folder = begin(None)
    assert folder.batches.is_dir()
    assert not folder.is_complete
    folder.finish({}, {})
    assert not folder.batches.exists()


def test_a_finished_folder_holds_a_manifest_and_no_batches(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    folder.add(batch(0))
    assert not folder.is_complete
    folder.finish({}, {"arguments": PLAN})
    assert folder.is_complete
    assert not (tmp_path / "run" / PARTS).exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {"arguments": PLAN}
    assert begin(tmp_path / "run", resume=True).is_complete
    assert not begin(tmp_path / "run", overwrite=True).is_complete


def test_a_run_is_resumed_under_the_same_plan_only(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    folder.add(batch(0))
    assert begin(tmp_path, resume=True).done() == {0, 99}
    with pytest.raises(RunError) as raised:
        begin(tmp_path, resume=True, plan=PLAN | {"model": "n"})
    assert str(raised.value) == (
        f"{tmp_path} was started with another model; pass the same arguments with --resume, or --overwrite."
    )
    assert begin(tmp_path, overwrite=True).done() == set()


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RunError, match=r"file is a file: pass a folder to --out\."):
        begin(file)
    with pytest.raises(RunError, match=r"is not empty and holds no run; choose another folder for --out\."):
        begin(tmp_path)
    (tmp_path / "scores.csv").write_text("")
    with pytest.raises(RunError, match="already holds a run; pass --resume to continue it or --overwrite to replace"):
        begin(tmp_path)
    with pytest.raises(RunError, match=r"holds no run to resume; pass --overwrite\."):
        begin(tmp_path, resume=True)
    with pytest.raises(RunError, match="cannot write to"):
        begin(file / "below")


def test_a_shard_keeps_its_batches_and_is_resumed_as_the_same_share(tmp_path: Path) -> None:
    plan = PLAN | {"shard": "1/3", "batch_size": 2}
    folder = begin(tmp_path / "run", plan=plan)
    folder.add(batch(4, 5))
    for other, changed in (
        (plan | {"shard": "2/3"}, "shard"),
        (plan | {"batch_size": 3}, "batch_size"),
        (PLAN, "shard"),
    ):
        with pytest.raises(RunError, match=f"run was started with another {changed}; pass the same arguments with --r"):
            begin(tmp_path / "run", plan=other, resume=True)
    begin(tmp_path / "run", plan=plan, resume=True).finish({}, {"arguments": PLAN, "shard": {}})
    assert [part.rows.tolist() for part in folder.parts()] == [[4, 5]]
    begin(tmp_path / "run", overwrite=True).finish({}, {"arguments": PLAN})
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_batches_of_other_folders_are_read_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    shards = [begin(tmp_path / str(i), plan=PLAN | {"shard": f"{i}/2", "batch_size": 2}) for i in range(2)]
    for first in (0, 2, 4, 6):
        shards[first // 2 % 2].add(batch(first, first + 1))
        shards[first // 2 % 2].occluded(0).add(batch(first, first + 1))
    merged = begin(tmp_path / "run").over([shard.batches for shard in reversed(shards)])
    for folder in (merged, merged.occluded(0)):
        assert [part.rows.tolist() for part in folder.parts()] == [[0, 1], [2, 3], [4, 5], [6, 7]]
        assert [counts.sum() for counts in folder.counts("pxap", 0)] == [12] * 4
    assert merged.done() == {*range(8), 99}
    merged.finish({}, {"arguments": PLAN})
    assert not (tmp_path / "run" / PARTS).exists()
    assert all(shard.done() == {*rows, 99} for shard, rows in zip(shards, ((0, 1, 4, 5), (2, 3, 6, 7)), strict=True))


def test_a_kill_before_the_plan_is_written_leaves_a_free_folder(tmp_path: Path) -> None:
    (tmp_path / "run" / PARTS).mkdir(parents=True)
    begin(tmp_path / "run", resume=True).add(batch(0, 1))


def test_a_damaged_batch_is_named(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    folder.add(batch(0, 1))
    path = folder.batches / "000000000.npz"
    path.write_bytes(path.read_bytes()[:-40])
    for read in (folder.done, lambda: list(folder.parts())):
        with pytest.raises(RunError, match=r"000000000.npz is damaged \(.*\); score again with --overwrite"):
            read()
