"""ONNX programs that take one image, or channels last."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interpfer
from interpfer.models.readers import onnxfile

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx2torch")

CLASSES = ["anger", "fear", "sadness"]


def save(path: Path, nodes: list[Any], weights: dict[str, np.ndarray], shape: list[Any]) -> Path:
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes)
        for name, sizes in (("i", shape), ("o", [shape[0], 3]))
    ]
    graph = onnx.helper.make_graph(nodes, "net", ends[:1], ends[1:], tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype("f")


def one_image(path: Path) -> Path:
    """As emotion-ferplus of the ONNX zoo: the features are reshaped to [1, n], whatever the batch."""
    node = onnx.helper.make_node
    nodes = [node("Conv", ["i", "w"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]),
             node("Reshape", ["r", "s"], ["f"]), node("MatMul", ["f", "v"], ["o"])]  # fmt: skip
    weights = {"w": random(4, 1, 3, 3), "s": np.array([1, 4 * 12 * 12]), "v": random(4 * 12 * 12, 3)}
    return save(path, nodes, weights, [1, 1, 12, 12])


def channels_last(path: Path) -> Path:
    """As tf2onnx writes Keras networks: (n, height, width, channels)."""
    node = onnx.helper.make_node
    nodes = [node("Transpose", ["i"], ["t"], perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], ["c"], pads=[1, 1, 1, 1]),
             node("GlobalAveragePool", ["c"], ["p"]), node("Flatten", ["p"], ["f"]),
             node("MatMul", ["f", "v"], ["o"])]  # fmt: skip
    return save(path, nodes, {"w": random(9, 1, 3, 3), "v": random(9, 3)}, ["N", 12, 12, 1])


def run_alone(path: Path, x: torch.Tensor, is_channels_last: bool) -> torch.Tensor:
    """The logits of onnxruntime, image by image."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = x.permute(0, 2, 3, 1) if is_channels_last else x
    return torch.cat([torch.from_numpy(session.run(None, {"i": image[None].numpy()})[0]) for image in images])


@pytest.mark.parametrize("converted", [True, False])
@pytest.mark.parametrize("write", [one_image, channels_last])
def test_logits_are_those_of_onnxruntime(
    write: Callable[[Path], Path], converted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "net.onnx")
    if not converted:
        monkeypatch.setattr(onnxfile, "_convert", lambda *_: None)
    model = interpfer.load_model(path, classes=CLASSES, color="gray")
    assert model.card.input.size == 12
    assert (model.program is None) == converted
    x = torch.rand(5, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    expected = run_alone(path, model.normalise(x), write is channels_last)
    torch.testing.assert_close(model.predict_logits(x), expected, rtol=1e-4, atol=1e-4)
    assert any("channels last" in note for note in model.notes) == (write is channels_last)
    if converted:
        maps = interpfer.compute_maps(model, x, ["gradcam"], "last", torch.zeros(5, dtype=torch.long))
        assert next(iter(maps.values())).shape == (5, 12, 12)
