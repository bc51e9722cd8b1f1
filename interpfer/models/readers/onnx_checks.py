"""Checks of an ONNX program before it runs: what it reads, how large it becomes, in which precision it computes."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from interpfer.errors import ModelError
from interpfer.models.messages import first_line
from interpfer.models.onnx_graph.node import MAX_ELEMENTS
from interpfer.models.readers.signatures import read_start

MAX_BYTES = 1 << 31
"""Largest program in bytes, with its external data: protocol buffers have this limit."""

HALF, SINGLE = 10, 1
"""Type codes of half and single precision."""

PRINTABLE = range(32, 127)
"""Bytes of plain text."""


def is_onnx(path: Path) -> bool:
    """Return whether a file begins like an ONNX program: the version of its format, then the name of its producer.

    Protocol buffers have no signature; CoreML and SavedModel files also begin with a version, but no name follows.
    """
    if not path.is_file():
        return False
    start = read_start(path, 8)
    if path.suffix.lower() == ".onnx":
        return start[:1] == b"\x08"
    if len(start) < 5 or start[0] != 0x08 or not 3 <= start[1] <= 20:
        return False
    return start[2] in (0x3A, 0x42) or (start[2] == 0x12 and (start[3] == 0 or start[4] in PRINTABLE))


def load_onnx(path: Path) -> Any:
    """Return the program in a file, with its external data.

    Raises:
        ModelError: it is broken, too large, or stores weights outside its own folder.
    """
    import onnx
    from onnx.inliner import inline_local_functions

    _check_bytes(path, path.stat().st_size)
    try:
        model = onnx.load(str(path), load_external_data=False)
        _check_external_data(path, model)
        onnx.load_external_data_for_model(model, str(path.parent))
        _check_bytes(path, model.ByteSize())
        if any(tensor.data_location == 1 for tensor in _iterate_tensors(model)):
            raise ModelError(f"{path} stores a tensor that is no weight in another file, which is not read.")
        onnx.checker.check_model(model)
        if len(model.functions):
            model = inline_local_functions(model)
        _check_sizes(path, model)
    except ModelError:
        raise
    except Exception as error:  # onnx and protobuf raise many types
        raise ModelError(f"{path} is not a readable ONNX program ({first_line(error)}).") from error
    return model


def _check_bytes(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise ModelError(f"{path} is an ONNX program of {size / 1e9:.1f} GB; more than 2 GB are not read.")


def _check_external_data(path: Path, model: Any) -> None:
    """Check that all external data is in the folder of the program.

    Raises:
        ModelError: a tensor is in a file elsewhere, or its file is missing, or too large.
    """
    folder, files = path.parent.resolve(), set()
    for tensor in _iterate_tensors(model):
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), None)
        if location is None:
            continue
        target = (path.parent / location).resolve()
        if Path(location).is_absolute() or not target.is_relative_to(folder) or (path.parent / location).is_symlink():
            raise ModelError(
                f"{path} stores the tensor {tensor.name} in {location}, outside its own folder, which is not read; "
                "move the data beside the program and save it again."
            )
        if not target.is_file():
            raise ModelError(f"{path} stores its weights in {target.name}, which is not beside it; copy that file too.")
        files.add(target)
    _check_bytes(path, sum(file.stat().st_size for file in files))


def _iterate_tensors(message: Any) -> Iterator[Any]:
    """Yield every tensor anywhere in a protocol buffer: weights, attributes, subgraphs, functions."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in [value] if hasattr(value, "ListFields") else value:
            if hasattr(item, "ListFields"):
                yield from _iterate_tensors(item)


def _check_sizes(path: Path, model: Any) -> None:
    """Check the sizes of all tensors that are known without running the program.

    Raises:
        ModelError: one has more than ``MAX_ELEMENTS`` elements.
    """
    import onnx

    sparse = [(tensor.values.name, list(tensor.dims)) for tensor in model.graph.sparse_initializer]
    known = [(tensor.name, list(tensor.dims)) for tensor in _iterate_tensors(model)]
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # an operator without inference; onnxruntime refuses what it cannot run
        inferred = model
    for value in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input):
        known.append((value.name, [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]))
    for name, sizes in (*sparse, *known):
        if math.prod(map(abs, sizes)) > MAX_ELEMENTS:
            shape = " x ".join(map(str, sizes))
            raise ModelError(f"{path} has a tensor {name} of {shape} values, more than interpfer reads.")


def to_single_precision(model: Any) -> bool:
    """Turn all values in half precision into single precision; return whether there are any.

    The processor computes in single precision anyway; only so can two ways to run the program be compared exactly.
    """
    from onnx import numpy_helper

    found = False
    for tensor in [each for each in _iterate_tensors(model) if each.data_type == HALF]:
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float32"), name))
        found = True
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.elem_type == HALF:
            value.type.tensor_type.elem_type = SINGLE
            found = True
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == HALF:
                attribute.i = SINGLE
                found = True
    return found
