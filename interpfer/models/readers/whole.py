"""Refuses what is only a part of a network: shards, adapters, and files of a Hugging Face folder."""

import re
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.readers.hf import WEIGHTS, HuggingFaceFolder

SHARD = re.compile(r".+-\d{5}-of-\d{5}\.\w+")
"""Name of one of several files with the weights of one network."""

SETTINGS = re.compile(r"(config|preprocessor_config|processor_config|adapter_config|.+\.index)\.json")
"""Names of files beside the weights."""

ADAPTER_CONFIG = "adapter_config.json"


def require_whole(path: Path, has_arch: bool) -> None:
    """Check that a path is that of a whole network.

    Args:
        path: a file or folder.
        has_arch: whether an architecture is named, to which the weights of a folder may belong on their own.

    Raises:
        ModelError: it is a part; the message names the folder.
    """
    folder = path.parent
    if path.is_file() and (path.name.startswith("adapter_model.") or path.name == ADAPTER_CONFIG):
        raise ModelError(f"{path} is a part of an adapter; pass its folder {folder}.")
    if not path.is_file():
        return
    if SHARD.fullmatch(path.name):
        raise ModelError(f"{path} is one of several files of a checkpoint; pass their folder {folder}.")
    if SETTINGS.fullmatch(path.name):
        raise ModelError(f"{path} holds settings, no weights; pass its folder {folder}.")
    if not has_arch and path.name in WEIGHTS and HuggingFaceFolder().accepts(folder):
        raise ModelError(
            f"{path} holds the weights of a Hugging Face folder without its classes and its input; pass the folder "
            f"{folder}, or --arch for the weights alone."
        )
