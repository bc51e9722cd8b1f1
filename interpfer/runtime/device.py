"""The device that work runs on."""

import torch

from interpfer.errors import InterpferError


def pick_device(name: str) -> torch.device:
    """Return a device; "auto" takes CUDA, then Apple's GPU, then the CPU.

    Raises:
        InterpferError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.zeros((), device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InterpferError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}") from error
