"""How many images fit: a bound out of what the graph of one image holds."""

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
"""So many images go through without being measured."""

SHARE = 0.4
"""Of the free memory that a batch may take."""

WORKING_COPIES = 4
"""Tensors of a layer's size that exist while its maps are drawn: activation, gradient, product, one more."""

_measured: WeakKeyDictionary[Model, dict[tuple[tuple[str, ...], bool, torch.dtype], int]] = WeakKeyDictionary()


def require_batch_size(batch_size: int | str) -> None:
    """Check how many images go through a forward: a number from 1 on, or "auto".

    Raises:
        InterpferError: it is neither.
    """
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise InterpferError(f"batch size '{batch_size}' is neither a number nor auto.")
    elif batch_size < 1:
        raise InterpferError(f"batch size {batch_size}: put at least one image into a batch.")


def auto_batch_size(model: Model, layers: Sequence[str], gradients: bool, wanted: int = LARGEST_BATCH) -> int:
    """Return how many images may go through at once.

    Args:
        model: the classifier.
        layers: to be captured.
        gradients: whether to go backward.
        wanted: images there are.
    """
    if wanted <= SMALL_BATCH:
        return max(wanted, 1)
    fitting = int(SHARE * free_memory(model.device) / max(bytes_per_image(model, layers, gradients), 1))
    return max(1, min(wanted, fitting, LARGEST_BATCH))


def bytes_per_image(model: Model, layers: Sequence[str], gradients: bool) -> int:
    """Measure what one image takes: everything its graph saves, the largest output, and the layers' working copies."""
    key = (tuple(layers), gradients, model.precision)
    known = _measured.setdefault(model, {})
    if key not in known:
        known[key] = _measure(model, layers, gradients)
    return known[key]


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
        forward(model, x, () if model.program else layers, gradients) as seen,
    ):
        drawn = sum(WORKING_COPIES * 4 * output.numel() for output in seen.outputs.values())
        return sum(saved.values()) + drawn + 4 * _largest(model, x)


def _largest(model: Model, x: Tensor) -> int:
    """Return the bytes of the largest grid in the network, or of the input."""
    layers = () if model.program else model.spatial_layers
    grids = [layer.channels * layer.grid[0] * layer.grid[1] for layer in layers]
    return x.element_size() * max([x.numel(), *grids])


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on a device, or within the limit of a container."""
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
