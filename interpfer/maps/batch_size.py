"""Batch size that fits into memory, from the size of the graph of one image."""

from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from interpfer.errors import InterpferError
from interpfer.maps.capture import forward
from interpfer.models.model import Model

LARGEST_BATCH = 64
SMALL_BATCH = 8
"""Largest batch that is not measured."""

SHARE = 0.4
"""Largest share of the free memory for a batch."""

WORKING_COPIES = 4
"""Number of tensors of a layer's size while its maps are computed: activation, gradient, product, one more."""

_measured: WeakKeyDictionary[Model, dict[tuple[tuple[str, ...], bool, torch.dtype], int]] = WeakKeyDictionary()


def require_batch_size(batch_size: int | str) -> None:
    """Check a batch size: a number from 1 on, or "auto".

    Raises:
        InterpferError: it is neither.
    """
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise InterpferError(f"batch size must be a whole number or auto, got '{batch_size}'.")
    elif batch_size < 1:
        raise InterpferError(f"batch size must be at least 1, got {batch_size}.")


def whole_clips(batch_size: int, model: Model) -> int:
    """Return a batch size as a number of frames of whole clips, at least one; of pictures, as it is."""
    return max(batch_size // model.frames, 1) * model.frames


def auto_batch_size(model: Model, layers: Sequence[str], gradients: bool, count: int = LARGEST_BATCH) -> int:
    """Return how many images fit into one forward; of a classifier of clips, the frames of whole clips.

    Args:
        model: the classifier.
        layers: names of the layers to capture.
        gradients: whether a backward follows.
        count: number of images to process.
    """
    if count <= SMALL_BATCH:
        return whole_clips(max(count, 1), model)
    capacity = int(SHARE * free_memory(model.device) / max(bytes_per_image(model, layers, gradients), 1))
    return whole_clips(max(1, min(count, capacity, LARGEST_BATCH)), model)


def bytes_per_image(model: Model, layers: Sequence[str], gradients: bool) -> int:
    """Return the bytes of one image: what its graph saves, the largest output, and copies of the layers' outputs."""
    key = (tuple(layers), gradients, model.precision)
    sizes = _measured.setdefault(model, {})
    if key not in sizes:
        sizes[key] = _measure(model, layers, gradients) // model.frames
    return sizes[key]


def _measure(model: Model, layers: Sequence[str], gradients: bool) -> int:
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.module.parameters(), *model.module.buffers()]}
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = model.noise
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        forward(model, x, () if model.program else layers, gradients) as run,
    ):
        copies = sum(WORKING_COPIES * 4 * output.numel() for output in run.outputs.values())
        return sum(saved.values()) + copies + 4 * _largest(model, x)


def _largest(model: Model, x: Tensor) -> int:
    """Return the bytes of the largest grid in the network, or of the input."""
    layers = () if model.program else model.spatial_layers
    grids = [layer.channels * layer.slices * layer.grid[0] * layer.grid[1] for layer in layers]
    return x.element_size() * max([x.numel(), *grids])


def free_memory(device: torch.device) -> int:
    """Return the free bytes of a device, or within the limit of a container."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = 4 << 30
    listing = Path("/proc/meminfo")
    if listing.is_file():
        lines = dict(line.split(":") for line in listing.read_text().splitlines() if ":" in line)
        free = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdecimal():
        free = min(free, int(text) - int(used.read_text()))
    return max(free, 0)
