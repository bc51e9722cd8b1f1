"""TensorFlow Lite programs, run by LiteRT: they have no gradients."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.models.messages import first_line
from interpfer.models.onnx_graph.node import MAX_ELEMENTS
from interpfer.models.program import Program
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.signatures import read_start
from interpfer.registry import missing_package

KIND = "TensorFlow Lite program"
MAGIC = b"TFL3"
"""Identifier of the format, after the first four bytes."""

CHANNELS = (1, 3)
"""Numbers of channels of images; an input that has one of them last alone is channels last."""

REASON = (
    "a TensorFlow Lite program has no gradients (python -m tf2onnx.convert --tflite {name} --output model.onnx makes "
    "an ONNX program that may have)"
)


class TFLiteFile:
    """Reads one TensorFlow Lite file."""

    def accepts(self, path: Path) -> bool:
        """Return whether the file has the identifier of the format."""
        return path.is_file() and read_start(path, 8)[4:] == MAGIC

    def read(self, path: Path, request: Request) -> CheckpointData:  # noqa: ARG002
        """Load the program."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError as error:
            raise ModelError(f"{path} is a {KIND}; running it needs {missing_package(error)}") from error
        try:
            with _quiet():
                interpreter = Interpreter(model_content=path.read_bytes(), num_threads=torch.get_num_threads())
                _check_sizes(path, interpreter)
                interpreter.allocate_tensors()
        except ModelError:
            raise
        except Exception as error:  # LiteRT raises many types
            raise ModelError(f"{path} is not a readable {KIND} ({first_line(error)}).") from error
        sources = interpreter.get_input_details()
        shapes = [[int(size) for size in source["shape"]] for source in sources]
        if len(shapes) != 1 or len(shapes[0]) != 4:
            raise ModelError(f"{path} is a {KIND} whose input must be one batch of images, got shapes {shapes}.")
        batch, *sides = shapes[0]
        is_channels_last = sides[2] in CHANNELS and sides[0] not in CHANNELS
        height = sides[0] if is_channels_last else sides[1]
        run = _make_function(interpreter, sources[0], is_channels_last)
        program = Program(run, KIND, differentiable=False, batch=batch, reason=REASON.format(name=path.name))
        channels = sides[2] if is_channels_last else sides[0]
        try:
            program(torch.zeros(1, channels, height, sides[1] if is_channels_last else sides[2]))
        except Exception as error:
            raise ModelError(f"LiteRT cannot run {path} ({first_line(error)}).") from error
        notes = _note_quantisation(sources[0])
        return CheckpointData(KIND, None, program, {"input": {"size": height}}, notes=notes, program=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what LiteRT writes to stderr, such as the name of its delegate; errors are exceptions all the same."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_sizes(path: Path, interpreter: Any) -> None:
    """Check the size of every tensor before memory is taken for it.

    Raises:
        ModelError: one has more than ``MAX_ELEMENTS`` elements.
    """
    for tensor in interpreter.get_tensor_details():
        if math.prod(max(int(size), 1) for size in tensor["shape"]) > MAX_ELEMENTS:
            shape = " x ".join(map(str, tensor["shape"]))
            raise ModelError(f"{path} has a tensor {tensor['name']} of {shape} values, more than interpfer reads.")


def _make_function(interpreter: Any, source: Mapping[str, Any], is_channels_last: bool) -> Callable[[Tensor], Any]:
    """Return a function that runs the program on (n, c, h, w)."""
    targets = interpreter.get_output_details()

    def run(x: Tensor) -> Any:
        images = x.permute(0, 2, 3, 1) if is_channels_last else x
        interpreter.set_tensor(source["index"], quantise(images.detach().cpu().contiguous().numpy(), source))
        interpreter.invoke()
        values = [interpreter.get_tensor(target["index"]) for target in targets]
        outputs = tuple(
            torch.from_numpy(dequantise(value, target)) for value, target in zip(values, targets, strict=True)
        )
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def quantise(values: NDArray[np.float32], details: Mapping[str, Any]) -> NDArray[Any]:
    """Return values in the type of a tensor: integers have a scale and a zero point.

    Args:
        values: real numbers.
        details: the tensor's ``dtype`` and ``quantization``, (scale, zero point); a scale of 0 is none.

    Examples:
        >>> quantise(np.array([-1.0, 0.0, 9.0], "f"), {"dtype": np.int8, "quantization": (0.5, -3)}).tolist()
        [-5, -3, 15]
    """
    kind, (scale, zero) = np.dtype(details["dtype"]), details["quantization"]
    if kind.kind == "f":
        return values.astype(kind)
    scaled = values / scale + zero if scale else values
    limits = np.iinfo(kind)
    return np.clip(np.rint(scaled), limits.min, limits.max).astype(kind)


def dequantise(values: NDArray[Any], details: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the real numbers that a tensor holds.

    Examples:
        >>> dequantise(np.array([0, 255], np.uint8), {"quantization": (1 / 255, 0)}).tolist()
        [0.0, 1.0]
    """
    scale, zero = details["quantization"]
    numbers = values.astype(np.float32)
    return (numbers - zero) * np.float32(scale) if scale else numbers


def _note_quantisation(source: Mapping[str, Any]) -> tuple[str, ...]:
    kind, (scale, zero) = np.dtype(source["dtype"]), source["quantization"]
    if kind.kind == "f":
        return ()
    limits = np.iinfo(kind)
    low, high = ((limit - zero) * scale if scale else limit for limit in (limits.min, limits.max))
    return (
        f"the input of the {KIND} is quantised ({kind}): it takes values from {low:.4g} to {high:.4g}, which the "
        "card's input must give",
    )
