"""Checks of Keras files before Keras reads them: links to other files, sizes, and code in their configuration."""

import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interpfer.errors import ModelError, TrustError
from interpfer.models.messages import TRUST, first_line

LARGEST_RATIO, SMALLEST_LIMIT = 50, 1 << 26
"""Bytes that a file may unpack to: this many times its size, or this number if that is more."""

MAX_OBJECTS = 100_000
"""Groups and data sets that an HDF5 file may hold."""

RUNS_CODE = ("Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
"""Layers that hold code, or load other files."""

READS_FILES = ("StringLookup", "IntegerLookup", "TextVectorization", "HashedCrossing")
"""Layers of texts and tables, whose configuration may name other files."""

TENSORFLOW_ONLY = ("TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty")
"""Layers with which the Keras of TensorFlow stores an operation of TensorFlow, such as ``x / 255.``"""

PARTS = ("layers", "models", "activations", "initializers", "regularizers", "constraints", "ops", "dtype_policies")
"""Modules of Keras whose objects a configuration may name."""

MAX_DEPTH = 200
"""Levels of a configuration."""

CONVERT = "`python -m tf2onnx.convert --keras {path} --output model.onnx`, where TensorFlow is, makes an ONNX file"


def check_hdf5(path: Path, shown: Path) -> None:
    """Check that an HDF5 file holds numbers of a bounded size, and nothing that lies in another file.

    Args:
        path: the file.
        shown: name of it in messages.

    Raises:
        ModelError: it is broken or too large when it is unpacked, or links to another file.
    """
    import h5py

    limit = _limit(path.stat().st_size)
    try:
        with h5py.File(path, "r") as file:
            total = 0
            for name, value in _walk(file, shown):
                if not isinstance(value, h5py.Dataset):
                    continue
                if value.external or value.is_virtual:
                    raise ModelError(f"{shown}: {name} lies in another file, which is not read.")
                total += value.size * max(value.dtype.itemsize, 1) if value.shape is not None else 0
                if total > limit:
                    raise ModelError(
                        f"{shown} would unpack to more than {limit >> 20} MiB ({name} is {value.shape}), too much for "
                        f"a file of {path.stat().st_size >> 10} KiB."
                    )
    except ModelError:
        raise
    except Exception as error:  # h5py raises many types
        raise ModelError(
            f"{shown} is not a readable HDF5 file ({first_line(error)}; copy or download it again)."
        ) from error


def _walk(file: Any, shown: Path) -> Iterator[tuple[str, Any]]:
    """Yield every group and data set of a file, once."""
    import h5py

    pending, seen = [("", file)], set()
    while pending:
        name, value = pending.pop()
        key = h5py.h5o.get_info(value.id).addr
        if key in seen:
            continue
        seen.add(key)
        if len(seen) > MAX_OBJECTS:
            raise ModelError(f"{shown} holds more than {MAX_OBJECTS} parts, which is no Keras model.")
        yield name, value
        if isinstance(value, h5py.Group):
            for child in value:
                link = value.get(child, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise ModelError(f"{shown}: {name}/{child} is a link to another place or file, which is not read.")
                pending.append((f"{name}/{child}", value[child]))


def check_members(path: Path) -> None:
    """Check that a zip archive unpacks to a bounded size, and that its names stay in a folder.

    Raises:
        ModelError: it does not.
    """
    limit = _limit(path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if sum(member.file_size for member in members) > limit:
        raise ModelError(f"{path} would unpack to more than {limit >> 20} MiB, too much for its size.")
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if ".." in parts or os.path.isabs(member.filename):  # noqa: PTH117  (a name in an archive, not a path)
            raise ModelError(f"{path}: its part {member.filename!r} would be written outside of its folder.")


def _limit(size: int) -> int:
    return max(LARGEST_RATIO * size, SMALLEST_LIMIT)


def check_config(config: Mapping[str, Any], path: Path, has_trust: bool) -> None:
    """Check that building a model from its configuration runs no code of the file, and needs no TensorFlow.

    Args:
        config: the configuration of the model.
        path: the file, for messages.
        has_trust: whether code may run.

    Raises:
        TrustError: a layer holds code or names a class outside of Keras.
        ModelError: a layer is of TensorFlow alone, or reads other files.
    """
    for node in _nodes(config, path):
        name, module = node["class_name"], node.get("module")
        if not isinstance(name, str) or not isinstance(module, str | None):
            raise ModelError(f"{path} is not a readable Keras model (class_name {name!r} is no text).")
        if name.split(">")[-1] in TENSORFLOW_ONLY:
            raise ModelError(
                f"{path}: its layer {_name_of(node)} is an operation of TensorFlow ({name}), which Keras on torch "
                f"cannot run; {CONVERT.format(path=path)}."
            )
        if name.split(">")[-1] in READS_FILES:
            raise ModelError(f"{path}: its layer {_name_of(node)} ({name}) is for texts or tables, not for images.")
        if name.split(">")[-1] in RUNS_CODE and not has_trust:
            raise TrustError(f"{path}: its layer {_name_of(node)} ({name}) would run code of the file; {TRUST}.")
        if not _is_of_keras(module, name) and not has_trust:
            raise TrustError(f"{path} would import and run {module}.{name}; {TRUST}.")


def _is_of_keras(module: str | None, name: str) -> bool:
    if module is None or (module == "builtins" and name.startswith(("function", "__"))):
        return True
    parts = module.split(".")
    inner = parts[2:] if parts[1:2] == ["src"] else parts[1:]
    if name == "function":
        return parts[0] == "keras" and inner[:1] in (["activations"], ["initializers"])
    return parts[0] == "keras" and (not inner or inner[0] in PARTS)


def _name_of(node: Mapping[str, Any]) -> str:
    config = node.get("config")
    own = config.get("name") if isinstance(config, Mapping) else None
    return repr(own or node.get("name") or "without a name")


def _nodes(config: Any, path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping with a class_name, at any depth."""
    pending = [(config, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise ModelError(f"{path} is not a readable Keras model (its configuration is nested too deeply).")
        if isinstance(value, Mapping):
            if "class_name" in value:
                yield value
            pending += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple):
            pending += [(each, depth + 1) for each in value]
