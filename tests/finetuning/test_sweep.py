import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.sweep import scale_guide, sweep
from tests.finetuning.trainings import QUICK


def test_a_sweep_trains_each_weight(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    table = sweep(
        checkpoint, drawn, [0, 4], out=tmp_path / "out", recipe=replace(QUICK, epochs=1), device="cpu",
        test=DemoDataset("test", count=14, size=48), compare_maps=("attention", "gradcam"),
        compare_metrics=("cosine",),
    )  # fmt: skip
    assert list(table["weight"].fillna(-1)) == [-1, 0, 4]
    assert table.attrs["compared_on"] == "the split 'test', 14 images not used in training"
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 5_000
    assert len(pd.read_csv(tmp_path / "out" / "sweep.csv")) == 3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], r"sweep must be a list of weights, such as 0,1,4,9, got '\[\]'"),
        ("many", "sweep must be a list of weights, such as 0,1,4,9, got 'many'"),
        ([1, -1], "weight must be at least 0, got -1"),
        ([1, 1.0], "the weights of a sweep must be distinct, got 1, 1"),
    ],
)
def test_a_sweep_refuses_before_it_trains(
    weights: str | list[float], message: str, drawn: DemoDataset, tmp_path: Path
) -> None:
    with pytest.raises(InterpferError, match=message):
        sweep("no.pt", drawn, weights, out=tmp_path)


def test_a_sweep_needs_a_comparison_and_a_folder(drawn: DemoDataset, tmp_path: Path) -> None:
    for choices in ({"test": None}, {"test_split": "none"}):
        with pytest.raises(InterpferError, match="a sweep compares its trainings on a split: pass --test-split"):
            sweep("no.pt", drawn, [0], out=tmp_path, **choices)
    with pytest.raises(InterpferError, match="finetune needs a folder for its results: pass out=DIR"):
        sweep("no.pt", drawn, [0])
    with pytest.raises(InterpferError, match=r"for several weights, call interpfer\.finetuning\.sweep\.sweep"):
        interpfer.finetune("no.pt", drawn, out=tmp_path, sweep=[0])


def test_each_training_records_its_own_weight(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    sweep(
        checkpoint, drawn, [3], out=tmp_path, epochs=1, batch_size=14, align="cam", cam_weight=2, blend=0, lr=1e-4,
        device="cpu",
        test=DemoDataset("test", count=14, size=48),
        compare_maps="gradcam,attention", compare_metrics="cosine",
    )  # fmt: skip
    manifest = json.loads((tmp_path / "weight-3" / "finetune.json").read_text())
    assert manifest["options"]["align"] == "cam"
    assert manifest["options"]["cam_weight"] == 3
    assert manifest["options"]["sweep"] is None
    assert (manifest["facts"]["weight"], manifest["facts"]["cam_weight"]) == (0, 3)


def test_the_proportion_of_the_terms_stays_and_0_is_plain() -> None:
    assert scale_guide(Guide(), 9).weights == (9, 13.5)
    assert scale_guide(Guide(weight=4, cam_weight=1), 8).weights == (8, 2)
    assert scale_guide(Guide(weight=0, cam_weight=1), 8).weights == (0, 8)
    assert scale_guide(Guide(weight=4, cam_weight=0), 8).weights == (8, 0)
    for guide in (Guide(), Guide(weight=4, cam_weight=1), Guide(weight=0, cam_weight=1), Guide(weight=0)):
        assert scale_guide(guide, 0).weights == (0, 0)
