"""Keras models: whole ``.h5`` files of Keras 2 and 3, ``.keras`` archives of Keras 3, and weights with a description.

Keras builds the network from the configuration in the file; the configuration and the sizes are checked first, so that
no code of the file runs without trust.
"""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interpfer.errors import InterpferError, ModelError
from interpfer.files import parse_json
from interpfer.models.keras_network.backend import import_keras
from interpfer.models.keras_network.network import KerasNetwork
from interpfer.models.messages import first_line
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.keras_build import (
    build_deepface_model,
    build_model,
    build_with_weights,
    check_size,
    fill_model,
    load_model_file,
    load_weights_into,
    parse_config,
    read_tensors,
)
from interpfer.models.readers.keras_checks import CONVERT, check_config, check_hdf5, check_members
from interpfer.models.readers.keras_known import DEEPFACE, DEEPFACE_SHAPES, find_known
from interpfer.models.readers.signatures import list_members, read_json, read_start

KIND = "Keras model"
WEIGHTS_KIND = "Keras weights"
MAGIC = b"\x89HDF\r\n\x1a\n"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""Members of a ``.keras`` archive."""

MAX_JSON = 50_000_000
"""Largest description of a model in bytes."""

BYTES_SCALE = 0.01
"""A Rescaling layer with at most this scale expects bytes, 0 to 255."""

ASSUMED_RANGE = (
    "a Keras file does not hold the range of its input: pixels are assumed in [0, 1]; write mean and std, or \
scale, into the card, or let `interpfer inspect FILE --dataset ... --write` find them"
)


class KerasFile:
    """Reads one file of Keras, or weights and the ``.json`` of their model beside them."""

    def accepts(self, path: Path) -> bool:
        """Return whether a file is HDF5, a ``.keras`` archive, or the description of a Keras model."""
        if not path.is_file():
            return False
        if read_start(path, len(MAGIC)) == MAGIC:
            return True
        names = list_members(path)
        return (CONFIG in names and bool({METADATA, WEIGHTS} & set(names))) or _is_description(path)

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Build the model, and load its weights."""
        import_keras(f"{path} is of Keras; reading it")
        if read_start(path, len(MAGIC)) == MAGIC:
            return _read_hdf5(path, request)
        if list_members(path):
            return _read_archive(path, request)
        weights = _find_weights(path)
        return _read_described(weights, path, request)


def _is_description(path: Path) -> bool:
    if path.suffix.lower() != ".json" or path.stat().st_size > MAX_JSON:
        return False
    content = read_json(path)
    return isinstance(content.get("class_name"), str) and isinstance(content.get("config"), dict | list)


def _read_hdf5(path: Path, request: Request) -> CheckpointData:
    import h5py

    check_hdf5(path, path)
    with h5py.File(path, "r") as file:
        config, group = file.attrs.get("model_config"), file.get("model_weights")
        parts = set(file)
        has_names = "layer_names" in file.attrs
    if config is not None and group is not None:
        return _to_data(build_with_weights(path, parse_config(config, path), request.trust), path, request)
    if not has_names and not parts & {"layers", "_layer_checkpoint_dependencies"}:
        raise ModelError(f"{path} is an HDF5 file without a Keras network (it holds {', '.join(sorted(parts)[:3])}).")
    weights = read_tensors(path)
    if tuple(tuple(value.shape) for value in weights.values()) == DEEPFACE_SHAPES:
        return _read_deepface(path, request)
    description = _find_description(path)
    if description is not None:
        return _read_described(path, description, request)
    note = "an HDF5 file of weights alone: --arch must name a function that returns their Keras model"
    return CheckpointData(WEIGHTS_KIND, weights, fill=lambda network: fill_model(network, path), notes=(note,))


def _read_archive(path: Path, request: Request) -> CheckpointData:
    check_members(path)
    try:
        with zipfile.ZipFile(path) as archive:
            config = parse_json(archive.read(CONFIG))
            metadata = parse_json(archive.read(METADATA)) if METADATA in archive.namelist() else {}
            has_weights = WEIGHTS in archive.namelist()
            version = str(metadata.get("keras_version", "3"))
    except Exception as error:  # zipfile and json raise many types
        raise ModelError(
            f"{path} is not a readable {KIND} ({first_line(error)}; copy or download it again)."
        ) from error
    if version.startswith(("1.", "2.")):
        raise ModelError(
            f"{path} is an archive of Keras {version}, which Keras 3 cannot read; {CONVERT.format(path=path)}."
        )
    if not has_weights:
        raise ModelError(f"{path} is a Keras archive without {WEIGHTS}; save it with Keras 3 again.")
    check_config(config, path, request.trust)
    with tempfile.TemporaryDirectory() as folder:
        copied, weights = Path(folder) / "model.keras", Path(folder) / WEIGHTS
        with zipfile.ZipFile(path) as archive, archive.open(WEIGHTS) as source, weights.open("wb") as target:
            shutil.copyfileobj(source, target)
        check_hdf5(weights, path)
        check_size(config, weights, path, request.trust)
        shutil.copyfile(path, copied)
        model = load_model_file(copied, path, request.trust)
    return _to_data(model, path, request)


def _read_described(weights: Path, description: Path, request: Request) -> CheckpointData:
    """Read weights, and the model of a ``.json`` file."""
    import h5py

    check_hdf5(weights, weights)
    config = parse_config(description.read_bytes(), description)
    with h5py.File(weights, "r") as file:
        is_old = "layer_names" in file.attrs or "model_weights" in file
    if is_old:
        model = build_with_weights(weights, config, request.trust, description)
    else:
        check_config(config, description, request.trust)
        check_size(config, weights, description, request.trust)
        model = build_model(config, description, request.trust)
        load_weights_into(model, weights)
    texts = weights.read_bytes(), description.read_bytes()
    sha256 = hashlib.sha256("".join(hashlib.sha256(text).hexdigest() for text in texts).encode()).hexdigest()
    note = f"the layers are those of {description.name}, the weights those of {weights.name}"
    return _to_data(model, weights, request, (note,), sha256)


def _read_deepface(path: Path, request: Request) -> CheckpointData:
    model = build_deepface_model()
    load_weights_into(model, path)
    return replace(_to_data(model, path, request), card=DEEPFACE.card, input_note=DEEPFACE.describe())


def _find_description(path: Path) -> Path | None:
    """Return the description of the model beside weights: of the same name, or the only one in the folder.

    Raises:
        ModelError: there are several.
    """
    same = path.with_suffix(".json")
    if same.is_file() and _is_description(same):
        return same
    found = [file for file in sorted(path.parent.glob("*.json")) if _is_description(file)]
    if len(found) > 1:
        names = ", ".join(file.name for file in found[:3])
        raise ModelError(
            f"{path} holds weights, and beside it lie {names}: pass the .json of its model, of the same name."
        )
    return found[0] if found else None


def _find_weights(path: Path) -> Path:
    """Return the weights beside a description: of the same name, or the only ones in the folder."""
    files = [each for each in sorted(path.parent.iterdir()) if each.is_file() and read_start(each, 8) == MAGIC]
    same = [each for each in files if each.name.partition(".")[0] == path.stem]
    found = same or files
    if len(found) != 1:
        beside = f"beside it lie {', '.join(each.name for each in found[:3])}" if found else "there is none beside it"
        raise ModelError(f"{path} describes a Keras model without its weights; {beside}: pass the file of the weights.")
    return found[0]


@dataclass(frozen=True)
class _Facts:
    """What is known of the input and the classes of a model.

    Attributes:
        card: fields of a card.
        note: what of them is assumed; "" for nothing.
    """

    card: Mapping[str, Any]
    note: str = ""


def _to_data(model: Any, path: Path, request: Request, notes: tuple[str, ...] = (), sha256: str = "") -> CheckpointData:
    try:
        network = KerasNetwork(model, request.trust)
    except InterpferError as error:
        raise ModelError(f"{path}: {error}") from error
    facts = _describe(network, sha256 or _sha256(path))
    return CheckpointData(
        KIND, network.state_dict(), network, facts.card, notes=notes, input_note=facts.note, sha256=sha256
    )


def _describe(network: KerasNetwork, sha256: str) -> _Facts:
    """Return the card that the model states or is known to have, and a note on what is assumed of its input."""
    channels, height, width = network.image_shape
    if height != width:
        raise ModelError(f"a Keras model must take square images, got {height} x {width}.")
    layers = [
        (type(layer).__name__, [tuple(each.shape) for each in layer.weights])
        for layer in network.keras_model.layers
        if layer.weights
    ]
    known = find_known(network.image_shape, layers)
    if known is not None:
        return _Facts(known.card, "" if known.is_published(sha256) else known.describe())
    fields: dict[str, Any] = {"size": height} if height else {}
    if channels == 1:
        fields["color"] = "gray"
    scales = [getattr(each, "scale", 1) for each in network.modules() if type(each).__name__ == "Rescaling"]
    if scales and isinstance(scales[0], int | float) and abs(scales[0]) <= BYTES_SCALE:
        return _Facts({"input": fields | {"scale": 255}}, "")
    return _Facts({"input": fields} if fields else {}, ASSUMED_RANGE if fields else "")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
