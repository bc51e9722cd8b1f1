"""Programs that follow a training get its options and its history, number for number."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import interpfer
from interpfer.choices import TRACKERS
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError, PluginError
from interpfer.finetuning import tracking
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.run import FinetuneResult
from interpfer.finetuning.tracking import require_trackers, tracker_names
from interpfer.models.small import SmallCNN


def train(out: Path, **choices: Any) -> FinetuneResult:
    model = interpfer.load_model(SmallCNN(3, width=4), classes=["anger", "happiness", "surprise"], input_size=32)
    images = DemoDataset("train", count=14, size=32)
    return interpfer.finetune(model, images, out=out, test=None, epochs=2, device="cpu", weight=2.5, **choices)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
def test_tensorboard_reads_the_history_and_the_options(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs interpfer[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(tmp_path / "out", track="tensorboard")
    (events,) = (tmp_path / "out" / "tensorboard" / "interpfer").glob("events.*")
    read = EventAccumulator(str(events)).Reload()
    for name in ("loss", "accuracy", "val_accuracy", "att_cos"):
        found = [(point.step, point.value) for point in read.Scalars(name)]
        expected = list(zip(result.history["epoch"], result.history[name], strict=True))
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=1e-6)
    (parameters,) = (tmp_path / "out" / "tensorboard").rglob("hparams.yml")
    assert "weight: 2.5\n" in parameters.read_text()
    assert "epochs: 2\n" in parameters.read_text()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    wandb = pytest.importorskip("wandb", reason="needs interpfer[wandb]")
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}.items():
        monkeypatch.setenv(name, value)
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    yield wandb
    wandb.teardown()


def test_weights_and_biases_gets_the_history_and_the_options_offline(
    offline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[tuple[int, dict[str, float]]] = []
    configs: list[dict[str, Any]] = []
    log = offline.Run.log

    def record(self: Any, data: dict[str, float], step: int | None = None, **more: Any) -> None:
        assert step is not None
        logged.append((step, dict(data)))
        configs.append(dict(self.config))
        log(self, data, step=step, **more)

    monkeypatch.setattr(offline.Run, "log", record)
    result = train(tmp_path / "out", track=["wandb"])
    assert [step for step, _ in logged] == result.history["epoch"].tolist()
    for (_, data), line in zip(logged, result.history.to_dict("records"), strict=True):
        assert data["loss"] == pytest.approx(line["loss"])
        assert data["val_accuracy"] == pytest.approx(line["val_accuracy"])
        assert "epoch" not in data
    assert configs[0]["weight"] == 2.5
    assert list((tmp_path / "out" / "wandb").glob("offline-run-*/run-*.wandb"))
    name = json.loads((tmp_path / "out" / "tracking.json").read_text())["id"]
    assert list((tmp_path / "out" / "wandb").glob(f"offline-run-*-{name}"))


def test_tensorboard_has_an_option_of_its_own() -> None:
    assert tracker_names(FinetuneOptions(tensorboard=True, track="wandb, tensorboard")) == ("tensorboard", "wandb")
    assert tracker_names(FinetuneOptions()) == ()


def test_an_unknown_or_missing_tracker_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InterpferError, match=r"track must be one of tensorboard, .*got 'wandbb'. Did you mean wandb?"):
        tracker_names(FinetuneOptions(track="wandbb"))
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PluginError) as error:
        require_trackers(["wandb"])
    assert str(error.value) == (
        "--track wandb needs the package wandb, which is not installed: pip install 'interpfer[wandb]'"
    )


def test_a_tracker_that_cannot_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("api_key not configured\nsee the manual")

    monkeypatch.setattr("accelerate.Accelerator.init_trackers", refuse)
    with pytest.raises(InterpferError) as error:
        train(tmp_path / "out", track="tensorboard")
    assert str(error.value) == "--track tensorboard: a tracker cannot be started: api_key not configured"


def test_the_names_are_those_of_accelerate() -> None:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    known = [str(getattr(name, "value", name)) for name in LOGGER_TYPE_TO_CLASS]
    assert sorted(known) == sorted(TRACKERS)
