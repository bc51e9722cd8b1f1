import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch
from accelerate import Accelerator
from PIL import Image
from torch import nn

import interpfer
from interpfer.datasets import DATASETS
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.subset import Subset
from interpfer.errors import DataError, InterpferError, ModelError, RunError
from interpfer.faces.stream import FaceStream
from interpfer.finetuning.augment import AUGMENTS
from interpfer.finetuning.before_after import judged_on
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.loop import Trainer, make_accelerator
from interpfer.finetuning.optim import Optim
from interpfer.finetuning.pictures import before_after_sheet, undominated
from interpfer.finetuning.pool import FacePool
from interpfer.finetuning.recipe import Recipe
from interpfer.finetuning.run import FinetuneResult, finetune
from interpfer.finetuning.sweep import sweep
from interpfer.landmarks.files import FileLandmarks
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN
from tests.conftest import EXPRESSIONS

QUICK = Recipe(epochs=2, batch_size=7, optim=Optim(lr=1e-2), augment=AUGMENTS["light"], freeze="none")
RICH = replace(
    QUICK,
    accumulate=2,
    label_smoothing=0.1,
    class_weights=True,
    freeze_bn=True,
    optim=Optim(optimiser="adamw", lr=1e-3, schedule="cosine", warmup=0.2, ema=0.5, clip=1.0, head=2.0),
    augment=replace(AUGMENTS["paper"], cutmix=0.4, mixup=0.4),
)


@pytest.fixture(scope="module")
def drawn() -> DemoDataset:
    return DemoDataset("train", count=21, size=48)


def tune(model: object, data: DemoDataset, out: Path, recipe: Recipe = QUICK, **options: object) -> FinetuneResult:
    return finetune(model, data, out=out, recipe=recipe, device="cpu", **{"test": None} | options)


def weights(folder: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    return torch.load(folder / name, weights_only=True)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[key], b[key]) for key in a)


def test_each_training_of_a_process_chooses_its_precision(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    own = Accelerator(cpu=True)
    for precision in ("bf16", "no"):
        tuned = tune(checkpoint, drawn, tmp_path / precision, replace(QUICK, epochs=1, precision=precision))
        assert len(tuned.history) == 1
    assert own.mixed_precision == "no"
    assert own.num_processes == 1
    assert not same(weights(tmp_path / "bf16"), weights(tmp_path / "no"))


def test_a_training_leaves_what_score_takes(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    model = load_model(checkpoint)
    before = torch.random.get_rng_state()
    told: list[tuple[str, int, int, str]] = []
    tuned = tune(model, drawn, tmp_path / "out", progress=lambda *said: told.append(said))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(weights(checkpoint.parent, "model.pt"), {k: v for k, v in model.module.state_dict().items()})
    again = load_model(tmp_path / "out" / "model.pt")
    assert again.classes == model.classes
    assert again.card.input == model.card.input
    assert same(dict(again.module.state_dict()), dict(tuned.model.module.state_dict()))
    assert again.sha256 == tuned.model.sha256
    assert not same(dict(again.module.state_dict()), dict(model.module.state_dict()))
    table = pd.read_csv(tmp_path / "out" / "history.csv")
    assert list(table["epoch"]) == [1, 2]
    assert table["attention"].notna().all()
    assert any("ce " in note for _, _, _, *note in told for note in note)
    best = table[table["best"]].iloc[-1]
    assert best["val_accuracy"] == table["val_accuracy"].max()
    scored = interpfer.score(tmp_path / "out" / "model.pt", drawn, maps="attention", limit=7, device="cpu")
    assert scored.manifest["checkpoint_sha256"] == tuned.model.sha256


def test_an_interrupted_training_ends_with_the_same_bits(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(_: dict[str, object]) -> None:
        raise Killed

    tune(checkpoint, drawn, tmp_path / "whole", RICH)
    with pytest.raises(Killed):
        tune(checkpoint, drawn, tmp_path / "cut", RICH, report=kill)
    assert len(pd.read_csv(tmp_path / "cut" / "history.csv")) == 1
    with pytest.raises(RunError, match="is not empty: continue with --resume, replace with --overwrite"):
        tune(checkpoint, drawn, tmp_path / "cut", RICH)
    with pytest.raises(
        RunError,
        match=r"cut: the part held out differs, seed was 0 and is 1\. Use the same",
    ):
        tune(checkpoint, drawn, tmp_path / "cut", replace(RICH, seed=1), resume=True)
    tune(checkpoint, drawn, tmp_path / "cut", RICH, resume=True)
    for name in ("last.pt", "model.pt"):
        assert same(weights(tmp_path / "whole", name), weights(tmp_path / "cut", name))
    columns = ["epoch", "loss", "cross_entropy", "attention", "cam", "val_loss", "att_cos"]
    whole, cut = (pd.read_csv(tmp_path / side / "history.csv")[columns] for side in ("whole", "cut"))
    pd.testing.assert_frame_equal(whole, cut)


def test_a_loss_that_is_no_number_stops_with_the_last_epoch_intact(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    calls = []

    def fails_later(maps: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
        calls.append(len(maps))
        return (maps - heat).square().mean(1) * (1 if len(calls) < 5 else float("nan"))

    recipe = replace(QUICK, epochs=4, guide=Guide(kind=fails_later, cam=0))
    with pytest.raises(
        RunError, match=r"the loss is not finite in epoch \d, step \d .*the checkpoints of epoch \d are"
    ):
        tune(checkpoint, drawn, tmp_path / "out", recipe)
    model = load_model(tmp_path / "out" / "last.pt")
    assert all(value.isfinite().all() for value in model.module.state_dict().values())
    assert len(pd.read_csv(tmp_path / "out" / "history.csv")) >= 1


def test_the_best_epoch_is_kept_and_patience_ends_a_training(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.2, 0.6, 0.6, 0.5, 0.9])
    agreement = iter([0.9, 0.1, 0.3, 0.2, 0.9])

    def told(*_: object) -> dict[str, float]:
        value = next(agreement)
        return {"val_loss": 1.0, "val_accuracy": next(accuracies), "att_cos": value, "cam_cos": value}

    monkeypatch.setattr("interpfer.finetuning.loop.validate", told)
    recipe = replace(QUICK, epochs=9, patience=1, guide=Guide(attention=0))
    kept = {}

    def look(line: dict[str, object]) -> None:
        kept[line["epoch"]] = weights(tmp_path / "out", "model.pt")

    tuned = tune(checkpoint, drawn, tmp_path / "out", recipe, report=look)
    assert list(tuned.history["epoch"]) == [1, 2, 3, 4]
    assert list(tuned.history["best"]) == [True, True, True, False]
    assert tuned.history["attention"].isna().all()
    assert same(kept[3], kept[4])
    assert not same(kept[2], kept[3])


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
        QUICK, epochs=3, batch_size=14, freeze="half", augment=AUGMENTS["none"], optim=Optim(optimiser="adamw", lr=2e-3)
    )
    tuned = tune(model, data, tmp_path / "out", recipe)
    assert tuned.history["attention"].iloc[-1] < tuned.history["attention"].iloc[0]
    assert tuned.history[["loss", "cam"]].notna().all(axis=None)
    assert load_model(tmp_path / "out" / "model.pt", trust=True).layers() == model.layers()


def test_before_and_after_are_compared_on_a_split_that_was_not_looked_at(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    test = DemoDataset("test", count=14, size=48)
    tuned = tune(checkpoint, drawn, tmp_path / "out", replace(QUICK, epochs=1, batch_size=14), test=test)
    assert tuned.judged == "the split 'test', 14 images never looked at while training"
    assert tuned.comparison is not None
    assert {"accuracy", "cosine", "pxap"} <= set(tuned.comparison["metric"])
    assert (tmp_path / "out" / "before_after.png").stat().st_size > 10_000
    assert tuned.before is not None
    assert tuned.before.manifest["counts"]["images"] == 14


def test_without_a_split_of_its_own_the_held_out_images_judge(checkpoint: Path, faces: Path, tmp_path: Path) -> None:
    tuned = finetune(
        checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", out=tmp_path / "out", device="cpu",
        recipe=replace(QUICK, epochs=1),
    )  # fmt: skip
    assert tuned.judged.startswith("the 7 held-out images, on which the best epoch was chosen too")
    assert tuned.after is not None
    assert tuned.after.manifest["counts"]["images"] == 7


def test_a_part_is_the_whole_with_fewer_rows(faces: Path) -> None:
    whole = CsvDataset.open(faces, "test")
    part = Subset(whole, (5, 2), "held-out")
    assert [sample.id for sample in part.samples] == [whole.samples[5].id, whole.samples[2].id]
    assert part.image(1).tobytes() == whole.image(2).tobytes()
    assert part.size(0) == whole.size(5)
    assert part.classes == whole.classes
    assert part.name == "csv"


def test_a_sweep_trains_each_weight(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    table = sweep(
        checkpoint, drawn, [0, 4], out=tmp_path / "out", recipe=replace(QUICK, epochs=1), device="cpu",
        test=DemoDataset("test", count=14, size=48), compare_maps=("attention", "gradcam"),
        compare_metrics=("cosine",),
    )  # fmt: skip
    assert list(table["weight"].fillna(-1)) == [-1, 0, 4]
    assert table.attrs["judged"] == "the split 'test', 14 images never looked at while training"
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 5_000
    assert len(pd.read_csv(tmp_path / "out" / "sweep.csv")) == 3
    with pytest.raises(InterpferError, match="a sweep compares its trainings"):
        sweep(checkpoint, drawn, [0], out=tmp_path / "none", test=None)


def test_a_sweep_refuses_before_it_trains(drawn: DemoDataset, tmp_path: Path) -> None:
    for weights, told in (([], "needs a list of weights"), ([1, -1], "weight -1 must be at least 0"),
                          ([1, 1.0], "trains each weight once: 1, 1 repeats one")):  # fmt: skip
        with pytest.raises(InterpferError, match=told):
            sweep("no.pt", drawn, weights, out=tmp_path)


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
    tune(model, drawn, tmp_path / "out", replace(QUICK, epochs=1))


def test_a_network_that_cannot_be_written_is_told_first(drawn: DemoDataset, tmp_path: Path) -> None:
    network = SmallCNN(7, width=4)
    network.odd = lambda: None
    model = load_model(network, classes=EXPRESSIONS, input_size=32)
    with pytest.raises(ModelError, match="its network cannot be written as a whole .*say how to make it"):
        tune(model, drawn, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_mixed_precision_leaves_the_network_as_it_was(drawn: DemoDataset, tmp_path: Path) -> None:
    model = load_model(SmallCNN(7, width=4), classes=EXPRESSIONS, input_size=32)
    test = DemoDataset("test", count=7, size=48)
    tuned = tune(
        model, drawn, tmp_path / "out", replace(QUICK, epochs=1, precision="bf16"), test=test, compare_maps=("gradcam",)
    )
    assert "forward" not in vars(tuned.model.module)
    again = interpfer.score(
        load_model(tmp_path / "out" / "model.pt", trust=True), test, maps="gradcam", metrics="cosine", device="cpu"
    )
    assert tuned.after is not None
    pd.testing.assert_series_equal(again.per_image["cosine"], tuned.after.per_image["cosine"])


def test_attention_that_nothing_changes_cannot_be_aligned(drawn: DemoDataset, tmp_path: Path) -> None:
    model = load_model(SmallCNN(7, width=4), classes=EXPRESSIONS, input_size=32)
    still = replace(QUICK, epochs=1, freeze="half", guide=Guide(layers=("stages.0",)))
    with pytest.raises(InterpferError, match="nothing that is trained changes the attention of stages.0: freeze less"):
        tune(model, drawn, tmp_path / "out", still)
    assert not (tmp_path / "out").exists()
    tune(model, drawn, tmp_path / "all", replace(still, guide=Guide(layers="all")))
    told = json.loads((tmp_path / "all" / "finetune.json").read_text())
    assert told["aligned"]["attention"] == ["stages.2", "stages.3"]


def test_faces_without_a_heatmap_do_not_lower_the_history(tmp_path: Path) -> None:
    data = DemoDataset("train", count=21, size=48)
    model = load_model(SmallCNN(7, width=4), classes=EXPRESSIONS, input_size=32)
    still = replace(QUICK, epochs=1, augment=AUGMENTS["none"], optim=Optim(lr=1e-12), freeze_bn=True)
    small, large = (
        tune(model, data, tmp_path / str(batch), replace(still, batch_size=batch)).history["attention"][0]
        for batch in (1, 21)
    )
    assert small == pytest.approx(large, abs=1e-3)
    neutral = Subset(data, [row for row, s in enumerate(data.samples) if s.label in ("neutral", "anger")], "train")
    neutral.samples = tuple(replace(sample, label="neutral") for sample in neutral.samples)
    assert tune(model, neutral, tmp_path / "neutral", still).history["attention"].isna().all()


def test_a_class_without_faces_has_no_weight(drawn: DemoDataset) -> None:
    model = load_model(SmallCNN(8, width=4), classes=[*EXPRESSIONS, "contempt"], input_size=32)
    pool, held = (
        FacePool(FaceStream(drawn, resolve_landmarks(None, drawn.landmarks()), 32), tuple(range(14))) for _ in range(2)
    )
    for part in (pool, held):
        part.load(lambda *_: None)
    trainer = Trainer(model, replace(QUICK, class_weights=True), pool, held, make_accelerator("cpu", "no"))
    assert trainer.weights is not None
    assert trainer.weights[-1] == 0
    assert (trainer.weights[:-1] > 0).all()


def test_a_training_that_ended_before_its_first_epoch_can_be_taken_up(
    checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    def killed(what: str, *_: object) -> None:
        if what.startswith("epoch"):
            raise KeyboardInterrupt

    out, quick = tmp_path / "out", replace(QUICK, epochs=1)
    for option in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(KeyboardInterrupt):
            tune(checkpoint, drawn, out, quick, progress=killed, **option)
        assert [path.name for path in out.iterdir()] == ["finetune.json"]
        assert json.loads((out / "finetune.json").read_text())["finished"] is False
    tune(checkpoint, drawn, out, quick, resume=True)
    assert json.loads((out / "finetune.json").read_text())["finished"] is True
    with pytest.raises(RunError, match="the card differs"):
        tune(load_model(checkpoint, std=0.1), drawn, out, quick, resume=True)
    assert json.loads((out / "finetune.json").read_text())["finished"] is True


def test_a_folder_that_is_no_training_is_left_alone(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    before = sorted(path.name for path in checkpoint.parent.iterdir())
    for option in ("resume", "overwrite"):
        with pytest.raises(RunError, match="is not empty and holds no training; choose another"):
            tune(checkpoint, drawn, checkpoint.parent, **{option: True})
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == before
    quick = replace(QUICK, epochs=1)
    tune(checkpoint, drawn, tmp_path / "out", quick)
    with pytest.raises(RunError, match="holds the checkpoint that is to be trained"):
        tune(tmp_path / "out" / "model.pt", drawn, tmp_path / "out", quick, overwrite=True)
    with pytest.raises(ModelError, match="--freeze typo"):
        tune(checkpoint, drawn, tmp_path / "out", replace(quick, freeze="typo"), overwrite=True)
    assert load_model(tmp_path / "out" / "model.pt").classes == load_model(checkpoint).classes
    (tmp_path / "out" / "compare.csv").write_text("old")
    tune(checkpoint, drawn, tmp_path / "out", quick, overwrite=True)
    assert not (tmp_path / "out" / "compare.csv").exists()
    with pytest.raises(RunError, match="cannot write to"):
        tune(checkpoint, drawn, tmp_path / "out" / "model.pt" / "deeper", quick)


def test_a_split_that_is_misspelt_is_told(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no split 'tset'"):
        finetune(checkpoint, "demo", out=tmp_path / "a", recipe=QUICK, test="tset", device="cpu")
    with pytest.raises(InterpferError, match="test='val': a data set that is open has no other splits"):
        tune(checkpoint, drawn, tmp_path / "b", test="val")
    assert not (tmp_path / "a").exists()


def test_images_of_the_training_split_do_not_judge(drawn: DemoDataset) -> None:
    some = Subset(drawn, range(14), "train")
    told, on = judged_on(some, drawn, (1, 2))
    assert told.endswith(
        "7 images never looked at while training; 14 more stand in the training split too and are left out"
    )
    assert on is not None
    assert [sample.id for sample in on.samples] == [sample.id for sample in drawn.samples[14:]]
    assert judged_on(some, None, (1, 2)) == ("", None)


def test_equal_names_in_two_splits_are_two_images(tmp_path: Path) -> None:
    for split, count in (("train", 2), ("test", 3)):
        folder = tmp_path / split / "happy"
        folder.mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8)).save(folder / f"im{i}.png")
    train, test = (DATASETS.get("folder").open(tmp_path, split) for split in ("train", "test"))
    assert train.samples[0].id == test.samples[0].id
    told, on = judged_on(train, test, (0,))
    assert told == "the split 'test', 3 images never looked at while training"
    assert on is test


@pytest.mark.parametrize(("labels", "drawn_one"), [(("anger", "neutral"), True), (("neutral",), False)])
def test_a_class_that_is_not_judged_has_no_row(
    labels: tuple[str, ...], drawn_one: bool, checkpoint: Path, drawn: DemoDataset, tmp_path: Path
) -> None:
    rows = [row for row, sample in enumerate(drawn.samples) if sample.label in labels]
    model, part = load_model(checkpoint), Subset(drawn, rows, "held-out")
    part.classes = drawn.classes
    before_after_sheet(model, model, part, resolve_landmarks(None, drawn.landmarks()), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists() is drawn_one


def test_undominated_points() -> None:
    table = pd.DataFrame({"x": [0.1, 0.5, 0.4, 0.6], "y": [0.9, 0.8, 0.7, 0.6]})
    assert undominated(table["x"].to_numpy(), table["y"].to_numpy()).tolist() == [True, True, False, True]


def test_labels_that_the_model_does_not_know_are_told(checkpoint: Path, faces: Path, tmp_path: Path) -> None:
    model = load_model(checkpoint)
    model.classes = ("contempt",)
    with pytest.raises(InterpferError, match=r"has a label that the model knows \(contempt\)"):
        finetune(
            model, CsvDataset.open(faces, "test"), landmarks=FileLandmarks(faces / "landmarks.txt"), out=tmp_path / "x",
            test=None, device="cpu",
        )  # fmt: skip
