"""Folders of PEFT with a LoRA adapter: merged with the network it was trained on, if that is on this machine."""

import contextlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from interpfer.errors import ModelError, TrustError
from interpfer.models.hub import find_cached
from interpfer.models.messages import REVIEW, first_line
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.hf import CONFIG, WEIGHTS, HuggingFaceFolder, read_labels
from interpfer.models.readers.lora import find_unsupported, merge_lora, plain_name
from interpfer.models.readers.own_code import find_code
from interpfer.models.readers.processors import FILES, read_processor
from interpfer.models.readers.refit import read_folder_weights
from interpfer.models.readers.signatures import read_json
from interpfer.registry import missing_package
from interpfer.runtime.hub_access import parse_address

ADAPTER_CONFIG = "adapter_config.json"
ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
HEADS = ("classifier.weight", "head.weight", "fc.weight", "score.weight")
"""Ends of the names of classifiers that an adapter replaces."""


class AdapterFolder:
    """Reads a folder with adapter_config.json and the adapter's weights."""

    def accepts(self, path: Path) -> bool:
        """Return whether the folder has an adapter, and no whole network."""
        names = {item.name for item in path.iterdir()} if path.is_dir() else set()
        return bool(names & {ADAPTER_CONFIG, *ADAPTERS}) and not names & {*WEIGHTS}

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Read the adapter and its base, and merge both.

        Raises:
            ModelError: the base is not on this machine, or the adapter does not fit it.
        """
        config = read_json(path / ADAPTER_CONFIG)
        name = str(config.get("base_model_name_or_path") or "")
        if not config or not any((path / file).is_file() for file in ADAPTERS):
            raise ModelError(f"{path} holds a part of an adapter: it needs {ADAPTER_CONFIG} and {ADAPTERS[0]}.")
        if kind := find_unsupported(config):
            raise ModelError(
                f"{path} holds an adapter ({kind}) for {name or 'a network'}, which only peft can merge: "
                f"PeftModel.from_pretrained(network, {str(path)!r}).merge_and_unload().save_pretrained(DIR); pass DIR."
            )
        base = find_base(path, name)
        adapter = read_folder_weights(path, ADAPTERS)
        note = f"the adapter was merged into {name}"
        if read_json(base / CONFIG).get("model_type") is None:
            data = HuggingFaceFolder().read(base, request)
            merged = merge_lora(data.weights or {}, adapter, config, str(path))
            return CheckpointData("adapter", merged, card=data.card, notes=(*data.notes, note))
        return _read_transformers(path, base, adapter, config, note)


def find_base(folder: Path, name: str) -> Path:
    """Return the folder of the network that an adapter was trained on.

    Args:
        folder: folder of the adapter.
        name: ``base_model_name_or_path``: a folder, or a repository of the hub, of which only the cache is looked up.

    Raises:
        ModelError: it is not on this machine; the message names it.
    """
    places = [Path(name), folder / name, folder.parent / Path(name).name] if name else []
    for place in places:
        if HuggingFaceFolder().accepts(place):
            return place
    address = parse_address(f"hf://{name}")
    if address is not None:
        with contextlib.suppress(ModelError, ModuleNotFoundError):
            cached = find_cached(address)
            if cached is not None:
                return cached
    remedy = f"download it ({address.download_command})" if address else "copy its folder"
    raise ModelError(
        f"{folder} holds an adapter for {name or 'an unnamed network'}, which is not on this machine: {remedy}, or put "
        f"it into {folder.parent / (Path(name).name or 'base')}."
    )


def _read_transformers(
    path: Path, base: Path, adapter: Mapping[str, Tensor], config: Mapping[str, Any], note: str
) -> CheckpointData:
    settings = read_json(base / CONFIG)
    if code := list(find_code(settings)):
        raise TrustError(f"{base} contains its own code ({', '.join(code)}); {REVIEW}.")
    try:
        from transformers import AutoModelForImageClassification
    except ModuleNotFoundError as error:
        raise ModelError(f"{path} is an adapter of transformers; reading it needs {missing_package(error)}") from error
    heads = [value for name, value in adapter.items() if name.endswith(HEADS) and ".lora_" not in name]
    changes: dict[str, Any] = {"num_labels": len(heads[0])} if heads else {}
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            load: Any = AutoModelForImageClassification.from_pretrained
            network, report = load(
                str(base), local_files_only=True, ignore_mismatched_sizes=True, output_loading_info=True, **changes
            )
    except Exception as error:
        raise ModelError(
            f"the base {base} of {path} cannot be read: {type(error).__name__}: {first_line(error)}."
        ) from error
    merged = merge_lora(network.state_dict(), adapter, config, str(path))
    absent = {str(name) for key in ("missing_keys", "mismatched_keys") for name in _names(report.get(key, ()))}
    if wrong := sorted(absent - {plain_name(name) for name in adapter}):
        raise ModelError(f"the base {base} and the adapter {path} both lack {wrong[0]}: the adapter has another base.")
    place = path if any(read_json(path / name) for name in FILES) else base
    network.load_state_dict(merged)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        published = read_processor(place, network.config, False)
    labels = read_labels(settings) if not heads or _count_labels(settings) == len(heads[0]) else {}
    return CheckpointData(
        "adapter",
        module=network.eval(),
        card=labels | ({"input": dict(published.fields)} if published.fields else {}) | {"output": "logits"},
        class_name=type(network).__name__,
        notes=(note,),
        input_note=published.note,
        input_problem=published.problem,
    )


def _count_labels(config: Mapping[str, Any]) -> int:
    labels = config.get("id2label")
    return len(labels) if isinstance(labels, Mapping) else 0


def _names(entries: Any) -> list[str]:
    """Return the names in a report of transformers, whose entries may carry shapes."""
    return [entry if isinstance(entry, str) else str(entry[0]) for entry in entries]
