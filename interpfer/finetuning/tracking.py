"""Programs that follow a training, such as TensorBoard and Weights & Biases, by the trackers of accelerate.

They get the options once, and the history line by line; what they do with it, and whether they ask the network, is
theirs: ``WANDB_MODE=offline`` keeps Weights & Biases on this computer.
"""

import importlib.util
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from interpfer.choices import TRACKERS
from interpfer.errors import InterpferError, PluginError, nearest
from interpfer.files import json_bytes, write_atomic
from interpfer.finetuning.history import Line
from interpfer.finetuning.options import FinetuneOptions
from interpfer.registry import missing_package

PROJECT = "interpfer"

TENSORBOARD, IDENTITY = "tensorboard", "tracking.json"
"""Folder of the files of TensorBoard; file with the name by which a resumed training is known again."""


def tracker_names(options: FinetuneOptions) -> tuple[str, ...]:
    """Return the trackers that the options name, ``--tensorboard`` among them.

    Raises:
        InterpferError: there is no such tracker.
    """
    listed = options.track or ()
    names = [name.strip() for name in (listed.split(",") if isinstance(listed, str) else listed)]
    for name in filter(None, names):
        if name not in TRACKERS:
            raise InterpferError(f"track must be one of {', '.join(TRACKERS)}, got '{name}'.{nearest(name, TRACKERS)}")
    return tuple(dict.fromkeys(([TENSORBOARD] if options.tensorboard else []) + [name for name in names if name]))


def require_trackers(names: Sequence[str]) -> None:
    """Check that the packages of trackers are installed.

    Raises:
        PluginError: one is not.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise PluginError(f"--track {name} needs {missing_package(ModuleNotFoundError(name=name))}")


def start_trackers(accelerator: Accelerator, names: Sequence[str], folder: Path, options: FinetuneOptions) -> None:
    """Start the trackers of an accelerator, and give them the options.

    Args:
        accelerator: made with these trackers.
        names: of the trackers; none for nothing.
        folder: that of the training.
        options: of the training.

    Raises:
        InterpferError: a tracker cannot be started.
    """
    if not names:
        return
    own = {"wandb": {"dir": str(folder), "name": folder.name, "id": _identity(folder), "resume": "allow"}}
    try:
        accelerator.init_trackers(PROJECT, _config(options), {name: own[name] for name in names if name in own})
    except Exception as error:  # each of them has errors of its own
        cause = str(error).partition("\n")[0] or type(error).__name__
        raise InterpferError(f"--track {','.join(names)}: a tracker cannot be started: {cause}") from error


def log_line(accelerator: Accelerator, line: Line) -> None:
    """Give a line of the history to the trackers of an accelerator: the numbers of one epoch, where they are finite."""
    numbers = {
        name: float(value)
        for name, value in line.items()
        if name != "epoch" and isinstance(value, int | float) and math.isfinite(value)
    }
    if accelerator.trackers:
        accelerator.log(numbers, step=line["epoch"])


def finish_trackers(accelerator: Accelerator) -> None:
    """Let the trackers of an accelerator write what they hold; it can be used on."""
    for tracker in accelerator.trackers:
        tracker.finish()
    accelerator.trackers = []


def _config(options: FinetuneOptions) -> dict[str, Any]:
    """Return the options as plain values, those that are not set left out."""
    return {name: _plain(value) for name, value in options.to_dict(repeats_only=True).items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(value)
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _identity(folder: Path) -> str:
    """Return the name by which a training is known again when it is resumed."""
    path = folder / IDENTITY
    if path.is_file():
        return str(json.loads(path.read_text(encoding="utf-8"))["id"])
    name = uuid.uuid4().hex
    write_atomic(path, json_bytes({"id": name}))
    return name
