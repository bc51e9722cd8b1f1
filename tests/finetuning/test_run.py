import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch
from torch import nn

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.subset import Subset
from interpfer.errors import InterpferError, RunError
from interpfer.finetuning.augment import AUGMENTS
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.optim import Optim
from interpfer.finetuning.run import finetune
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN
from tests.conftest import EXPRESSIONS
from tests.finetuning.trainings import QUICK, same, train, weights


def test_a_training_leaves_what_score_takes(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    model = load_model(checkpoint)
    before = torch.random.get_rng_state()
    updates: list[tuple[str, int, int, str]] = []
    result = train(model, drawn, tmp_path / "out", progress=lambda *update: updates.append(update))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(weights(checkpoint.parent, "model.pt"), {k: v for k, v in model.module.state_dict().items()})
    again = load_model(tmp_path / "out" / "model.pt")
    assert again.classes == model.classes
    assert again.card.input == model.card.input
    assert same(dict(again.module.state_dict()), dict(result.model.module.state_dict()))
    assert again.sha256 == result.model.sha256
    assert not same(dict(again.module.state_dict()), dict(model.module.state_dict()))
    table = pd.read_csv(tmp_path / "out" / "history.csv")
    assert list(table["epoch"]) == [1, 2]
    assert table["attention"].notna().all()
    assert any("ce " in note for _, _, _, *notes in updates for note in notes)
    best = table[table["best"]].iloc[-1]
    assert best["val_accuracy"] == table["val_accuracy"].max()
    scored = interpfer.score(tmp_path / "out" / "model.pt", drawn, maps="attention", limit=7, device="cpu")
    assert scored.manifest["checkpoint_sha256"] == result.model.sha256


def test_a_loss_that_is_not_finite_stops_with_the_last_epoch_intact(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    calls = []

    def fails_later(maps: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
        calls.append(len(maps))
        return (maps - heat).square().mean(1) * (1 if len(calls) < 5 else float("nan"))

    recipe = replace(QUICK, epochs=4, guide=Guide(loss=fails_later, cam_weight=0))
    with pytest.raises(
        RunError, match=r"the loss is not finite in epoch \d, step \d .*the checkpoints of epoch \d are"
    ):
        train(checkpoint, drawn, tmp_path / "out", recipe)
    model = load_model(tmp_path / "out" / "last.pt")
    assert all(value.isfinite().all() for value in model.module.state_dict().values())
    assert len(pd.read_csv(tmp_path / "out" / "history.csv")) >= 1


def test_the_best_epoch_is_kept_and_patience_ends_a_training(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.2, 0.6, 0.6, 0.5, 0.9])
    agreement = iter([0.9, 0.1, 0.3, 0.2, 0.9])

    def next_scores(*_: object) -> dict[str, float]:
        value = next(agreement)
        return {"val_loss": 1.0, "val_accuracy": next(accuracies), "att_cos": value, "cam_cos": value}

    monkeypatch.setattr("interpfer.finetuning.loop.validate", next_scores)
    recipe = replace(QUICK, epochs=9, patience=1, guide=Guide(weight=0))
    saved = {}

    def keep_weights(line: dict[str, object]) -> None:
        saved[line["epoch"]] = weights(tmp_path / "out", "model.pt")

    result = train(checkpoint, drawn, tmp_path / "out", recipe, report=keep_weights)
    assert list(result.history["epoch"]) == [1, 2, 3, 4]
    assert list(result.history["best"]) == [True, True, True, False]
    assert result.history["attention"].isna().all()
    assert same(saved[3], saved[4])
    assert not same(saved[2], saved[3])


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = SmallCNN(7, width=4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.mean(), self.inner(x)


def networks() -> dict[str, tuple[nn.Module, dict[str, object]]]:
    vit = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=24, num_heads=2,
                            num_classes=7, drop_rate=0.1)  # fmt: skip
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=64, embed_dim=12, depths=(1, 1), num_heads=(1, 2),
                             window_size=4, num_classes=7)  # fmt: skip
    return {
        "cnn": (SmallCNN(7, width=4), {}),
        "tuple": (Pair(), {"output": 1}),
        "vit": (vit, {}),
        "swin": (swin, {"input_size": 64}),
    }


@pytest.mark.parametrize("name", ["cnn", "tuple", "vit", "swin"])
def test_any_architecture_learns(name: str, tmp_path: Path) -> None:
    data = DemoDataset("train", count=21, size=48)
    network, options = networks()[name]
    model = load_model(network, **{"classes": EXPRESSIONS, "input_size": 32, "mean": 0.5, "std": 0.25} | options)
    recipe = replace(
        QUICK, epochs=3, batch_size=14, freeze="half", augment=AUGMENTS["none"], optim=Optim(optimizer="adamw", lr=2e-3)
    )
    result = train(model, data, tmp_path / "out", recipe)
    term = "cam" if name == "vit" else "attention"  # that of a new layer norm is undefined
    assert result.history[term].iloc[-1] < result.history[term].iloc[0]
    assert result.history[["loss", "cam"]].notna().all(axis=None)
    assert load_model(tmp_path / "out" / "model.pt", trust=True).layers() == model.layers()


def test_before_and_after_are_compared_on_an_unused_split(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    test = DemoDataset("test", count=14, size=48)
    result = train(checkpoint, drawn, tmp_path / "out", replace(QUICK, epochs=1, batch_size=14), test=test)
    assert result.compared_on == "the split 'test', 14 images not used in training"
    assert result.comparison is not None
    assert {"accuracy", "cosine", "pxap"} <= set(result.comparison["metric"])
    assert (tmp_path / "out" / "before_after.png").stat().st_size > 10_000
    assert result.before is not None
    assert result.before.manifest["counts"]["images"] == 14


def test_without_another_split_the_held_out_images_are_compared(checkpoint: Path, faces: Path, tmp_path: Path) -> None:
    result = finetune(
        checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", out=tmp_path / "out", device="cpu",
        recipe=replace(QUICK, epochs=1),
    )  # fmt: skip
    assert result.compared_on.startswith("the 7 held-out images, on which the best epoch was also chosen")
    assert result.after is not None
    assert result.after.manifest["counts"]["images"] == 7


def test_arguments_of_the_card_reach_the_training(drawn: DemoDataset, tmp_path: Path) -> None:
    class Phased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = SmallCNN(7, width=4)
            self.seen: list[str] = []

        def forward(self, x: torch.Tensor, phase: str) -> torch.Tensor:
            self.seen.append(phase)
            return self.inner(x)

    model = load_model(
        Phased(),
        classes=EXPRESSIONS,
        input_size=32,
        arch="tests.finetuning.test_run:Pair",
        forward_args={"phase": "test"},
    )
    train(model, drawn, tmp_path / "out", replace(QUICK, epochs=1))


def test_mixed_precision_leaves_the_network_as_it_was(drawn: DemoDataset, tmp_path: Path) -> None:
    model = load_model(SmallCNN(7, width=4), classes=EXPRESSIONS, input_size=32)
    test = DemoDataset("test", count=7, size=48)
    result = train(
        model, drawn, tmp_path / "out", replace(QUICK, epochs=1, precision="bf16"), test=test, compare_maps=("gradcam",)
    )
    assert "forward" not in vars(result.model.module)
    again = interpfer.score(
        load_model(tmp_path / "out" / "model.pt", trust=True), test, maps="gradcam", metrics="cosine", device="cpu"
    )
    assert result.after is not None
    pd.testing.assert_series_equal(again.per_image["cosine"], result.after.per_image["cosine"])


def test_attention_that_is_not_trained_cannot_be_aligned(drawn: DemoDataset, tmp_path: Path) -> None:
    model = load_model(SmallCNN(7, width=4), classes=EXPRESSIONS, input_size=32)
    still = replace(QUICK, epochs=1, freeze="half", guide=Guide(align_layers=("stages.0",)))
    with pytest.raises(InterpferError, match="no trainable parameter affects the attention of stages.0: freeze less"):
        train(model, drawn, tmp_path / "out", still)
    assert not (tmp_path / "out").exists()
    train(model, drawn, tmp_path / "all", replace(still, guide=Guide(align_layers="all")))
    manifest = json.loads((tmp_path / "all" / "finetune.json").read_text())
    assert manifest["aligned"]["attention"] == ["stages.2", "stages.3"]


def test_faces_without_a_heatmap_do_not_lower_the_history(tmp_path: Path) -> None:
    data = DemoDataset("train", count=21, size=48)
    model = load_model(SmallCNN(7, width=4), classes=EXPRESSIONS, input_size=32)
    still = replace(QUICK, epochs=1, augment=AUGMENTS["none"], optim=Optim(lr=1e-12), freeze_bn=True)
    small, large = (
        train(model, data, tmp_path / str(batch), replace(still, batch_size=batch)).history["attention"][0]
        for batch in (1, 21)
    )
    assert small == pytest.approx(large, abs=1e-3)
    neutral = Subset(data, [row for row, s in enumerate(data.samples) if s.label in ("neutral", "anger")], "train")
    neutral.samples = tuple(replace(sample, label="neutral") for sample in neutral.samples)
    assert train(model, neutral, tmp_path / "neutral", still).history["attention"].isna().all()
