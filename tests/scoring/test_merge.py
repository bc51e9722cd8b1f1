"""Shards of a score make the bytes of one run."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.errors import InterpferError, RunError
from interpfer.models.small import SmallCNN
from interpfer.results.run import Run, load_run
from interpfer.scoring.merge import merge
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.score import score
from tests.conftest import Interrupted

MAPS = "gradcam,baseline:random,baseline:mean-au,baseline:class-mean-au"
COUNT = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 16 faces in faces/, the last two of them neutral."""
    folder = tmp_path_factory.mktemp("merge")
    write_csv_layout(DemoDataset("test", count=16, size=48), folder / "faces")
    labels = folder / "faces" / "labels.csv"
    table = pd.read_csv(labels, dtype=str, keep_default_na=False)
    table.sort_values("label", key=lambda label: label == "neutral", kind="stable").to_csv(labels, index=False)
    return folder


def run_on(place: Path, checkpoint: Path, out: Path, **options: Any) -> Run:
    faces = place / "faces"
    own = {"dataset": "csv", "data_root": faces, "landmarks": faces / "landmarks.txt"}
    options = {"maps": MAPS, "batch_size": 2, "by": "skin", "min_group": 3, "device": "cpu"} | options
    options = ({} if "dataset" in options else own) | options
    return score(checkpoint, options.pop("dataset"), out=out, **options)


@pytest.fixture(scope="module")
def whole(place: Path, checkpoint: Path) -> Path:
    run_on(place, checkpoint, place / "whole")
    return place / "whole"


@pytest.fixture(scope="module")
def shards(place: Path, checkpoint: Path) -> list[Path]:
    folders = [place / f"shard-{index}" for index in range(COUNT)]
    for index, folder in enumerate(folders):
        run_on(place, checkpoint, folder, shard=f"{index}/{COUNT}")
    return folders


@pytest.fixture
def copies(shards: list[Path], tmp_path: Path) -> list[Path]:
    return [shutil.copytree(folder, tmp_path / folder.name) for folder in shards]


def read_json(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text())


def without_seconds(folder: Path) -> dict[str, bytes]:
    """Return the files of a run but for how long it took, which run.json and the page say."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = json.loads(files["run.json"])
    del manifest["timings"]
    files["run.json"] = json.dumps(manifest).encode()  # in the same order
    page = files.get("report.html", b"").splitlines()
    return files | {"report.html": b"\n".join(line for line in page if b"The run took" not in line)}


def test_merged_shards_have_the_bytes_of_one_run(whole: Path, shards: list[Path], tmp_path: Path) -> None:
    run = merge([shards[2], shards[0], shards[1]], tmp_path / "run")
    expected, found = without_seconds(whole), without_seconds(tmp_path / "run")
    assert set(found) == set(expected) >= {"scores.csv", "per_image.csv", "confusion.csv", "au_profile.csv",
                                           "groups.csv", "group_gaps.csv", "report.npz", "report.html"}  # fmt: skip
    assert [name for name in expected if found[name] != expected[name]] == []
    seconds = [read_json(folder)["timings"]["seconds"] for folder in shards]
    assert run.manifest["timings"]["shards"] == seconds
    assert run.manifest["timings"]["seconds"] > sum(seconds)
    assert run.scores["value"].notna().any()
    assert (shards[0] / "shard").is_dir()


def test_a_shard_is_recognisable_and_no_run(shards: list[Path], whole: Path, tmp_path: Path) -> None:
    run = load_run(shards[1])
    images = pd.read_csv(whole / "per_image.csv")["image"].unique().tolist()
    assert run.per_image["image"].unique().tolist() == [*images[2:4], *images[8:10], *images[14:16]]
    assert run.manifest["shard"] == {"index": 1, "count": 3, "batch_size": 2, "images": 6, "of": 16}
    sentence = "shard 1/3: 6 of 16 images; make one run of all shards with interpfer merge"
    assert run.manifest["warnings"][0] == sentence
    assert sentence in (shards[1] / "report.html").read_text()
    assert run.title.startswith("shard 1/3 of model on faces (csv)")
    message = "shard-1 is shard 1/3 of a run: make one run of all shards with interpfer merge, and pass that"
    for call in (["leaderboard", str(shards[1])], ["compare", str(whole), str(shards[1])],
                 ["bundle", str(shards[1]), "--out", str(tmp_path / "x.zip")]):  # fmt: skip
        done = CliRunner().invoke(group, call)
        assert (done.exit_code, message in done.stderr) == (1, True), done.output


CASES: dict[str, dict[str, Any]] = {
    "occluded": {"occlude": "patches:0.2", "tables": "parquet", "target": "predicted", "maps": "gradcam"},
    "action units": {"truth": "aus", "target": "au", "by": None},
    "clips": {"dataset": "demo-clips", "by": None, "limit": 2, "frames": 4, "batch_size": 4},
}


@pytest.mark.parametrize("case", list(CASES))
def test_other_scores_are_merged_too(
    place: Path, checkpoint: Path, tmp_path: Path, interrupted: Interrupted, case: str
) -> None:
    options = {"report": False, "limit": 6, "metrics": "cosine", "maps": "gradcam,baseline:class-mean-au"} | CASES[case]
    model = au_checkpoint(tmp_path) if case == "action units" else checkpoint
    folders = [tmp_path / "0", tmp_path / "1"]
    run_on(place, model, tmp_path / "whole", **options)
    for index, folder in enumerate(folders):
        if case == "occluded" and index == 1:
            with interrupted(1):  # between a covered batch and the clean one
                run_on(place, model, folder, shard=(index, 2), **options)
        run_on(place, model, folder, shard=(index, 2), resume=index == 1, **options)
    merge(folders, tmp_path / "run")
    expected, found = without_seconds(tmp_path / "whole"), without_seconds(tmp_path / "run")
    assert set(expected) == set(found) >= {"scores.csv", "au_profile.csv"}
    assert [name for name in expected if found[name] != expected[name]] == []


def au_checkpoint(tmp_path: Path) -> Path:
    """Return an untrained classifier of five action units."""
    torch.manual_seed(0)
    torch.save(SmallCNN(5, width=8).state_dict(), tmp_path / "units.pt")
    (tmp_path / "units.yaml").write_text(
        "arch: interpfer:small\narch_args: {width: 8}\naus: [1, 4, 6, 12, 25]\ninput: {size: 48}\n"
    )
    return tmp_path / "units.pt"


Change = Callable[[list[Path]], Any]


def edit(index: int, *keys: str, value: Any) -> Change:
    """Return a change of one value in the run.json of a shard."""

    def change(folders: list[Path]) -> None:
        facts = manifest = read_json(folders[index])
        for key in keys[:-1]:
            facts = facts[key]
        facts[keys[-1]] = value
        (folders[index] / "run.json").write_text(json.dumps(manifest))

    return change


REFUSED: list[tuple[str, Change, str]] = [
    ("gap", lambda folders: folders.pop(1), "shard 1/3 is missing: pass the folders of all 3 shards"),
    ("twice", lambda folders: folders.append(folders[0]), "shard-0 and .*shard-0 are both shard 0/3: pass one"),
    ("absent", lambda folders: folders.append(Path("nowhere")), "shard not found: nowhere; pass the --out of"),
    ("count", edit(2, "shard", "count", value=4), "shard-2 is shard 2/4, and .*shard-0 is shard 0/3: of dif"),
    ("whole", edit(1, "shard", value=None), "shard-1 is a whole run, not a shard"),
    ("maps", edit(1, "arguments", "maps", value=["gradcam", "cam"]),
     "shard-1 and .*shard-0 are shards of different runs: maps is 'gradcam, cam', not 'gradcam, baseline:random, base"),
    ("model", edit(1, "arguments", "checkpoint", value="abc"), "shard-1 and .*: checkpoint is 'abc', not '[0-9a-f]{9}"),
    ("data", edit(2, "arguments", "images", value="abc"), "shard-2 and .*shard-0 are .*: images is 'abc', not '"),
    ("version", edit(2, "versions", "torch", value="1.0"), "shard-2 and .*: version of torch is '1.0', not '"),
    ("batch", edit(1, "shard", "batch_size", value=5), "shard-1 and .*: batch_size is '5', not '2'"),
    ("option", edit(1, "options", "tables", value="parquet"), "shard-1 and .*: tables is 'parquet', not 'csv'"),
    ("facts", edit(1, "shard", "of", value="16"), r"shard-1/run.json is damaged \(ValueError: shard 1/3 of 16 images"),
    ("options", edit(2, "options", value=[]), r"shard-2/run.json is damaged \(ValueError: options has no names\)"),
    ("timings", edit(2, "timings", value={}), r"shard-2/run.json is damaged \(KeyError: 'seconds'\)"),
    ("json", lambda folders: (folders[1] / "run.json").write_text("{"), r"shard-1/run.json is damaged \("),
    ("folder", lambda folders: shutil.rmtree(folders[1] / "shard"), "shard-1 lacks its folder shard: copy the whole"),
    ("file", lambda folders: (folders[1] / "shard" / "000000008.npz").unlink(),
     r"shard-1 \(shard 1/3\) lacks the results of 2 images, such as test_00.*, test_00.*: copy its whole folder"),
    ("other", lambda folders: shutil.copy(folders[0] / "shard" / "000000000.npz", folders[1] / "shard"),
     r"shard-1 \(shard 1/3\) has results of other images, 2 images, such as test_"),
    ("damaged", lambda folders: (folders[2] / "shard" / "000000004.npz").write_bytes(b"PK"),
     r"shard-2/shard/000000004.npz is damaged \("),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_not_one_run_is_refused(copies: list[Path], tmp_path: Path, change: Change, message: str) -> None:
    change(copies)
    with pytest.raises(RunError, match=message):
        merge(copies, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_shards_must_be_of_what_lies_here(copies: list[Path], tmp_path: Path, checkpoint: Path) -> None:
    state = torch.load(checkpoint)
    torch.save({name: value + 1 for name, value in state.items()}, tmp_path / "model.pt")
    shutil.copy(checkpoint.with_suffix(".yaml"), tmp_path)
    with pytest.raises(RunError, match="is not what .*shard-0 was scored with: checkpoint is '.*; pass --model"):
        merge(copies, tmp_path / "run", model=tmp_path / "model.pt")
    with pytest.raises(RunError, match="shard-1 is one of the shards: pass another folder to --out"):
        merge(copies, copies[1], overwrite=True)
    for index in range(COUNT):
        edit(index, "versions", "pandas", value="0.1")(copies)
    with pytest.raises(RunError, match="shard-0 was scored with pandas 0.1, and here is .*: merge with the versions"):
        merge(copies, tmp_path / "run")
    for name, message in (("model", "a model in memory"), ("dataset", "a data set in memory")):
        edit(0, "options", name, value=None)(copies)
        with pytest.raises(RunError, match=f"shard-0 was scored with {message}: pass {name} to interpfer.merge"):
            merge(copies, tmp_path / "run", model=checkpoint if name == "dataset" else None)


def test_a_merge_that_was_killed_is_resumed(
    shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("interpfer.scoring.merge.finish_run", stop)
        with pytest.raises(KeyboardInterrupt):
            merge(shards, tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run; pass --resume"):
        merge(shards, tmp_path / "run")
    board = tmp_path / "board.csv"
    words = ["merge", *map(str, shards), "--out", str(tmp_path / "run"), "--resume", "--leaderboard", str(board)]
    done = CliRunner().invoke(group, [*words, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["path"] == str(tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")) == []
    assert pd.read_csv(board)["map"].tolist() == MAPS.split(",")
    stamp = (tmp_path / "run" / "run.json").stat().st_mtime_ns
    again = merge(shards, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "run.json").stat().st_mtime_ns == stamp
    assert again.manifest["counts"]["images"] == 16


def test_what_a_share_cannot_have_is_refused(place: Path, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InterpferError, match="a shard is only a share of a run: pass --leaderboard to interpfer merge"):
        ScoreOptions(shard="0/2", leaderboard="board.csv")
    with pytest.raises(InterpferError, match="shards are made of whole batches: pass a number to --batch-size"):
        ScoreOptions(shard=(0, 2), batch_size="auto")
    with pytest.raises(InterpferError, match="a shard is kept for interpfer merge: pass --out"):
        score(checkpoint, "csv", data_root=place / "faces", shard="0/2")
    with pytest.raises(InterpferError, match="16 images are 8 batches of 2, too few for 9 shards: pass fewer shards"):
        run_on(place, checkpoint, tmp_path / "x", shard="0/9")
    assert not (tmp_path / "x").exists()


def test_a_process_that_was_killed_ends_with_the_same_bytes(
    place: Path, checkpoint: Path, whole: Path, shards: list[Path], tmp_path: Path
) -> None:
    out, faces = tmp_path / "shard-0", place / "faces"
    words = [str(checkpoint), "--dataset", "csv", "--data-root", str(faces), "--batch-size", "2", "--device", "cpu",
             "--landmarks", str(faces / "landmarks.txt"), "--maps", MAPS, "--by", "skin", "--min-group", "3",
             "--shard", "0/3", "--out", str(out), "--quiet"]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "interpfer", "score", *words], env=environment)
    end = time.monotonic() + 240
    while not list(out.glob("shard/*.npz")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert list(out.glob("shard/*.npz"))
    assert not (out / "run.json").exists()
    refused = CliRunner().invoke(group, ["merge", str(out), *map(str, shards[1:]), "--out", str(tmp_path / "run")])
    assert (refused.exit_code, refused.stderr) == (
        1,
        f"error: {out} is shard 0/3, but not finished: finish it with --resume.\n",
    )
    run_on(place, checkpoint, out, shard="0/3", resume=True)
    merge([out, *shards[1:]], tmp_path / "run")
    expected, found = without_seconds(whole), without_seconds(tmp_path / "run")
    assert [name for name in expected if found[name] != expected[name]] == []
