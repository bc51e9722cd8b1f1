"""TensorFlow Lite programs, written here without TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import interpfer
from interpfer.errors import ModelError
from interpfer.models.checkpoint import read_checkpoint

pytest.importorskip("ai_edge_litert")
from ai_edge_litert import schema_py_generated as schema  # noqa: E402

from benchmarks.write_tflite import write_tflite  # noqa: E402

CLASSES = ["anger", "fear", "sadness"]
SIZE = 8
KERNELS = [np.random.default_rng(i).normal(size=(4, (3, 4)[i], 3, 3)).astype("f") for i in (0, 1)]
BIAS = np.array([0.1, -0.2, 0.3, 0.0], "f")
HEAD = np.random.default_rng(1).normal(size=(3, 4)).astype("f")


def write(path: Path, quantised: Any = None, size: int = SIZE) -> Path:
    """Two convolutions, the second with a stride, a mean over the image and a linear layer."""
    write_tflite(path, [(KERNELS[0], BIAS, 1), (KERNELS[1], BIAS, 2)], (HEAD, BIAS[:3]), size, quantised)
    return path


def expected_logits(x: torch.Tensor) -> torch.Tensor:
    """The program, restated in torch."""
    kernels, bias = [torch.from_numpy(each) for each in KERNELS], torch.from_numpy(BIAS)
    features = F.conv2d(F.conv2d(x, kernels[0], bias, padding=1).relu(), kernels[1], bias, stride=2, padding=1).relu()
    return features.mean((2, 3)) @ torch.from_numpy(HEAD).T + bias[:3]


def test_logits_are_those_of_the_program(tmp_path: Path) -> None:
    model = interpfer.load_model(write(tmp_path / "net.tflite"), classes=CLASSES)
    assert model.card.input.size == SIZE
    x = torch.rand(5, 3, SIZE, SIZE)
    torch.testing.assert_close(model.predict_logits(x), expected_logits(x), rtol=1e-4, atol=1e-4)
    text = " ".join(model.notes)
    assert "has no gradients (python -m tf2onnx.convert --tflite net.tflite --output model.onnx" in text
    assert "only maps by perturbation" in text
    (occlusion,) = interpfer.compute_maps(model, x[:2], ["occlusion"], "last", torch.tensor([0, 1])).values()
    assert len(occlusion) == 2
    with pytest.raises(ModelError, match="the layers of this TensorFlow Lite program are not accessible"):
        interpfer.compute_maps(model, x, ["gradcam"], "last", torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize(
    ("kind", "scale", "low", "high"),
    [("UINT8", (1 / 255, 0), "0", "1"), ("INT8", (2 / 255, -1), "-0.9961", "1.004")],
)
def test_a_quantised_input(tmp_path: Path, kind: str, scale: Any, low: str, high: str) -> None:
    path = write(tmp_path / "net.tflite", (getattr(schema.TensorType, kind), scale))
    data = read_checkpoint(path)
    assert data.module is not None
    assert f"it takes values from {low} to {high}, which the card's input must give" in data.notes[0]
    x = torch.randint(0, 127, (3, 3, SIZE, SIZE)) * scale[0]  # on the grid, so that nothing is rounded
    torch.testing.assert_close(data.module(x), expected_logits(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1c\0\0\0TFL3" + b"\0" * 40, "is not a readable TensorFlow Lite program"),
        (b"\x1c\0\0\0TFL3" + b"\xff" * 400, "is not a readable TensorFlow Lite program"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(ModelError, match=message) as error:
        read_checkpoint(tmp_path / "m.pt")
    assert "\n" not in str(error.value)


def test_a_tensor_that_is_too_large(tmp_path: Path) -> None:
    path = write(tmp_path / "net.tflite", size=1 << 15)
    with pytest.raises(ModelError, match="has a tensor t0 of 1 x 32768 x 32768 x 3 values, more than interpfer reads"):
        read_checkpoint(path)


def test_without_the_package_the_line_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "net.tflite")
    for name in ("ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ModelError, match=r"running it needs .*pip install 'interpfer\[tflite\]'"):
        read_checkpoint(path)
