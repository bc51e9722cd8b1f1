"""Refuses what is only a part of a network: shards, adapters, and files of a Hugging Face folder."""

import re
from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.readers.hf import WEIGHTS, HuggingFaceFolder
from interpfer.models.readers.signatures import read_json

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
        ModelError: it is a part; the message names the folder, or says how to merge an adapter.
    """
    is_adapter_file = path.name.startswith("adapter_model.") or path.name == ADAPTER_CONFIG
    folder = path if path.is_dir() else path.parent
    if is_adapter_file or (path.is_dir() and not any((folder / name).is_file() for name in WEIGHTS)):
        _refuse_adapter(folder)
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


def _refuse_adapter(folder: Path) -> None:
    config = read_json(folder / ADAPTER_CONFIG)
    if config:
        base = config.get("base_model_name_or_path") or "its network"
        raise ModelError(
            f"{folder} holds an adapter ({config.get('peft_type') or 'PEFT'}) for {base}, not the network; merge both "
            f"with PeftModel.from_pretrained(network, {str(folder)!r}).merge_and_unload().save_pretrained(DIR), and "
            "pass DIR."
        )
