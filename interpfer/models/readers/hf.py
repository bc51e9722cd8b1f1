"""Folders of Hugging Face models: transformers' image classifiers, and timm's."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interpfer.errors import DataError, ModelError, TrustError
from interpfer.labels import canonical_classes
from interpfer.models.readers.base import Read, Request
from interpfer.models.readers.signatures import first_line, read_json
from interpfer.registry import missing_package

CONFIG = "config.json"
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")


class HuggingFaceFolder:
    """Reads a folder with config.json and weights; nothing is looked up in the network."""

    def accepts(self, path: Path) -> bool:
        """Look for config.json."""
        return path.is_dir() and bool({"model_type", "auto_map", "architecture"} & set(read_json(path / CONFIG)))

    def read(self, path: Path, request: Request) -> Read:
        """Read config and weights."""
        config = read_json(path / CONFIG)
        if not any((path / name).is_file() for name in WEIGHTS):
            raise ModelError(f"{path} has a config.json but no weights ({' or '.join(WEIGHTS[:2])}): copy them too.")
        if "architecture" in config and "model_type" not in config:
            return _timm(path, config, request)
        brought = list(_brought(config))
        if brought and not request.trust:
            raise TrustError(
                f"{path} brings its own code ({', '.join(brought)}); read it, then say --trust (trust=True)."
            )
        try:
            from transformers import AutoModelForImageClassification
        except ModuleNotFoundError as error:
            raise ModelError(f"{path} is a Hugging Face folder; reading it needs {missing_package(error)}") from error
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                network, report = AutoModelForImageClassification.from_pretrained(
                    str(path), local_files_only=True, trust_remote_code=request.trust, output_loading_info=True
                )
        except Exception as error:
            raise ModelError(
                f"{path} cannot be read by transformers as an image classifier: "
                f"{type(error).__name__}: {first_line(error)}."
            ) from error
        lacking = sorted(map(str, report.get("missing_keys", ()))) + sorted(map(str, report.get("mismatched_keys", ())))
        if lacking:
            raise ModelError(
                f"the weights of {path} do not fit its config.json: {len(lacking)} are missing or of another shape, "
                f"such as {lacking[0]}. Copy config and weights of one and the same model."
            )
        return Read(
            "Hugging Face folder",
            module=network.eval(),
            card=_labels(config) | _input(path, config) | {"output": "logits"},
            class_name=type(network).__name__,
        )


def _timm(path: Path, config: Mapping[str, Any], request: Request) -> Read:
    """Read a folder that timm has written: a name of an architecture, and weights."""
    from interpfer.models.readers.safetensors import SafeTensors
    from interpfer.models.readers.torchfile import TorchFile

    file = next(path / name for name in WEIGHTS if (path / name).is_file())
    read = (SafeTensors() if file.suffix == ".safetensors" else TorchFile()).read(file, request)
    known = config.get("pretrained_cfg")
    recipe = known if isinstance(known, Mapping) else config
    labels = [str(name) for name in recipe.get("label_names") or config.get("label_names") or []]
    size = recipe.get("input_size") or (3, 224, 224)
    given = {"size": size[-1], **{name: recipe[name] for name in ("mean", "std") if name in recipe}}
    arguments = dict(config.get("model_args") or {})
    card = {"arch": f"timm:{config['architecture']}", "arch_args": arguments, "input": given} | _classes(labels)
    return Read("timm folder", read.weights, card=card, notes=read.notes)


def _labels(config: Mapping[str, Any]) -> dict[str, Any]:
    labels = config.get("id2label")
    if not isinstance(labels, Mapping) or not all(str(key).isdecimal() for key in labels):
        return {}
    return _classes([str(labels[key]) for key in sorted(labels, key=lambda key: int(str(key)))])


def _classes(labels: list[str]) -> dict[str, Any]:
    """Return the labels as classes of a card, if they are expressions."""
    try:
        return {"classes": list(canonical_classes(labels))} if labels else {}
    except DataError:
        return {}


def _input(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input of a card out of the image processor beside the weights."""
    recipe: Mapping[str, Any] = {}
    for name in PREPROCESSORS:
        found = read_json(path / name)
        inner = found.get("image_processor", found)
        recipe = recipe or (inner if isinstance(inner, Mapping) else {})
    size = recipe.get("crop_size") if recipe.get("do_center_crop") else recipe.get("size")
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    size = size or config.get("image_size")
    given: dict[str, Any] = {} if not isinstance(size, int) else {"size": size}
    if recipe.get("do_normalize", False):
        given |= {"mean": recipe.get("image_mean", [0.5]), "std": recipe.get("image_std", [0.5])}
    factor = recipe.get("rescale_factor", 1 / 255)
    if recipe and (not recipe.get("do_rescale", True) or not isinstance(factor, float)):
        given["scale"] = 255
    elif recipe and abs(factor * 255 - 1) > 1e-6:
        given["scale"] = factor * 255
    return {"input": given} if given else {}


def _brought(config: Any, field: str = "") -> Iterator[str]:
    """Yield what transformers would run beyond its own code: classes, kernels of others, other checkpoints for timm."""
    if isinstance(config, Mapping):
        for name, value in config.items():
            yield from _brought(value, "auto_map" if field == "auto_map" else str(name))
    elif isinstance(config, list):
        for value in config:
            yield from _brought(value, field)
    elif config is not None and (
        field in ("auto_map", "checkpoint_path") or (field.endswith("attn_implementation") and "/" in str(config))
    ):
        yield str(config)
