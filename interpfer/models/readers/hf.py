"""Folders of Hugging Face models: image classifiers of transformers and of timm."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interpfer.errors import DataError, ModelError, TrustError
from interpfer.labels import canonical_classes
from interpfer.models.messages import REVIEW, first_line
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.processors import FILES, read_processor
from interpfer.models.readers.signatures import read_json
from interpfer.models.readers.transforms import read_timm_config
from interpfer.registry import missing_package

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")


class HuggingFaceFolder:
    """Reads a folder with config.json and weights, without internet access."""

    def accepts(self, path: Path) -> bool:
        """Return whether the folder has the config.json of a model."""
        return path.is_dir() and bool({"model_type", "auto_map", "architecture"} & set(read_json(path / CONFIG)))

    def read(self, path: Path, request: Request) -> CheckpointData:
        """Read config and weights."""
        config = read_json(path / CONFIG)
        if not any((path / name).is_file() for name in WEIGHTS):
            raise ModelError(f"{path} has a config.json but no weights ({' or '.join(WEIGHTS[:2])}): copy them too.")
        if "architecture" in config and "model_type" not in config:
            return _read_timm(path, config, request)
        code = [name for file in (CONFIG, *FILES) for name in find_code(read_json(path / file))]
        if code and not request.trust:
            raise TrustError(f"{path} contains its own code ({', '.join(code)}); {REVIEW}.")
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
        missing, mismatched = (sorted(map(str, report.get(key, ()))) for key in ("missing_keys", "mismatched_keys"))
        if wrong := missing + mismatched:
            raise ModelError(
                f"the weights of {path} do not fit its config.json: {len(wrong)} are missing or of another shape, "
                f"such as {wrong[0]}; copy config and weights of the same model."
            )
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            published = read_processor(path, network.config, request.trust)
        fields = {"input": dict(published.fields)} if published.fields else {}
        return CheckpointData(
            "Hugging Face folder",
            module=network.eval(),
            card=_read_labels(config) | fields | {"output": "logits"},
            class_name=type(network).__name__,
            input_note=published.note,
            input_problem=published.problem,
        )


def _read_timm(path: Path, config: Mapping[str, Any], request: Request) -> CheckpointData:
    """Read a folder of timm: the name of an architecture, and weights."""
    from interpfer.models.readers.safetensors import SafeTensors
    from interpfer.models.readers.torchfile import TorchFile

    file = next(path / name for name in WEIGHTS if (path / name).is_file())
    data = (SafeTensors() if file.suffix == ".safetensors" else TorchFile()).read(file, request)
    pretrained = config.get("pretrained_cfg")
    settings = pretrained if isinstance(pretrained, Mapping) else config
    labels = [str(name) for name in settings.get("label_names") or config.get("label_names") or []]
    published = read_timm_config(settings, str(path / CONFIG))
    arguments = dict(config.get("model_args") or {})
    card = {"arch": f"timm:{config['architecture']}", "arch_args": arguments, "input": dict(published.fields)}
    return CheckpointData(
        "timm folder",
        data.weights,
        card=card | _to_classes(labels),
        notes=data.notes,
        input_problem=published.problem,
    )


def _read_labels(config: Mapping[str, Any]) -> dict[str, Any]:
    labels = config.get("id2label")
    names = config.get("label_names")
    if isinstance(names, list):
        return _to_classes([str(name) for name in names])
    if not isinstance(labels, Mapping) or not all(str(key).isdecimal() for key in labels):
        return {}
    return _to_classes([str(labels[key]) for key in sorted(labels, key=lambda key: int(str(key)))])


def _to_classes(labels: list[str]) -> dict[str, Any]:
    """Return the field ``classes`` of a card if the labels are expressions, else no field."""
    try:
        return {"classes": list(canonical_classes(labels))} if labels else {}
    except DataError:
        return {}


def find_code(config: Any, field: str = "") -> Iterator[str]:
    """Yield all that transformers would run or load beside its own code: classes, kernels, checkpoints of timm."""
    if isinstance(config, Mapping):
        for name, value in config.items():
            yield from find_code(value, "auto_map" if field == "auto_map" else str(name))
    elif isinstance(config, list):
        for value in config:
            yield from find_code(value, field)
    elif config is not None and (
        field in ("auto_map", "checkpoint_path") or (field.endswith("attn_implementation") and "/" in str(config))
    ):
        yield str(config)
