"""Builds Keras models from their configuration, and loads the weights of HDF5 files into them."""

import importlib
import json
import math
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.files import parse_json
from interpfer.models.keras_network.backend import import_keras, standard_settings
from interpfer.models.keras_network.network import KerasNetwork
from interpfer.models.messages import first_line
from interpfer.models.readers.keras_checks import check_config
from interpfer.models.readers.keras_known import build_deepface

BESIDE = {"optimizer", "optimizer_weights", "seed_generator", "metrics"}
"""Groups of a file beside the weights."""

SLACK = 1000
"""Values that a model may hold beside the weights in its file, such as the states of random numbers."""

UNKNOWN = re.compile(r"(?:Could not locate class|Unknown \w+:?) '?(\w+)'?")
"""Name of a class in an error of Keras."""


def build_with_weights(path: Path, config: dict[str, Any], has_trust: bool, description: Path | None = None) -> Any:
    """Return the model of a configuration with the weights of an HDF5 file, which need not hold the configuration."""
    import h5py

    check_config(config, description or path, has_trust)
    _drop_groups(config)
    check_size(config, path, description or path, has_trust)
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "model.h5"
        with h5py.File(path, "r") as source, h5py.File(copied, "w") as target:
            group = source.get("model_weights", source)
            source.copy(group, target, "model_weights")
            for name in ("keras_version", "backend"):
                value = source.attrs.get(name, group.attrs.get(name))
                if value is not None:
                    target.attrs[name] = value
            target.attrs["model_config"] = json.dumps(config)
        return load_model_file(copied, path, has_trust)


def check_size(config: Mapping[str, Any], weights: Path, shown: Path, has_trust: bool) -> None:
    """Check that the layers of a configuration hold no more weights than their file, before memory is taken for them.

    Args:
        config: the configuration, whose code was checked.
        weights: HDF5 file with the weights.
        shown: name of the file of the configuration in messages.
        has_trust: whether code of the file may run.

    Raises:
        ModelError: they hold more.
    """
    import h5py

    keras = import_keras()
    content = deepcopy(dict(config))
    try:
        with standard_settings(keras), keras.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if "module" in config:
                model = keras.saving.deserialize_keras_object(content, safe_mode=not has_trust)
            else:
                model = importlib.import_module("keras.src.legacy.saving.saving_utils").model_from_config(content)
            count = sum(math.prod(each.shape) for each in model.weights)
    except Exception:  # Keras raises many types; it says what is wrong when the model is built
        return
    available = 0

    def add(_: str, value: Any) -> None:
        nonlocal available
        available += value.size or 0 if isinstance(value, h5py.Dataset) else 0

    with h5py.File(weights, "r") as file:
        file.visititems(add)
    if count > 2 * available + SLACK:
        raise ModelError(
            f"{shown} is not built: its layers would hold {count:,} weights, but its file has {available:,}; copy or "
            "download it again."
        )


def load_model_file(file: Path, shown: Path, has_trust: bool) -> Any:
    """Return the model in a ``.h5`` or ``.keras`` file whose configuration was checked.

    Args:
        file: the file.
        shown: its name in messages.
        has_trust: whether code of the file may run.

    Raises:
        ModelError: Keras cannot read it.
    """
    keras = import_keras()
    return _build(lambda: keras.models.load_model(file, compile=False, safe_mode=not has_trust), shown)


def build_model(config: dict[str, Any], shown: Path, has_trust: bool) -> Any:
    """Return the untrained model of a configuration that was checked; see ``load_model_file``."""
    keras = import_keras()
    return _build(lambda: keras.saving.deserialize_keras_object(config, safe_mode=not has_trust), shown)


def build_deepface_model() -> Any:
    """Return the untrained expression network of DeepFace."""
    keras = import_keras()
    with standard_settings(keras):
        return build_deepface(keras)


def _build(function: Callable[[], Any], shown: Path) -> Any:
    try:
        with standard_settings(import_keras()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function()
    except Exception as error:  # Keras raises many types
        raise _unreadable(shown, error) from error


def _unreadable(path: Path, error: Exception) -> ModelError:
    unknown = UNKNOWN.search(str(error))
    if unknown:
        remedy = "write a function that returns the network, and pass --arch FILE.py:callable with its weights alone"
        return ModelError(f"Keras cannot build {path}: it has no layer {unknown[1]!r}; {remedy} (save_weights).")
    return ModelError(f"Keras cannot read {path} ({type(error).__name__}: {first_line(error)[:300]}).")


def load_weights_into(model: Any, path: Path) -> None:
    """Load the weights of an HDF5 file into a model.

    Raises:
        ModelError: the weights do not fit.
    """
    import h5py

    with h5py.File(path, "r") as file:
        name = "model.h5" if "layer_names" in file.attrs else "model.weights.h5"
    count, expected = len(read_tensors(path)), len(model.weights)
    if count != expected:
        raise ModelError(
            f"the weights of {path} do not fit the architecture: it has {expected} arrays, the file {count}: "
            "layers are missing, or there are more."
        )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), standard_settings(import_keras()):
        warnings.simplefilter("ignore")
        copied = Path(folder) / name
        shutil.copyfile(path, copied)
        try:
            model.load_weights(copied)
        except Exception as error:  # Keras raises many types
            reason = first_line(error)[:300]
            raise ModelError(f"the weights of {path} do not fit the architecture ({reason}).") from error


def fill_model(network: nn.Module, path: Path) -> KerasNetwork:
    """Return the Keras model of an architecture with the weights of an HDF5 file.

    Raises:
        ModelError: the network is no Keras model, or the weights do not fit.
    """
    if not isinstance(network, import_keras().Model):
        kind = type(network).__name__
        raise ModelError(f"{path} holds weights of Keras: arch must return a Keras model, got a {kind}.")
    load_weights_into(network, path)
    return KerasNetwork(network)


def parse_config(text: Any, path: Path) -> dict[str, Any]:
    """Return the configuration of a model in JSON.

    Raises:
        ModelError: it is no JSON, or names no class.
    """
    try:
        config = parse_json(text)
    except ValueError as error:
        raise ModelError(f"{path} is not a readable Keras model (its configuration is no JSON).") from error
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise ModelError(f"{path} is not a readable Keras model (its configuration names no class).")
    return config


def _drop_groups(config: Any) -> None:
    """Remove an argument that Keras 2 wrote for depthwise convolutions and Keras 3 does not know."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if value.get("class_name") == "DepthwiseConv2D" and isinstance(value.get("config"), dict):
                value["config"].pop("groups", None)
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the arrays of a file of weights, in the order of the layers where the file states it."""
    import h5py

    tensors: dict[str, Tensor] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, h5py.Dataset) and value.dtype.kind == "f" and not BESIDE.intersection(name.split("/")):
            tensors[name] = torch.from_numpy(np.asarray(value[()]).copy())

    with h5py.File(path, "r") as file:
        for layer in file.attrs.get("layer_names", ()):
            group = file[layer]
            for name in group.attrs.get("weight_names", ()):
                text = name.decode() if isinstance(name, bytes) else str(name)
                add(text, group[text])
        if not tensors:
            file.visititems(add)
    return tensors
