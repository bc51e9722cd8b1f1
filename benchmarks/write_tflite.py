"""Writes small TensorFlow Lite files without TensorFlow, with the schema that LiteRT brings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

Convolution = tuple[NDArray[np.float32], NDArray[np.float32], int]
"""Weight (outputs, inputs, height, width), bias, and stride; padding of 1 and ReLU are added."""


class TFLiteWriter:
    """A program that grows by one operator at a time."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []

    def add_tensor(
        self,
        shape: Sequence[int],
        value: NDArray[Any] | None = None,
        kind: int = schema.TensorType.FLOAT32,
        scale: tuple[float, int] | None = None,
    ) -> int:
        """Add a tensor, constant if it has a value, and return its number."""
        buffer = schema.BufferT()
        if value is not None:
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"t{len(self.graph.tensors)}", list(shape)
        tensor.buffer, tensor.type = len(self.model.buffers) - 1, kind
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale[0]], [scale[1]]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def add_operator(self, name: str, inputs: list[int], output: int, options: Any = None) -> int:
        """Add an operator, and return its output."""
        entry, code = schema.OperatorCodeT(), getattr(schema.BuiltinOperator, name)
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, code, 1
        self.model.operatorCodes.append(entry)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs, operator.builtinOptions = inputs, [output], options
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(operator)
        return output

    def save(self, path: Path, source: int, output: int) -> None:
        """Write the file."""
        self.graph.inputs, self.graph.outputs = [source], [output]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))


def write_tflite(
    path: Path,
    convolutions: Sequence[Convolution],
    head: tuple[NDArray[np.float32], NDArray[np.float32]],
    size: int,
    quantised: tuple[int, tuple[float, int]] | None = None,
) -> None:
    """Write a network of 3 x 3 convolutions, a mean over the image and a linear layer, for images (1, size, size, 3).

    Args:
        path: the file.
        convolutions: weights, shallow to deep.
        head: weight (classes, channels) and bias of the linear layer.
        size: side of an image.
        quantised: type of the input, with scale and zero point; None for real numbers.
    """
    writer = TFLiteWriter()
    shape = [1, size, size, convolutions[0][0].shape[1]]
    source = x = writer.add_tensor(shape)
    if quantised is not None:
        source = writer.add_tensor(shape, None, *quantised)
        writer.add_operator("DEQUANTIZE", [source], x)
    for weight, bias, stride in convolutions:
        x = _add_convolution(writer, x, (weight, bias, stride))
    axes = writer.add_tensor([2], np.array([1, 2], np.int32), schema.TensorType.INT32)
    pooled = writer.add_tensor([1, len(convolutions[-1][1])])
    writer.add_operator("MEAN", [x, axes], pooled, schema.ReducerOptionsT())
    inputs = [pooled, *(writer.add_tensor(value.shape, value) for value in head)]
    output = writer.add_tensor([1, len(head[1])])
    writer.save(path, source, writer.add_operator("FULLY_CONNECTED", inputs, output, schema.FullyConnectedOptionsT()))


def _add_convolution(writer: TFLiteWriter, x: int, convolution: Convolution) -> int:
    weight, bias, stride = convolution
    _, height, width, channels = writer.graph.tensors[x].shape
    pads = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    padding = writer.add_tensor([4, 2], pads, schema.TensorType.INT32)
    padded = writer.add_tensor([1, height + 2, width + 2, channels])
    writer.add_operator("PAD", [x, padding], padded, schema.PadOptionsT())
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = 1
    options.padding = schema.Padding.VALID
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    kernel = np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
    inputs = [padded, writer.add_tensor(kernel.shape, kernel), writer.add_tensor(bias.shape, bias)]
    output = writer.add_tensor([1, (height - 1) // stride + 1, (width - 1) // stride + 1, len(bias)])
    return writer.add_operator("CONV_2D", inputs, output, options)
