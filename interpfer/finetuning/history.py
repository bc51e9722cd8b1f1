"""The history of a training, one line per epoch, and how TensorBoard gets it."""

import importlib.util
import math
from pathlib import Path
from typing import Any

from interpfer.errors import PluginError

Line = dict[str, Any]
"""One epoch of the history, by column."""


def require_tensorboard() -> None:
    """Check that TensorBoard is there.

    Raises:
        PluginError: it is not.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise PluginError("--tensorboard needs a package that is not installed: pip install 'interpfer[tensorboard]'")


def write_scalars(folder: Path, line: Line) -> None:
    """Append one epoch to the event files of a folder, one curve per column."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for name, value in line.items():
            if name != "epoch" and isinstance(value, int | float) and math.isfinite(value):
                writer.add_scalar(name, float(value), line["epoch"])
