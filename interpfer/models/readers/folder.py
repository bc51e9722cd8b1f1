"""A folder that holds one checkpoint, such as ``interpfer demo`` and ``interpfer finetune`` write."""

from dataclasses import replace
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.readers.base import Read, Request
from interpfer.models.readers.signatures import read_json

SUFFIXES = (".pt", ".pth", ".ckpt", ".t7", ".bin", ".safetensors", ".pt2", ".onnx", ".tar", ".pkl")


class Folder:
    """Reads the only checkpoint in a folder, or its model.pt."""

    def accepts(self, path: Path) -> bool:
        """Take every folder that no other reader wants."""
        return path.is_dir()

    def read(self, path: Path, request: Request) -> Read:
        """Read the file that stands for the folder."""
        from interpfer.models.checkpoint import read_checkpoint

        file = only_checkpoint(path)
        return replace(read_checkpoint(file, request.trust, request.source), file=file)


def only_checkpoint(folder: Path) -> Path:
    """Return the one checkpoint of a folder.

    Raises:
        ModelError: there is none, or several; the message lists them.
    """
    found = sorted(item for item in folder.iterdir() if item.is_file() and item.suffix.lower() in SUFFIXES)
    if not found:
        holds = sorted(item.name for item in folder.iterdir())[:5]
        what = f"it holds {', '.join(holds)}" if holds else "it is empty"
        extra = " Its config.json names no model." if (folder / "config.json").exists() and not _named(folder) else ""
        raise ModelError(
            f"{folder} is a folder without a checkpoint ({what}); name a checkpoint file, or a Hugging Face folder "
            f"with config.json and weights.{extra}"
        )
    own = [item for item in found if item.stem == "model"]
    if len(found) > 1 and len(own) != 1:
        shown = ", ".join(item.name for item in found[:5])
        raise ModelError(f"{folder} is a folder of {len(found)} checkpoints ({shown}); name the checkpoint file in it.")
    return own[0] if own else found[0]


def _named(folder: Path) -> bool:
    return bool(read_json(folder / "config.json"))
