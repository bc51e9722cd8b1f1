"""Folders with one checkpoint, such as those of ``interpfer demo`` and ``interpfer finetune``."""

from dataclasses import replace
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.signatures import read_json

SUFFIXES = (
    *(".pt", ".pth", ".ckpt", ".t7", ".bin", ".safetensors", ".pt2", ".onnx", ".tflite", ".tar", ".pkl"),
    *(".keras", ".h5", ".hdf5"),
)
MAX_LISTED = 5
"""Files that a message lists."""


class Folder:
    """Reads the only checkpoint in a folder, or its model.pt."""

    def accepts(self, path: Path) -> bool:
        """Return whether the path is a folder; readers of special folders are tried before."""
        return path.is_dir()

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Read the checkpoint in the folder."""
        from interpfer.models.checkpoint import read_checkpoint

        file = find_checkpoint(path)
        return replace(read_checkpoint(file, request.trust, request.source, request.key), file=file)


def find_checkpoint(folder: Path) -> Path:
    """Return the only checkpoint of a folder, or its model.pt.

    Raises:
        ModelError: there is none, or several; the message lists the files.
    """
    files = sorted(item for item in folder.iterdir() if item.is_file() and item.suffix.lower() in SUFFIXES)
    if not files:
        names = sorted(item.name for item in folder.iterdir())[:MAX_LISTED]
        content = f"it holds {', '.join(names)}" if names else "it is empty"
        config = folder / "config.json"
        hint = " Its config.json names no model." if config.exists() and not read_json(config) else ""
        raise ModelError(
            f"{folder} is a folder without a checkpoint ({content}); pass a checkpoint file, or a Hugging Face folder "
            f"with config.json and weights.{hint}"
        )
    preferred = [item for item in files if item.stem == "model"]
    if len(files) > 1 and len(preferred) != 1:
        names = [item.name for item in files[:MAX_LISTED]]
        raise ModelError(
            f"{folder} is a folder of {len(files)} checkpoints ({', '.join(names)}); pass the checkpoint file in it."
        )
    return preferred[0] if preferred else files[0]
