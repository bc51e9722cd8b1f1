"""ONNX programs: of one image, channels last, in other types, with unknown operators, and hostile ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interpfer
from interpfer.errors import ModelError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.onnx_graph import OnnxNetwork
from interpfer.models.readers import onnxfile

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

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


def refuse(*_: Any) -> None:
    raise onnxfile.UnsupportedGraphError("operator Conv (opset 13)")


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
        monkeypatch.setattr(onnxfile, "convert_graph", refuse)
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


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def head(features: str = "r") -> list[Any]:
    return [node("GlobalAveragePool", features, "p"), node("Flatten", "p", "f"), node("MatMul", "f v", "o")]


WEIGHTS = {"w": random(4, 3, 3, 3), "v": random(4, 3)}


def write(path: Path, nodes: list[Any], **more: np.ndarray) -> Path:
    return save(path, [*nodes, *head()], WEIGHTS | more, ["N", 3, 8, 8])


def test_an_unknown_operator_leaves_maps_by_perturbation(tmp_path: Path) -> None:
    nodes = [node("Conv", "i w", "c"), node("Hardmax", "c", "r", axis=1)]
    model = interpfer.load_model(write(tmp_path / "net.onnx", nodes), classes=CLASSES)
    assert model.program is not None
    assert not model.program.differentiable
    text = " ".join(model.notes)
    assert "run by onnxruntime: operator Hardmax (opset 13) has no gradients here" in text
    assert "only maps by perturbation" in text
    x = torch.rand(2, 3, 8, 8)
    (occlusion,) = interpfer.compute_maps(model, x, ["occlusion"], "last", torch.tensor([0, 1])).values()
    assert len(occlusion) == 2
    with pytest.raises(ModelError, match="this ONNX program has no gradients; choose"):
        interpfer.compute_maps(model, x, ["saliency"], "last", torch.tensor([0, 1]))


def test_a_quantised_program_says_so(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "i s z", "q"), node("DequantizeLinear", "q s z", "d"), node("Conv", "d w", "r"),
    ]  # fmt: skip
    path = write(tmp_path / "net.onnx", nodes, s=np.array(0.02, "f"), z=np.array(0, np.int8))
    data = read_checkpoint(path)
    assert data.program
    assert "values quantised to integers (operator QuantizeLinear) has no gradients here" in data.module.reason


def test_outputs_that_differ_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(OnnxNetwork):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + 0.1

    def convert(*arguments: Any) -> OnnxNetwork:
        network = original(*arguments)
        network.__class__ = Wrong
        return network

    original = onnxfile.convert_graph
    monkeypatch.setattr(onnxfile, "convert_graph", convert)
    data = read_checkpoint(write(tmp_path / "net.onnx", [node("Conv", "i w", "r")]))
    assert data.program
    assert not data.module.differentiable
    assert "run by onnxruntime: the outputs of torch differ by " in data.module.reason


def test_a_program_that_only_takes_one_image_has_gradients(tmp_path: Path) -> None:
    nodes = [node("Squeeze", "i a", "q"), node("Unsqueeze", "q a", "u"), node("Conv", "u w", "r")]
    path = save(tmp_path / "net.onnx", [*nodes, *head()], WEIGHTS | {"a": np.array([0])}, [1, 3, 8, 8])
    model = interpfer.load_model(path, classes=CLASSES)
    assert model.program is not None
    assert model.program.differentiable
    assert "takes 1 image(s) at a time, and runs in torch" in model.notes[-1]
    x = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(model.predict_logits(x), run_alone(path, x, False), rtol=1e-4, atol=1e-4)
    (saliency,) = interpfer.compute_maps(model, x, ["saliency"], "last", torch.tensor([0, 1, 2])).values()
    assert saliency.shape[0] == 3


def test_a_size_that_the_file_leaves_open_is_found(tmp_path: Path) -> None:
    nodes = [node("Conv", "i w", "c", pads=[1, 1, 1, 1]), node("Flatten", "c", "f"), node("MatMul", "f v", "o")]
    weights = {"w": random(2, 1, 3, 3), "v": random(2 * 48 * 48, 3)}
    path = save(tmp_path / "net.onnx", nodes, weights, ["n", "channels", "height", "width"])
    data = read_checkpoint(path)
    assert isinstance(data.module, OnnxNetwork)
    assert data.card == {"input": {"size": 48}}
    path = save(tmp_path / "net.onnx", nodes, weights, ["n", 1, 48, 40])
    with pytest.raises(ModelError, match="for images of 48 x 40; only square ones can be scored"):
        read_checkpoint(path)


def test_half_precision_is_computed_in_single_precision(tmp_path: Path) -> None:
    model = onnx.load(write(tmp_path / "net.onnx", [node("Conv", "i w", "r")]))
    for tensor in model.graph.initializer:
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype("e"), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, tmp_path / "half.onnx")
    single, half = (read_checkpoint(tmp_path / name) for name in ("net.onnx", "half.onnx"))
    assert isinstance(half.module, OnnxNetwork)
    assert "in half precision" in half.notes[0]
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(half.module(x), single.module(x), rtol=1e-2, atol=1e-2)


def test_bytes_as_input(tmp_path: Path) -> None:
    model = onnx.load(write(tmp_path / "net.onnx", [node("Cast", "i", "x", to=1), node("Conv", "x w", "r")]))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    onnx.save(model, tmp_path / "net.onnx")
    data = read_checkpoint(tmp_path / "net.onnx")
    assert isinstance(data.module, OnnxNetwork)
    assert "bytes" in data.notes[0]
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), np.uint8)
    expected = torch.from_numpy(session.run(None, {"i": x})[0])
    torch.testing.assert_close(data.module(torch.from_numpy(x).float()), expected, rtol=1e-4, atol=1e-4)


def test_an_onnx_file_of_another_name_is_recognised(tmp_path: Path) -> None:
    model = onnx.load(write(tmp_path / "net.onnx", [node("Conv", "i w", "r")]))
    for name in ("pytorch", ""):
        model.producer_name = name
        (tmp_path / "weights.bin").write_bytes(model.SerializeToString())
        assert read_checkpoint(tmp_path / "weights.bin").format == "ONNX program"


def test_a_network_can_be_copied_and_trained(tmp_path: Path) -> None:
    norm = {name: np.abs(random(4)) + 1 for name in "abcd"}
    nodes = [node("Conv", "i w", "x"), node("BatchNormalization", "x a b c d", "y"), node("Relu", "y", "r")]
    data = read_checkpoint(write(tmp_path / "net.onnx", nodes, **norm))
    torch.save(data.module, tmp_path / "copy.pt")
    copy = torch.load(tmp_path / "copy.pt", weights_only=False).train()
    x = torch.rand(4, 3, 8, 8)
    before = data.module(x)
    torch.nn.functional.cross_entropy(copy(x), torch.tensor([0, 1, 2, 0])).backward()
    assert all(parameter.grad is not None for parameter in copy.parameters())
    assert not torch.equal(copy.eval()(x), before)  # the statistics of the batch normalisation moved
    torch.testing.assert_close(data.module(x), before)


def too_large(model: Any) -> None:
    node = onnx.helper.make_node("ConstantOfShape", ["huge"], ["big"])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "huge"))
    model.graph.node.insert(0, node)
    model.graph.node.append(onnx.helper.make_node("Identity", ["big"], ["unused"]))


def computed_size(model: Any) -> None:
    """A size that only a run tells: the sum of an integer constant."""
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((2, 1 << 10), 1 << 10), "ones"))
    nodes = [node("ReduceSum", "ones axis", "huge", keepdims=0), node("ConstantOfShape", "huge", "big")]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "axis"))
    for each in nodes[::-1]:
        model.graph.node.insert(0, each)


def sparse(model: Any) -> None:
    tensor = model.graph.sparse_initializer.add(dims=[1 << 20, 1 << 20])
    tensor.values.CopyFrom(onnx.numpy_helper.from_array(np.ones(1, "f"), "bomb"))
    tensor.indices.CopyFrom(onnx.numpy_helper.from_array(np.zeros(1, np.int64), "at"))


def outside(model: Any) -> None:
    """A tensor of a node's attribute in another file, in a subgraph."""
    tensor = onnx.TensorProto(name="t", data_type=1, dims=[4], data_location=1)
    tensor.external_data.add(key="location", value="../secret")
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Constant", [], ["k"], value=tensor)], "b", [],
        [onnx.helper.make_tensor_value_info("k", 1, [4])],
    )  # fmt: skip
    model.graph.node.insert(0, onnx.helper.make_node("If", ["no"], ["k2"], then_branch=branch, else_branch=branch))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "no"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (too_large, "more than interpfer reads"),
        (computed_size, "more than interpfer reads"),
        (sparse, "has a tensor bomb of 1048576 x 1048576 values, more than interpfer reads|is not a readable ONNX"),
        (outside, r"stores the tensor t in \.\./secret, outside its own folder"),
    ],
)
def test_hostile_programs_are_one_line(change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    (tmp_path / "folder").mkdir()
    path = write(tmp_path / "folder" / "net.onnx", [node("Conv", "i w", "r")])
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=message) as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


def test_weights_of_an_unknown_type(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [node("Conv", "i w", "r")])
    model = onnx.load(path)
    model.graph.initializer[0].data_type = 78
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"is not a readable ONNX program|onnxruntime cannot run") as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


def test_without_onnxruntime_the_line_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "net.onnx", [node("Conv", "i w", "r")])
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"needs the package onnxruntime, .*pip install 'interpfer\[onnx\]'"):
        read_checkpoint(path)
