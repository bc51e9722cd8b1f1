import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from interpfer.config import read_config
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import ModelError, RunError
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.run import finetune
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN
from tests.conftest import EXPRESSIONS
from tests.finetuning.trainings import QUICK, RICH, same, train, weights


def test_an_interrupted_training_ends_with_the_same_bits(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(_: dict[str, object]) -> None:
        raise Killed

    train(checkpoint, drawn, tmp_path / "whole", RICH)
    with pytest.raises(Killed):
        train(checkpoint, drawn, tmp_path / "cut", RICH, report=kill)
    assert len(pd.read_csv(tmp_path / "cut" / "history.csv")) == 1
    with pytest.raises(RunError, match="is not empty: continue with --resume, replace with --overwrite"):
        train(checkpoint, drawn, tmp_path / "cut", RICH)
    with pytest.raises(
        RunError,
        match=r"cut: the part held out differs, seed was 0 and is 1; pass the same",
    ):
        train(checkpoint, drawn, tmp_path / "cut", replace(RICH, seed=1), resume=True)
    train(checkpoint, drawn, tmp_path / "cut", RICH, resume=True)
    for name in ("last.pt", "model.pt"):
        assert same(weights(tmp_path / "whole", name), weights(tmp_path / "cut", name))
    columns = ["epoch", "loss", "cross_entropy", "attention", "cam", "val_loss", "att_cos"]
    whole, cut = (pd.read_csv(tmp_path / side / "history.csv")[columns] for side in ("whole", "cut"))
    pd.testing.assert_frame_equal(whole, cut)


def test_a_training_that_ended_before_its_first_epoch_can_be_resumed(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    def killed(what: str, *_: object) -> None:
        if what.startswith("epoch"):
            raise KeyboardInterrupt

    out, quick = tmp_path / "out", replace(QUICK, epochs=1)
    for option in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(KeyboardInterrupt):
            train(checkpoint, drawn, out, quick, progress=killed, **option)
        assert [path.name for path in out.iterdir()] == ["finetune.json"]
        assert json.loads((out / "finetune.json").read_text())["finished"] is False
    train(checkpoint, drawn, out, quick, resume=True)
    assert json.loads((out / "finetune.json").read_text())["finished"] is True
    with pytest.raises(RunError, match="the card differs"):
        train(load_model(checkpoint, std=0.1), drawn, out, quick, resume=True)
    assert json.loads((out / "finetune.json").read_text())["finished"] is True


def test_a_folder_that_is_no_training_is_left_alone(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    before = sorted(path.name for path in checkpoint.parent.iterdir())
    for option in ("resume", "overwrite"):
        with pytest.raises(RunError, match="is not empty and holds no training; choose another"):
            train(checkpoint, drawn, checkpoint.parent, **{option: True})
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == before
    quick = replace(QUICK, epochs=1)
    train(checkpoint, drawn, tmp_path / "out", quick)
    with pytest.raises(RunError, match="contains the checkpoint to train"):
        train(tmp_path / "out" / "model.pt", drawn, tmp_path / "out", quick, overwrite=True)
    with pytest.raises(ModelError, match="--freeze typo"):
        train(checkpoint, drawn, tmp_path / "out", replace(quick, freeze="typo"), overwrite=True)
    assert load_model(tmp_path / "out" / "model.pt").classes == load_model(checkpoint).classes
    (tmp_path / "out" / "compare.csv").write_text("old")
    train(checkpoint, drawn, tmp_path / "out", quick, overwrite=True)
    assert not (tmp_path / "out" / "compare.csv").exists()
    with pytest.raises(RunError, match="cannot write to"):
        train(checkpoint, drawn, tmp_path / "out" / "model.pt" / "deeper", quick)


def test_a_network_that_cannot_be_written_is_refused_first(drawn: DemoDataset, tmp_path: Path) -> None:
    network = SmallCNN(7, width=4)
    network.odd = lambda: None
    model = load_model(network, classes=EXPRESSIONS, input_size=32)
    with pytest.raises(ModelError, match="its network cannot be written as a whole .*pass its architecture"):
        train(model, drawn, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_training_is_repeated_from_its_manifest(checkpoint: Path, faces: Path, tmp_path: Path) -> None:
    first = finetune(
        checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", out=tmp_path / "first", epochs=1,
        batch_size=16, weight=2, blend=0, freeze="none", device="cpu", test=None, seed=3,
    )  # fmt: skip
    options = FinetuneOptions.of(read_config(tmp_path / "first" / "finetune.json"))
    assert (options.model, options.dataset, options.test_split) == (str(checkpoint), "csv", "none")
    assert (options.weight, options.seed, options.out) == (2, 3, None)
    again = finetune(options.model, options.dataset, options=options, out=tmp_path / "again")
    assert same(dict(first.model.module.state_dict()), dict(again.model.module.state_dict()))


def test_a_recipe_that_no_options_describe_is_not_recorded_as_options(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    train(checkpoint, drawn, tmp_path / "recipe", replace(QUICK, epochs=1))
    assert "options" not in json.loads((tmp_path / "recipe" / "finetune.json").read_text())
