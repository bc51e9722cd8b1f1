import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner

import interpfer
from interpfer.cli import group
from interpfer.finetuning.facts import describe_counts

COMMAND = ("-m", "interpfer", "finetune")


@pytest.fixture(scope="module")
def few(few_faces: Path) -> Path:
    return few_faces


def arguments(checkpoint: Path, faces: Path, out: Path, *more: str) -> list[str]:
    return [str(checkpoint), "--dataset", "csv", "--data-root", str(faces), "--landmarks", str(faces / "landmarks.txt"),
            "--out", str(out), "--device", "cpu", "--batch-size", "8", *more]  # fmt: skip


def same(a: Path, b: Path) -> bool:
    first, second = (torch.load(path, weights_only=True) for path in (a, b))
    return all(torch.equal(first[key], second[key]) for key in first)


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 240
    while not path.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    assert path.exists()


def test_finetune_then_score(checkpoint: Path, few: Path, tmp_path: Path) -> None:
    runner, faces, out = CliRunner(), few, tmp_path / "out"
    done = runner.invoke(
        group,
        ["finetune", *arguments(checkpoint, faces, out, "--epochs", "1", "--align", "attention", "--loss", "l2",
                                "--weight", "2", "--freeze", "stages.0", "--augment", "flip", "--tensorboard",
                                "--dataset-name", "clinic")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    manifest = json.loads((out / "finetune.json").read_text())
    assert describe_counts(manifest["counts"]) in " ".join(done.stderr.split())
    assert json.loads((out / "before" / "run.json").read_text())["arguments"]["dataset_name"] == "clinic"
    assert "a: before, b: after" in done.stdout
    assert "epoch 1: loss" in done.stderr
    assert "held-out images" in done.stderr
    assert list((out / "tensorboard").iterdir())
    scored = runner.invoke(
        group,
        ["score", str(out / "model.pt"), "--dataset", "csv", "--data-root", str(faces), "--landmarks",
         str(faces / "landmarks.txt"), "--maps", "attention"],
    )  # fmt: skip
    assert scored.exit_code == 0, scored.output


def test_wrong_calls_are_one_line(checkpoint: Path, faces: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    both = runner.invoke(group, ["finetune", *arguments(checkpoint, faces, tmp_path, "--resume", "--overwrite")])
    assert both.exit_code == 2
    assert "--resume and --overwrite cannot be combined; pass one." in both.stderr
    lacking = runner.invoke(group, ["finetune"])
    assert lacking.exit_code == 2
    assert "missing: MODEL, --dataset NAME, --out DIR" in lacking.stderr
    frozen = runner.invoke(group, ["finetune", *arguments(checkpoint, faces, tmp_path / "x", "--freeze", "stem")])
    assert frozen.exit_code == 1
    assert "error: --freeze stem: the network has no such module" in frozen.stderr
    full = runner.invoke(group, ["finetune", *arguments(checkpoint, faces, faces)])
    assert full.exit_code == 1
    assert "is not empty: continue with --resume" in full.stderr


def test_a_config_file_and_flags_are_the_same_options(checkpoint: Path, few: Path, tmp_path: Path) -> None:
    runner, flags = CliRunner(), ("--epochs", "1", "--test-split", "none", "--freeze-bn", "--mixed-precision", "bf16")
    printed = runner.invoke(group, ["finetune", *arguments(checkpoint, few, tmp_path / "a", *flags), "--print-config"])
    assert printed.exit_code == 0, printed.output
    config = tmp_path / "finetune.yaml"
    config.write_text(printed.stdout)
    assert {"freeze_bn: true", 'precision: "bf16"', "batch_size: 8"} <= set(printed.stdout.splitlines())
    for name, source in (("a", config), ("b", tmp_path / "a" / "finetune.json")):
        done = runner.invoke(group, ["finetune", "--config", str(source), "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    assert same(tmp_path / "a" / "model.pt", tmp_path / "b" / "model.pt")


def test_a_network_of_a_library_with_another_head_is_scored_without_flags(few: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    data = ["--dataset", "csv", "--data-root", str(few), "--landmarks", str(few / "landmarks.txt")]
    sizes = "{img_size: 32, patch_size: 8, embed_dim: 16, depth: 2, num_heads: 2}"
    (tmp_path / "vit.yaml").write_text(f"arch_args: {sizes}\nhead: ts-cam\nalign_layers: token_attention\n")
    calls = {
        "torchvision:resnet18": ("wildcat", ["--head", "wildcat", "--large-maps", "--input-size", "64"], "cam"),
        "timm:vit_tiny_patch16_224": (
            "ts-cam",
            ["--config", str(tmp_path / "vit.yaml"), "--input-size", "32"],
            "ts-cam",
        ),
    }
    for network, (head, flags, maps) in calls.items():
        out = tmp_path / head
        common = ["--classes", "rafdb", "--epochs", "1", "--test-split", "none", "--device", "cpu", "--out", str(out)]
        done = runner.invoke(group, ["finetune", network, *data, *common, *flags])
        assert done.exit_code == 0, done.output
        assert f"{head} head with random weights in place of the head of" in " ".join(done.stderr.split())
        assert yaml.safe_load((out / "model.yaml").read_text())["arch"] == "interpfer:headed"
        scored = runner.invoke(
            group, ["score", str(out / "model.pt"), *data, "--maps", maps, "--out", str(out / "run")]
        )
        assert scored.exit_code == 0, scored.output
        scores = pd.read_csv(out / "run" / "scores.csv")
        assert scores.loc[scores["metric"] == "cosine", "value"].notna().any()
        assert set(scores["map"]) == {maps}


def test_weights_that_cannot_be_downloaded_are_one_line(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    call = ["torchvision:resnet18", "--pretrained", "--classes", "rafdb", "--head", "wildcat", "--dataset", "csv"]
    done = CliRunner().invoke(
        group, ["finetune", *call, "--data-root", str(few), "--out", str(tmp_path / "out"), "--device", "cpu"]
    )
    assert done.exit_code == 1
    assert "error: the pretrained weights of torchvision:resnet18 are not in" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_sweep_prints_its_table(checkpoint: Path, few: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        group,
        ["finetune", *arguments(checkpoint, few, tmp_path, "--epochs", "1", "--blend", "0", "--sweep", "0,2", "--lr",
                                "1e-4")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "one training per weight" in done.stdout
    assert "weight 2: accuracy" in done.stderr
    assert "held-out images, on which the best epoch was also chosen, so gains may be optimistic" in done.stderr
    assert (tmp_path / "sweep.png").is_file()


def test_a_killed_process_resumes_to_the_same_bits(checkpoint: Path, few: Path, tmp_path: Path) -> None:
    faces, cut = few, tmp_path / "cut"
    options = ("--epochs", "3", "--blend", "0", "--test-split", "none", "--augment", "paper", "--ema", "0.9")
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums of more threads round otherwise
    command = [sys.executable, *COMMAND, *arguments(checkpoint, faces, cut, *options)]
    process = subprocess.Popen(command, env=os.environ | threads, stderr=subprocess.DEVNULL)
    wait_for(cut / "history.csv", process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    again = CliRunner().invoke(group, ["finetune", *arguments(checkpoint, faces, cut, *options, "--resume")])
    assert again.exit_code == 0, again.output
    whole = tmp_path / "whole"
    done = CliRunner().invoke(group, ["finetune", *arguments(checkpoint, faces, whole, *options)])
    assert done.exit_code == 0, done.output
    assert same(whole / "last.pt", cut / "last.pt")
    assert same(whole / "model.pt", cut / "model.pt")


def test_two_processes_resume_a_head_with_a_loss_of_its_own_and_compare(
    checkpoint: Path, few: Path, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(_: dict[str, object]) -> None:
        raise Killed

    with pytest.raises(Killed):
        interpfer.finetune(
            checkpoint, "csv", data_root=few, landmarks=few / "landmarks.txt", out=tmp_path, device="cpu", epochs=2,
            batch_size=8, blend=0, test=None, report=kill, head="acol", head_args={"width": 6},
        )  # fmt: skip
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    state["facts"]["number of processes"] = 2
    torch.save(state, tmp_path / "state.pt")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    (tmp_path / "head.yaml").write_text("head: acol\nhead_args: {width: 6}\n")
    config = ("--config", str(tmp_path / "head.yaml"))
    call = arguments(checkpoint, few, tmp_path, "--epochs", "2", "--blend", "0", "--resume", *config)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launcher, *COMMAND, *call], env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 2: loss") == 1
    assert done.stdout.count("a: before, b: after") == 1
    assert pd.read_csv(tmp_path / "compare.csv")["n"].notna().all()
    after = torch.load(tmp_path / "state.pt", weights_only=True)
    assert after["facts"]["number of processes"] == 2
    assert [line["epoch"] for line in after["history"]] == [1, 2]
    assert after["history"][1]["head"] > 0
    assert "acol head with random weights in place of the head of" in done.stderr
    assert "before is the network with that untrained head" in done.stderr
    assert any(not torch.equal(after["module"][key], value) for key, value in state["module"].items())
