"""ONNX programs: networks of torch if they are proven to give the same outputs, else run by onnxruntime."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.messages import first_line
from interpfer.models.onnx_graph import OnnxNetwork, UnsupportedGraphError, convert_graph
from interpfer.models.onnx_graph.node import to_tensor
from interpfer.models.program import SAME_OUTPUT, Program, largest_difference
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.onnx_checks import is_onnx, load_onnx, to_single_precision
from interpfer.registry import missing_package

KIND = "ONNX program"
CHANNELS = (1, 3)
"""Numbers of channels of images; an input that has one of them last alone is that of a Keras network."""
CHANNELS_LAST = "the input of the ONNX program is channels last (n, height, width, channels); images are turned for it"
HALF_PRECISION = "the ONNX program is in half precision, and is computed in single precision"
BYTES = "the input of the ONNX program are bytes: images are rounded to 0 ... 255, so the card needs scale: 255"
SIDES = (112, 64, 48, 128, 96, 100, 160, 256, 299, 40, 32)
"""Sides of images that are tried if the file names none, and 224 is wrong."""
BATCHES = (2, 1, 3)
"""Numbers of images for which a network must give the outputs of onnxruntime."""
PROVEN = "the ONNX program runs as a network of torch: same outputs as onnxruntime for batches of 1, 2 and 3 images"
PROVEN_ALONE = "the ONNX program takes {count} image(s) at a time, and runs in torch: same outputs as onnxruntime"


class OnnxFile:
    """Reads one ONNX file, and the external data beside it."""

    def accepts(self, path: Path) -> bool:
        """Return whether a file begins like an ONNX program."""
        return is_onnx(path)

    def read(self, path: Path, request: Request) -> CheckpointData:  # noqa: ARG002
        """Read the graph and the weights, and prove that torch computes what onnxruntime does."""
        try:
            import onnx  # noqa: F401
        except ModuleNotFoundError as error:
            raise ModelError(f"{path} is an ONNX program; reading it needs {missing_package(error)}") from error
        model = load_onnx(path)
        is_half = to_single_precision(model)
        images = _describe_input(path, model)
        notes = [CHANNELS_LAST] * images.is_channels_last + [HALF_PRECISION] * is_half + [BYTES] * images.is_bytes
        try:
            network, reason = convert_graph(model, images.is_channels_last), ""
            _check_limits(network, images)
        except UnsupportedGraphError as error:
            network, reason = None, f"{error} has no gradients here"
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        except Exception as error:  # of a broken file; onnxruntime says whether it is one
            network, reason = None, f"it cannot be converted ({type(error).__name__}: {first_line(error)})"
        program = Program(_load_onnxruntime(path, model, images), KIND, differentiable=False, batch=images.batch)
        images = _find_size(program, images)
        try:
            expected = {count: program(images.make(count, count)) for count in BATCHES}
        except Exception as error:  # onnxruntime raises many types
            raise ModelError(f"onnxruntime cannot run {path} ({first_line(error)}).") from error
        weights = _read_weights(model)
        card = {"input": {"size": images.height}} if images.height else {}
        if network is not None:
            proven, reason = _prove(network, images, expected)
            if proven is not None:
                is_program = isinstance(proven, Program)
                notes += [] if is_program else [PROVEN]
                return CheckpointData(KIND, weights, proven, card, notes=tuple(notes), program=is_program)
        program.reason = f"the ONNX program is run by onnxruntime: {reason}"
        return CheckpointData(KIND, weights, program, card, program=True, notes=tuple(notes))


@dataclass(frozen=True)
class _Images:
    """Input of a program.

    Attributes:
        batch: number of images that it takes; None for any.
        channels: number of channels.
        height: side of an image; None for any.
        width: the other side.
        is_channels_last: whether it takes (n, height, width, channels).
        is_bytes: whether its values are bytes.
        has_open_channels: whether the file does not name the number of channels.
    """

    batch: int | None
    channels: int
    height: int | None
    width: int | None
    is_channels_last: bool
    is_bytes: bool
    has_open_channels: bool

    def make(self, count: int, seed: int) -> Tensor:
        """Return noise (count, channels, height, width)."""
        generator = torch.Generator().manual_seed(seed)
        size = count, self.channels, self.height or 224, self.width or self.height or 224
        if self.is_bytes:
            return torch.randint(0, 256, size, generator=generator).float()
        return torch.randn(size, generator=generator)


def _read_weights(model: Any) -> dict[str, Tensor]:
    """Return the weights whose type torch has."""
    weights = {}
    for tensor in model.graph.initializer:
        with suppress(UnsupportedGraphError):
            weights[tensor.name] = to_tensor(tensor)
    return weights


def _check_limits(network: OnnxNetwork, images: _Images) -> None:
    """Run a network before onnxruntime, which has no limits.

    Raises:
        ModelError: a tensor in it is larger than interpfer reads.
    """
    try:
        with torch.no_grad():
            network(images.make(images.batch or 1, 0))
    except ModelError:
        raise
    except Exception:  # torch raises many types; the comparison with onnxruntime gives the reason
        return


def _find_size(program: Program, images: _Images) -> _Images:
    """Return the input with the first usual size that the program takes, if the file names none and 224 is wrong.

    A file may leave sizes open that its graph fixes, as a linear layer over all positions does.
    """
    sides = (images.height,) if images.height else (None, *SIDES)
    channels = (images.channels, 1) if images.has_open_channels else (images.channels,)
    for side, count in product(sides, channels):
        candidate = replace(images, height=side, width=images.width or side, channels=count)
        try:
            program(candidate.make(1, 0))
        except Exception:  # onnxruntime raises many types
            continue
        return candidate
    return images


def _describe_input(path: Path, model: Any) -> _Images:
    known = {tensor.name for tensor in (*model.graph.initializer, *(t.values for t in model.graph.sparse_initializer))}
    inputs = [value for value in model.graph.input if value.name not in known]
    shapes = [[dim.dim_value or None for dim in value.type.tensor_type.shape.dim] for value in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(
            f"{path} is an ONNX program whose input must be one batch of images (n, channels, height, width), "
            f"got {', '.join(value.name for value in inputs)} of shapes {shapes}."
        )
    batch, channels, height, width = shapes[0]
    is_channels_last = width in CHANNELS and channels not in CHANNELS
    if is_channels_last:
        channels, height, width = width, channels, height
    is_bytes = inputs[0].type.tensor_type.elem_type == 2
    if height != width and height and width:
        raise ModelError(f"{path} is an ONNX program for images of {height} x {width}; only square ones can be scored.")
    return _Images(batch, channels or 3, height, width, is_channels_last, is_bytes, channels is None)


def _load_onnxruntime(path: Path, model: Any, images: _Images) -> Callable[[Tensor], Any]:
    """Return a function that runs the program on (n, c, h, w)."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModelError(f"{path} is an ONNX program; running it needs {missing_package(error)}") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"onnxruntime cannot run {path} ({first_line(error)}).") from error
    (source,) = session.get_inputs()
    kind = np.uint8 if images.is_bytes else np.float64 if "double" in source.type else np.float32

    def run(x: Tensor) -> Any:
        inputs = x.permute(0, 2, 3, 1) if images.is_channels_last else x
        array = inputs.detach().cpu().contiguous().numpy()
        array = np.clip(np.rint(array), 0, 255) if images.is_bytes else array
        values = session.run(None, {source.name: array.astype(kind)})
        outputs = tuple(torch.from_numpy(value) for value in values if isinstance(value, np.ndarray))
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def _prove(network: OnnxNetwork, images: _Images, expected: dict[int, Any]) -> tuple[nn.Module | None, str]:
    """Return the network if its outputs are those of onnxruntime, else None and the reason.

    A network that takes only the number of images that the file is made for is made to take any number, or becomes a
    program whose layers are not accessible.
    """
    if not _compare(network, images, expected):
        return network, ""
    fixed = images.batch or 1
    try:
        if any(not _compare(network, images, expected) for _ in network.free_batch(images.make(fixed, fixed))):
            return network, ""
    except Exception as error:  # torch raises many types
        return None, f"torch cannot run it ({first_line(error)})"
    reason = PROVEN_ALONE.format(count=fixed)
    program = Program(network, KIND, differentiable=True, batch=fixed, move=network.to, reason=reason)
    reason = _compare(program, images, expected)
    return (None, reason) if reason else (program, "")


def _compare(network: nn.Module, images: _Images, expected: dict[int, Any]) -> str:
    """Return how the outputs of a network differ from the expected ones, for each number of images; "" if equal."""
    for count, output in expected.items():
        try:
            with torch.no_grad():
                difference = largest_difference(network(images.make(count, count)), output)
        except Exception as error:  # torch raises many types
            return f"torch cannot run it for {count} images ({first_line(error)})"
        if difference > SAME_OUTPUT:
            return f"the outputs of torch differ by {difference:.2g} for {count} images"
    return ""
