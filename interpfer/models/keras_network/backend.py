"""Imports Keras with the torch backend, whatever the user's environment and ``~/.keras/keras.json`` say."""

import importlib
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from interpfer.errors import ModelError
from interpfer.registry import missing_package

BACKEND = "torch"
CHANGED = ("KERAS_BACKEND", "KERAS_HOME", "TF_FORCE_GPU_ALLOW_GROWTH")
"""Variables of the environment that the import of Keras reads or sets; all are restored."""

DEFAULTS = {"image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7, "dtype_policy": "float32"}
"""Settings of Keras with which files are read: those of its own that a file may leave out."""


def import_keras(what: str = "a Keras model") -> Any:
    """Return Keras 3 on the torch backend.

    The first import in the process chooses the backend; the environment is the user's again afterwards, and the user's
    ``keras.json`` is neither read nor written.

    Args:
        what: what needs it, for messages.

    Raises:
        ModelError: Keras is not installed, is older than 3, or was imported with another backend.
    """
    if "keras" not in sys.modules:
        with _environment(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                importlib.import_module("keras")
                importlib.import_module("h5py")
            except ModuleNotFoundError as error:
                raise ModelError(f"{what} needs {missing_package(error)}") from error
    keras = sys.modules["keras"]
    if int(keras.__version__.partition(".")[0]) < 3:
        raise ModelError(f"{what} needs Keras 3, got {keras.__version__}: run pip install 'interpfer[keras]'.")
    if keras.backend.backend() != BACKEND:
        raise ModelError(
            f"{what} needs Keras on torch, but this process has imported Keras on {keras.backend.backend()}: set "
            "KERAS_BACKEND=torch before that import, or run interpfer in a process of its own."
        )
    return keras


@contextmanager
def standard_settings(keras: Any) -> Iterator[None]:
    """Read a file with the defaults of Keras, on the CPU; the user's settings and random state are restored."""
    config, state = keras.config, random.getstate()
    before = {name: getattr(config, name)() for name in DEFAULTS}
    try:
        _set_all(config, DEFAULTS)
        with keras.device("cpu"):
            yield
    finally:
        _set_all(config, before)
        random.setstate(state)


def _set_all(config: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        getattr(config, f"set_{name}")(value)


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in CHANGED}
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"KERAS_BACKEND": BACKEND, "KERAS_HOME": folder}
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
