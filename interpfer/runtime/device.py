"""Choice of the device."""

import torch

from interpfer.errors import InterpferError


def pick_device(name: str) -> torch.device:
    """Return a device by name.

    Args:
        name: such as "cpu" or "cuda:1"; "auto" picks CUDA, else Apple's GPU, else the CPU.

    Raises:
        InterpferError: the device is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.zeros((), device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InterpferError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}") from error
