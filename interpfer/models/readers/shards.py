"""Weights in several files: an index that maps each tensor to the file that holds it."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from torch import Tensor

from interpfer.errors import ModelError
from interpfer.models.readers.signatures import read_json


def list_shards(index: Path) -> tuple[str, ...]:
    """Return the names of the files with the weights.

    Args:
        index: file such as model.safetensors.index.json.

    Raises:
        ModelError: it has no ``weight_map``, or a name in it is not that of a file beside it.
    """
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, Mapping) or not shards:
        raise ModelError(f"{index} has no weight_map of tensors and files; copy or download it again.")
    names = tuple(dict.fromkeys(map(str, shards.values())))
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name or name in ("", ".", "..") or ":" in name:
            raise ModelError(f"{index} names the file '{name}', which is outside its own folder; do not load it.")
    return names


def read_shards(index: Path) -> dict[str, Tensor]:
    """Return the weights that an index lists.

    Args:
        index: file such as model.safetensors.index.json.

    Raises:
        ModelError: a file is missing or broken, or lacks a tensor of the index.
    """
    from interpfer.models.readers.base import Request
    from interpfer.models.readers.safetensors import SafeTensors
    from interpfer.models.readers.torchfile import TorchFile

    weights: dict[str, Tensor] = {}
    for name in list_shards(index):
        path = index.parent / name
        if not path.is_file():
            raise ModelError(f"{index} names the file '{name}', which is not beside it: copy or download it too.")
        reader = SafeTensors() if SafeTensors().accepts(path) else TorchFile()
        weights |= dict(reader.read(path, Request()).weights or {})
    listed = read_json(index)["weight_map"]
    assert isinstance(listed, Mapping)
    missing = [str(name) for name in listed if name not in weights]
    if missing:
        raise ModelError(f"{index} lists {missing[0]}, which no file holds; copy or download all files again.")
    return weights
