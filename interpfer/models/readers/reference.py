"""Folders of the reference implementation (arXiv 2402.00281): model.pt with its parts, and config_model.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from interpfer.errors import ModelError
from interpfer.files import parse_yaml
from interpfer.models.attention_dropout import REFERENCE_DROP
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.folder import find_checkpoint
from interpfer.models.readers.torchfile import TorchFile

CONFIG = "config_model.yaml"
CLASS_FILE = "class_id.yaml"

CLASSES = ("neutral", "happiness", "surprise", "fear", "anger", "disgust", "sadness")
"""Class order of the reference for both of its data sets, used if there is no class_id.yaml."""

NORMALISATION: dict[str, dict[str, Any]] = {
    "imagenet": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "vggface2": {"scale": 255, "mean": [131.0912, 103.8827, 91.4953]},
}
"""Input fields by the pretraining of the encoder."""


class ReferenceFolder:
    """Reads the folder of one experiment."""

    def accepts(self, path: Path) -> bool:
        """Return whether the folder has a config_model.yaml."""
        return path.is_dir() and (path / CONFIG).is_file()

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Read config and weights; Python objects in the YAML are read as plain data."""
        config = read_tagged_yaml(path / CONFIG)
        file = find_checkpoint(path)
        data = TorchFile().read(file, request)
        model = config.get("model")
        options = {**config, **(model if isinstance(model, Mapping) else {})}
        notes = [*data.notes]
        classes = _read_classes(path)
        if classes is None:
            notes.append("the order of the classes is the one in the code of the reference; --classes overrides it")
        arch: dict[str, Any] = {}
        encoder, head = str(options.get("encoder_name")), str(options.get("spatial_pooling"))
        if data.weights is not None and any(name.startswith("encoder.") for name in data.weights):
            arch = {"arch": "interpfer:reference", "arch_args": _arch_args(encoder, head, options)}
        card = arch | {
            "classes": list(classes or CLASSES),
            "input": {"size": int(options.get("crop_size") or 224)}
            | NORMALISATION.get(str(options.get("encoder_weights")).lower(), {}),
        }
        return CheckpointData(
            "folder of the reference implementation", data.weights, data.module, card, data.where, data.skipped,
            tuple(notes), file=file,
        )  # fmt: skip


def read_tagged_yaml(path: Path) -> dict[str, Any]:
    """Read YAML with tags of Python objects as plain data; no object is made.

    Raises:
        ModelError: the file is not YAML, or not a mapping.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), _PlainLoader)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: must hold fields such as 'encoder_name:', got {content!r}.")
    return content


class _PlainLoader(yaml.SafeLoader):
    """Reads every unknown tag as the plain data under it."""


def _construct_plain(loader: _PlainLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_PlainLoader.add_multi_constructor("", _construct_plain)


def _arch_args(encoder: str, head: str, options: Mapping[str, Any]) -> dict[str, Any]:
    dense = str(options.get("dense_dims") or "")
    adl = str(options.get("method")) == "ADL" or bool(options.get("use_adl"))
    defaults = dict(zip(("adl_drop_rate", "adl_drop_threshold"), REFERENCE_DROP, strict=True))
    drop = [float(default if options.get(name) is None else options[name]) for name, default in defaults.items()]
    return {
        "encoder": encoder,
        "head": head,
        "dense": [int(part) for part in dense.split("-")] if dense not in ("", "None") else [],
        "large_maps": bool(options.get("large_maps")),
        "adl": adl,
        "background": bool(options.get("support_background")),
        "scale": float(options.get("scale_in") or 1),
    } | ({"drop": drop} if adl else {})


def _read_classes(path: Path) -> tuple[str, ...] | None:
    if not (path / CLASS_FILE).is_file():
        return None
    numbers = read_tagged_yaml(path / CLASS_FILE)
    return tuple(sorted(map(str, numbers), key=lambda name: int(numbers[name])))
