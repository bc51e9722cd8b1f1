"""Folders of the reference implementation (arXiv 2402.00281): model.pt with its parts, and config_model.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from interpfer.errors import ModelError
from interpfer.models.readers.base import Read, Request
from interpfer.models.readers.folder import only_checkpoint
from interpfer.models.readers.torchfile import TorchFile

CONFIG = "config_model.yaml"
CLASS_FILE = "class_id.yaml"

CLASSES = ("neutral", "happiness", "surprise", "fear", "anger", "disgust", "sadness")
"""The order of the reference, for both of its data sets, where no class_id.yaml says otherwise."""

NORMALISATION: dict[str, dict[str, Any]] = {
    "imagenet": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "vggface2": {"scale": 255, "mean": [131.0912, 103.8827, 91.4953]},
}
"""By what the encoder was trained on first."""


class ReferenceFolder:
    """Reads the folder of one experiment."""

    def accepts(self, path: Path) -> bool:
        """Look for config_model.yaml."""
        return path.is_dir() and (path / CONFIG).is_file()

    def read(self, path: Path, request: Request) -> Read:
        """Read config and weights; tags of Python objects in the YAML are read as plain data."""
        config = read_tagged_yaml(path / CONFIG)
        file = only_checkpoint(path)
        read = TorchFile().read(file, request)
        own = config.get("model")
        options = {**config, **(own if isinstance(own, Mapping) else {})}
        notes = [*read.notes]
        classes = _classes(path)
        if classes is None:
            notes.append("the order of the classes is the one in the code of the reference; --classes overrides it")
        arch: dict[str, Any] = {}
        encoder, head = str(options.get("encoder_name")), str(options.get("spatial_pooling"))
        if read.weights is not None and any(name.startswith("encoder.") for name in read.weights):
            arch = {"arch": "interpfer:reference", "arch_args": _arguments(encoder, head, options)}
        card = arch | {
            "classes": list(classes or CLASSES),
            "input": {"size": int(options.get("crop_size") or 224)}
            | NORMALISATION.get(str(options.get("encoder_weights")).lower(), {}),
        }
        return Read(
            "folder of the reference implementation", read.weights, read.module, card, read.where, read.skipped,
            tuple(notes), file=file,
        )  # fmt: skip


def read_tagged_yaml(path: Path) -> dict[str, Any]:
    """Read YAML whose tags name Python objects; nothing is made of the tags.

    Raises:
        ModelError: it is no YAML, or no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)  # noqa: S506 a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(f"{path}: not YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected fields such as 'encoder_name:', found {content!r}.")
    return content


class _PlainLoader(yaml.SafeLoader):
    """Takes every unknown tag for the plain data under it."""


def _plain(loader: _PlainLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_PlainLoader.add_multi_constructor("", _plain)


def _arguments(encoder: str, head: str, options: Mapping[str, Any]) -> dict[str, Any]:
    dense = str(options.get("dense_dims") or "")
    return {
        "encoder": encoder,
        "head": head,
        "dense": [int(part) for part in dense.split("-")] if dense not in ("", "None") else [],
        "large_maps": bool(options.get("large_maps")),
        "adl": str(options.get("method")) == "ADL" or bool(options.get("use_adl")),
        "background": bool(options.get("support_background")),
        "scale": float(options.get("scale_in") or 1),
    }


def _classes(path: Path) -> tuple[str, ...] | None:
    if not (path / CLASS_FILE).is_file():
        return None
    numbers = read_tagged_yaml(path / CLASS_FILE)
    return tuple(sorted(map(str, numbers), key=lambda name: int(numbers[name])))
