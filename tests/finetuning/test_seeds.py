import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

import interpfer
from interpfer.cli import group
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError, RunError
from interpfer.finetuning import seeds as module
from interpfer.finetuning.seeds import seeds_notes, summarise_seeds, train_seeds

SHORT = {"epochs": 1, "blend": 0.0, "batch_size": 14, "lr": 1e-3, "device": "cpu", "compare_maps": "gradcam,attention",
         "compare_metrics": "cosine"}  # fmt: skip


def test_each_seed_has_a_folder_and_a_finished_one_is_not_repeated(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = DemoDataset("test", count=14, size=48)
    alone = train_seeds(checkpoint, drawn, [0], out=tmp_path, test=test, **SHORT)
    assert list(seeds_notes(alone, tmp_path))[1] == "one seed: no interval and no test over seeds"
    with pytest.raises(RunError, match="seed-0 is not empty: continue with --resume"):
        train_seeds(checkpoint, drawn, [5, 0], out=tmp_path, test=test, **SHORT)
    trained = []
    train = module.finetune

    def count(*args: object, **choices: Any) -> object:
        trained.append(Path(choices["options"].out).name)
        return train(*args, **choices)

    monkeypatch.setattr(module, "finetune", count)
    table = train_seeds(checkpoint, drawn, [0, 2], out=tmp_path, test=test, resume=True, **SHORT)
    assert trained == ["seed-2"]
    lines = [pd.read_csv(tmp_path / f"seed-{seed}" / "compare.csv") for seed in (0, 2)]
    changes = [lines[place]["difference"].to_numpy() for place in (0, 1)]
    np.testing.assert_allclose(table["difference"], np.mean(changes, 0), atol=1e-9)
    assert json.loads((tmp_path / "seed-2" / "finetune.json").read_text())["facts"]["seed"] == 2
    assert table["n_seeds"].tolist() == [2, 2, 2]
    assert table["metric"].tolist() == ["accuracy", "cosine", "cosine"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "seeds.csv"), table, check_dtype=False, atol=1e-6)
    assert json.loads((tmp_path / "seeds.json").read_text())["seeds"] == [0, 2]

    notes = list(seeds_notes(table, tmp_path))
    assert notes[1].startswith("intervals and p-values: Student's t over 2 seeds, 1 degrees of freedom; few seeds")
    done = CliRunner().invoke(group, ["compare", *notes[2].partition("interpfer compare ")[2].split()])
    assert done.exit_code == 0, done.output


def test_the_test_over_seeds_is_students() -> None:
    after = [0.52, 0.55, 0.61]
    tables = [
        pd.DataFrame([("gradcam", "x", "x", "cosine", 0.5, value, value - 0.5, 40)],
                     columns=["map", "layer_a", "layer_b", "metric", "a", "b", "difference", "n"])
        for value in after
    ]  # fmt: skip
    (line,) = summarise_seeds(tables).to_dict("records")
    peer = stats.ttest_1samp(np.array(after) - 0.5, 0)
    assert line["p"] == line["p_holm"] == pytest.approx(peer.pvalue)
    assert (line["ci_low"], line["ci_high"]) == pytest.approx(tuple(peer.confidence_interval()))
    assert (line["before"], line["before_std"]) == (0.5, 0)
    assert (line["after"], line["after_std"]) == pytest.approx((np.mean(after), np.std(after, ddof=1)))
    (alone,) = summarise_seeds(tables[:1]).to_dict("records")
    assert np.isnan([alone["p"], alone["ci_low"], alone["after_std"]]).all()


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("many", "seeds must be a list of whole numbers, such as 0,1,2, got 'many'"),
        ([0.5], r"seeds must be a list of whole numbers, such as 0,1,2, got '\[0.5\]'"),
        ([1, 1], "the seeds must be distinct, got 1, 1"),
        ([-1], "seed must be between 0 and"),
    ],
)
def test_seeds_are_refused_before_training(
    seeds: str | list[float], message: str, drawn: DemoDataset, tmp_path: Path
) -> None:
    with pytest.raises(InterpferError, match=message):
        train_seeds("no.pt", drawn, seeds, out=tmp_path)


def test_seeds_need_a_comparison_and_a_function_of_their_own(drawn: DemoDataset, tmp_path: Path) -> None:
    with pytest.raises(InterpferError, match="seeds are compared on a split: pass --test-split"):
        train_seeds("no.pt", drawn, [0], out=tmp_path, test=None)
    with pytest.raises(InterpferError, match=r"for several seeds, call finetuning\.seeds\.train_seeds"):
        interpfer.finetune("no.pt", drawn, out=tmp_path, seeds=[0])


def test_seeds_from_the_command_line(checkpoint: Path, few_faces: Path, tmp_path: Path) -> None:
    data = few_faces
    words = ["finetune", str(checkpoint), "--dataset", "csv", "--data-root", str(data), "--out", str(tmp_path / "o"),
             "--landmarks", str(data / "landmarks.txt"), "--epochs", "1", "--device", "cpu"]  # fmt: skip
    done = CliRunner().invoke(group, [*words, "--seeds", "0,1"])
    assert done.exit_code == 0, done.output
    assert "mean +- standard deviation over 2 seeds" in done.stdout
    assert "seed 1, after - before: accuracy" in done.stderr
    again = CliRunner().invoke(group, [*words, "--seeds", "0,1", "--resume"])
    assert again.exit_code == 0, again.output
    assert again.stdout == done.stdout
    assert "epoch 1" not in again.stderr
    assert "each seed holds out images of its own" in again.stderr
    both = CliRunner().invoke(group, [*words, "--seeds", "0,1", "--sweep", "1,2"])
    assert both.exit_code == 2
    assert "--sweep and --seeds cannot be combined" in both.stderr
