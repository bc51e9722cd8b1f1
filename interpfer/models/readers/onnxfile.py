"""ONNX programs: converted to PyTorch where onnx2torch can, else run by onnxruntime, without gradients."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.program import AGREE, Program, largest_gap
from interpfer.models.readers.base import Read, Request
from interpfer.models.readers.signatures import first_line, head
from interpfer.registry import missing_package

KIND = "ONNX program"
OLDEST_OPSETS = (16, 13)
"""Opsets to which a program is brought down for onnx2torch, in the order in which they are tried."""


class OnnxFile:
    """Reads one ONNX file, with external data beside it."""

    def accepts(self, path: Path) -> bool:
        """Look at the suffix and the first field: a protocol buffer has no mark of its own."""
        return path.is_file() and path.suffix.lower() == ".onnx" and head(path, 1) == b"\x08"

    def read(self, path: Path, request: Request) -> Read:  # noqa: ARG002
        """Read the graph and the weights."""
        try:
            import onnx
        except ModuleNotFoundError as error:
            raise ModelError(f"{path} is an ONNX program; reading it needs {missing_package(error)}") from error
        try:
            graph = onnx.load(str(path), load_external_data=False)
            _check_places(path, graph)
            onnx.load_external_data_for_model(graph, str(path.parent))
            onnx.checker.check_model(graph)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"{path} is no readable ONNX program ({first_line(error)}).") from error
        shape = _input_shape(path, graph)
        weights = {tensor.name: _tensor(tensor) for tensor in graph.graph.initializer}
        card = {"input": {"size": shape[2]}} if isinstance(shape[2], int) else {}
        runner = _onnxruntime(path, graph)
        x = _noise(shape)
        network = _converted(graph, x, None if runner is None else runner(x))
        if network is None:
            if runner is None:
                raise ModelError(
                    f"{path} is an ONNX program that onnx2torch cannot convert; running it as it is needs the package "
                    "onnxruntime: pip install 'interpfer[onnx]'"
                )
            batch = shape[0] if isinstance(shape[0], int) else None
            program = Program(runner, KIND, differentiable=False, batch=batch)
            return Read(KIND, weights, program, card, program=True)
        return Read(KIND, weights, network, card, notes=("the ONNX program was converted by onnx2torch",))


def _check_places(path: Path, graph: Any) -> None:
    """Refuse external data anywhere but beside the program.

    Raises:
        ModelError: a tensor points elsewhere, or its file is missing.
    """
    for tensor in _tensors(graph.graph):
        place = next((entry.value for entry in tensor.external_data if entry.key == "location"), None)
        if place is None:
            continue
        folder, target = path.parent.resolve(), (path.parent / place).resolve()
        if Path(place).is_absolute() or not target.is_relative_to(folder) or (path.parent / place).is_symlink():
            raise ModelError(
                f"{path} keeps the tensor {tensor.name} in {place}, outside of its own folder; it is not read. "
                "Put the data beside the program and save it again."
            )
        if not target.is_file():
            raise ModelError(f"{path} keeps its weights in {target.name}, which is not beside it; copy that file too.")


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)


def _tensor(tensor: Any) -> Tensor:
    from onnx import numpy_helper

    return torch.from_numpy(np.array(numpy_helper.to_array(tensor)))


def _input_shape(path: Path, graph: Any) -> list[int | None]:
    known = {tensor.name for tensor in graph.graph.initializer}
    inputs = [value for value in graph.graph.input if value.name not in known]
    shapes = [[dim.dim_value or None for dim in value.type.tensor_type.shape.dim] for value in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(
            f"{path} is an ONNX program with the inputs {', '.join(value.name for value in inputs)} of shapes "
            f"{shapes}; expected one batch of images (n, channels, height, width)."
        )
    return shapes[0]


def _noise(shape: list[int | None]) -> Tensor:
    sizes = [shape[0] or 2, shape[1] or 3, shape[2] or 224, shape[3] or shape[2] or 224]
    return torch.randn(sizes, generator=torch.Generator().manual_seed(0))


def _onnxruntime(path: Path, graph: Any) -> Any:
    """Return a function that runs the program, or None without onnxruntime."""
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
        found = session.run(None, {source.name: x.detach().cpu().numpy().astype(kind)})
        outputs = tuple(torch.from_numpy(value) for value in found if isinstance(value, np.ndarray))
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def _converted(graph: Any, x: Tensor, expected: Any) -> nn.Module | None:
    """Return the program as a network whose outputs are the program's, also for another batch size; None if none is."""
    try:
        import onnx2torch
        from onnx import version_converter
    except ModuleNotFoundError:
        return None
    for opset in (None, *OLDEST_OPSETS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                older = graph if opset is None else version_converter.convert_version(graph, opset)
                network: nn.Module = onnx2torch.convert(older).eval()
                with torch.no_grad():
                    found = network(x)
                    single = network(x[:1])
        except Exception:  # it supports some operators of some opsets
            continue
        same = expected is None or largest_gap(found, expected) <= AGREE
        if same and largest_gap(single, _rows(found, 1)) <= AGREE:
            return network
    return None


def _rows(output: Any, count: int) -> Any:
    return output[:count] if isinstance(output, Tensor) else type(output)(_rows(item, count) for item in output)
