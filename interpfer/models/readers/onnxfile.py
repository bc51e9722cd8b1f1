"""ONNX programs: converted to PyTorch by onnx2torch if possible, else run by onnxruntime, without gradients."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.messages import first_line
from interpfer.models.program import SAME_OUTPUT, Program, largest_difference
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.signatures import read_start
from interpfer.registry import missing_package

KIND = "ONNX program"
CHANNELS = (1, 3)
"""Numbers of channels of images; an input that has one of them last alone is that of a Keras network."""
CHANNELS_LAST = "the input of the ONNX program is channels last (n, height, width, channels); images are turned for it"
OLDER_OPSETS = (16, 13)
"""Opsets to which a program is converted for onnx2torch, in the order in which they are tried."""


class OnnxFile:
    """Reads one ONNX file, and the external data beside it."""

    def accepts(self, path: Path) -> bool:
        """Return whether suffix and first field are those of ONNX; protocol buffers have no signature."""
        return path.is_file() and path.suffix.lower() == ".onnx" and read_start(path, 1) == b"\x08"

    def read(self, path: Path, request: Request) -> CheckpointData:  # noqa: ARG002
        """Read the graph and the weights."""
        try:
            import onnx
        except ModuleNotFoundError as error:
            raise ModelError(f"{path} is an ONNX program; reading it needs {missing_package(error)}") from error
        try:
            graph = onnx.load(str(path), load_external_data=False)
            _check_external_data(path, graph)
            onnx.load_external_data_for_model(graph, str(path.parent))
            onnx.checker.check_model(graph)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"{path} is not a readable ONNX program ({first_line(error)}).") from error
        shape = _find_input_shape(path, graph)
        is_channels_last = shape[3] in CHANNELS and shape[1] not in CHANNELS
        if is_channels_last:
            shape = [shape[0], shape[3], shape[1], shape[2]]
        weights = {tensor.name: _to_torch(tensor) for tensor in graph.graph.initializer}
        card = {"input": {"size": shape[2]}} if isinstance(shape[2], int) else {}
        notes = [CHANNELS_LAST] if is_channels_last else []
        run = _load_onnxruntime(path, graph, is_channels_last)
        program = None if run is None else Program(run, KIND, differentiable=False, batch=shape[0])
        x = _make_noise(shape)
        try:
            expected = None if program is None else program(x)
        except Exception as error:  # onnxruntime raises many types
            raise ModelError(f"onnxruntime cannot run {path} ({first_line(error)}).") from error
        network = _convert(graph, x, expected, is_channels_last)
        if network is not None:
            notes.append("the ONNX program was converted by onnx2torch")
            return CheckpointData(KIND, weights, network, card, notes=tuple(notes))
        if program is None:
            raise ModelError(
                f"{path} is an ONNX program that onnx2torch cannot convert; running it needs the package "
                "onnxruntime: pip install 'interpfer[onnx]'"
            )
        return CheckpointData(KIND, weights, program, card, program=True, notes=tuple(notes))


class _ChannelsLast(nn.Module):
    """A network whose input is channels last."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        return self.network(x.permute(0, 2, 3, 1))


def _check_external_data(path: Path, graph: Any) -> None:
    """Check that all external data is in the folder of the program.

    Raises:
        ModelError: a tensor is in a file elsewhere, or its file is missing.
    """
    for tensor in _iterate_tensors(graph.graph):
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), None)
        if location is None:
            continue
        folder, target = path.parent.resolve(), (path.parent / location).resolve()
        if Path(location).is_absolute() or not target.is_relative_to(folder) or (path.parent / location).is_symlink():
            raise ModelError(
                f"{path} stores the tensor {tensor.name} in {location}, outside its own folder, which is not read; "
                "move the data beside the program and save it again."
            )
        if not target.is_file():
            raise ModelError(f"{path} stores its weights in {target.name}, which is not beside it; copy that file too.")


def _iterate_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _iterate_tensors(inner)


def _to_torch(tensor: Any) -> Tensor:
    from onnx import numpy_helper

    return torch.from_numpy(np.array(numpy_helper.to_array(tensor)))


def _find_input_shape(path: Path, graph: Any) -> list[int | None]:
    known = {tensor.name for tensor in graph.graph.initializer}
    inputs = [value for value in graph.graph.input if value.name not in known]
    shapes = [[dim.dim_value or None for dim in value.type.tensor_type.shape.dim] for value in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(
            f"{path} is an ONNX program whose input must be one batch of images (n, channels, height, width), "
            f"got {', '.join(value.name for value in inputs)} of shapes {shapes}."
        )
    return shapes[0]


def _make_noise(shape: list[int | None]) -> Tensor:
    sizes = [max(shape[0] or 2, 2), shape[1] or 3, shape[2] or 224, shape[3] or shape[2] or 224]
    return torch.randn(sizes, generator=torch.Generator().manual_seed(0))


def _load_onnxruntime(path: Path, graph: Any, is_channels_last: bool) -> Any:
    """Return a function that runs the program on (n, c, h, w); None if onnxruntime is not installed."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"onnxruntime cannot run {path} ({first_line(error)}).") from error
    (source,) = session.get_inputs()
    kind = np.float16 if "float16" in source.type else np.float32

    def run(x: Tensor) -> Any:
        inputs = x.permute(0, 2, 3, 1) if is_channels_last else x
        values = session.run(None, {source.name: inputs.detach().cpu().contiguous().numpy().astype(kind)})
        outputs = tuple(torch.from_numpy(value) for value in values if isinstance(value, np.ndarray))
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def _convert(graph: Any, x: Tensor, expected: Any, is_channels_last: bool) -> nn.Module | None:
    """Convert a program to a network with the same outputs, for batches and single images; None if that fails.

    A program that was exported for one image is also tried with its batch set free.

    Args:
        graph: the program.
        x: an input of at least two images.
        expected: output of the program for ``x``; None if it cannot be run.
        is_channels_last: whether the program takes (n, h, w, c).
    """
    try:
        import onnx2torch  # noqa: F401
    except ModuleNotFoundError:
        return None
    network = _find_conversion(graph, x, expected, is_channels_last)
    if network is None and expected is not None:
        network = _find_conversion(_free_batch(graph), x, expected, is_channels_last)
    return network


def _find_conversion(graph: Any, x: Tensor, expected: Any, is_channels_last: bool) -> nn.Module | None:
    import onnx2torch
    from onnx import version_converter

    for opset in (None, *OLDER_OPSETS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                older = graph if opset is None else version_converter.convert_version(graph, opset)
                network: nn.Module = onnx2torch.convert(older).eval()
                network = _ChannelsLast(network) if is_channels_last else network
                with torch.no_grad():
                    batch = network(x)
                    single = network(x[:1])
        except Exception:  # onnx2torch supports some operators of some opsets
            continue
        is_same = expected is None or largest_difference(batch, expected) <= SAME_OUTPUT
        if is_same and largest_difference(single, _take_rows(batch, 1)) <= SAME_OUTPUT:
            return network
    return None


def _free_batch(graph: Any) -> Any:
    """Return a copy of a program whose batch may have any size: neither its input nor a reshape fixes it to 1."""
    from onnx import numpy_helper

    free = type(graph)()
    free.CopyFrom(graph)
    for value in (*free.graph.input, *free.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"
    del free.graph.value_info[:]
    shapes = {node.input[1] for node in free.graph.node if node.op_type == "Reshape" and len(node.input) > 1}
    constants = [
        node.attribute[0].t for node in free.graph.node if node.op_type == "Constant" and node.output[0] in shapes
    ]
    for tensor in (*constants, *(tensor for tensor in free.graph.initializer if tensor.name in shapes)):
        sizes = numpy_helper.to_array(tensor).copy()
        if sizes.size and sizes.flat[0] == 1:
            sizes.flat[0] = 0 if (sizes == -1).any() else -1
            tensor.CopyFrom(numpy_helper.from_array(sizes, tensor.name))
    return free


def _take_rows(output: Any, count: int) -> Any:
    return output[:count] if isinstance(output, Tensor) else type(output)(_take_rows(item, count) for item in output)
