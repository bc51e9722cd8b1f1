"""Trainings with the further terms of the loss: what they leave, resumed, in mixed precision, and refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import make_recipe
from interpfer.models.heads.action_units import AUNetwork
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.new_network import new_network
from tests.conftest import EXPRESSIONS
from tests.finetuning.trainings import QUICK, same, train, weights

GUIDE = Guide(patch_contrast=0.2, flip_consistency=0.5)
ALL = replace(QUICK, guide=GUIDE, keep_predictions=1.0, au_head=0.5)
COLUMNS = {"patches", "flip", "keep", "aus"}


@pytest.fixture(scope="module")
def faces() -> DemoDataset:
    return DemoDataset("train", count=14, size=32)


def small() -> Model:
    torch.manual_seed(0)
    return new_network("interpfer:small", classes=EXPRESSIONS, input_size=32, arch_args={"width": 4})


def test_a_training_with_all_terms_is_resumed_to_the_same_bits_and_scores_action_units(
    faces: DemoDataset, tmp_path: Path
) -> None:
    result = train(small(), faces, tmp_path / "whole", ALL)
    assert set(result.history) >= COLUMNS
    assert result.history[sorted(COLUMNS)].notna().all(axis=None)
    assert result.history["keep"].iloc[-1] > 0
    assert any(
        note.startswith("a head for action units is trained beside the expressions: AU 1,") for note in result.notes
    )

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small(), faces, tmp_path / "cut", ALL, report=stop)
    train(small(), faces, tmp_path / "cut", ALL, resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    again = load_model(tmp_path / "whole" / "model.pt")
    assert isinstance(again.module, AUNetwork)
    assert again.classes == tuple(EXPRESSIONS)
    run = interpfer.score(again, faces, target="au", maps="gradcam", metrics="cosine", limit=7, device="cpu")
    assert {1, 4, 12} <= set(again.card.aus)
    assert run.per_image["cosine"].notna().any()


def test_mixed_precision_and_no_guide(faces: DemoDataset, tmp_path: Path) -> None:
    recipe = replace(ALL, epochs=1, precision="bf16", guide=replace(GUIDE, weight=0))
    history = train(small(), faces, tmp_path / "out", recipe).history
    assert history[sorted(COLUMNS)].notna().all(axis=None)
    assert history[["attention", "cam"]].isna().all(axis=None)


def test_without_them_a_training_is_what_it_was(faces: DemoDataset, tmp_path: Path) -> None:
    result = train(small(), faces, tmp_path / "out", replace(QUICK, epochs=1))
    assert not COLUMNS & set(result.history)
    assert not isinstance(load_model(tmp_path / "out" / "model.pt").module, AUNetwork)


def test_action_units_of_mixed_faces_are_refused() -> None:
    with pytest.raises(InterpferError) as raised:
        make_recipe(FinetuneOptions.of({"au_head": 1.0, "cutmix": 0.5}))
    assert str(raised.value) == ("--au-head cannot be combined with --cutmix or --mixup, which mix faces; pass one.")


def test_predictions_of_a_head_with_random_weights_are_not_kept(faces: DemoDataset, tmp_path: Path) -> None:
    with pytest.raises(InterpferError) as raised:
        interpfer.finetune(
            small(), faces, out=tmp_path / "out", head="wildcat", keep_predictions=1.0, test=None, device="cpu"
        )
    assert str(raised.value) == (
        "--keep-predictions needs a trained network: the head of this one has random weights; leave it out."
    )
    assert not (tmp_path / "out").exists()
