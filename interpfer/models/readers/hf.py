"""Folders of Hugging Face models: classifiers of images and clips of transformers, and of timm."""

import contextlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from interpfer.errors import DataError, InterpferError, ModelError, TrustError
from interpfer.files import bounded_integer
from interpfer.labels import canonical_classes
from interpfer.models.hugging_face_clips import clip_fields, find_builder
from interpfer.models.image_text.folder import is_image_text, read_image_text
from interpfer.models.messages import REVIEW, first_line
from interpfer.models.readers.base import CheckpointData, Request
from interpfer.models.readers.own_code import find_code
from interpfer.models.readers.processors import FILES, read_processor
from interpfer.models.readers.refit import fit_network, read_folder_weights
from interpfer.models.readers.shards import list_shards
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
            return _read_timm(path, config)
        for name in WEIGHTS:
            if name.endswith(".index.json") and (path / name).is_file():
                list_shards(path / name)
        code = [name for file in (CONFIG, *FILES) for name in find_code(read_json(path / file))]
        only_class = bool(code) and sorted(code) == sorted(find_code({"auto_map": config.get("auto_map")}))
        if only_class and not request.trust:
            return _read_without_code(path, config, code)
        if code and not request.trust:
            raise TrustError(f"{path} contains its own code ({', '.join(code)}); {REVIEW}.")
        if is_image_text(config):
            return read_image_text(path, config, request.trust)
        network, notes = _read_network(path, config, request.trust)
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            published = read_processor(path, network.config, request.trust)
        inputs = dict(published.fields) | clip_fields(network.config)
        fields = {"input": inputs} if inputs else {}
        return CheckpointData(
            "Hugging Face folder",
            module=network.eval(),
            card=read_labels(config) | fields | {"output": "logits"},
            notes=notes,
            class_name=type(network).__name__,
            input_note=published.note,
            input_problem=published.problem,
            classes_problem=find_label_problem(config),
        )


def _read_network(path: Path, config: Mapping[str, Any], trust: bool) -> tuple[Any, tuple[str, ...]]:
    """Return the network of a folder, and a note where it is of another type than config.json says."""
    try:
        builder = find_builder(str(config.get("model_type")))
    except ModuleNotFoundError as error:
        raise ModelError(f"{path} is a Hugging Face folder; reading it needs {missing_package(error)}") from error
    problem, wrong = "", list[str]()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            load = builder.from_pretrained
            network, report = load(str(path), local_files_only=True, trust_remote_code=trust, output_loading_info=True)
        wrong = [name for key in ("missing_keys", "mismatched_keys") for name in sorted(map(str, report.get(key, ())))]
        if not wrong:
            return network, ()
        problem = (
            f"the weights of {path} do not fit its config.json: {len(wrong)} are missing or of another shape, "
            f"such as {wrong[0]}; copy config and weights of the same model"
        )
    except Exception as error:
        problem = (
            f"{path} cannot be read by transformers as an image classifier: {type(error).__name__}: {first_line(error)}"
        )
    try:
        found = fit_network(config, read_folder_weights(path, WEIGHTS))
    except InterpferError:
        found = None
    if found is None:
        raise ModelError(f"{problem}.")
    kind = config.get("model_type")
    return found[1], (f"config.json says model_type '{kind}', but every weight fits {found[0]}, which was built",)


def _read_without_code(path: Path, config: Mapping[str, Any], code: list[str]) -> CheckpointData:
    """Read a folder with a class of its own without running it: the weights must be those of a known network.

    Raises:
        TrustError: they are not.
    """
    from interpfer.models.identify import identify_architecture

    weights = read_folder_weights(path, WEIGHTS)
    note = f"the folder's own code ({', '.join(code)}) was not run; its weights were fitted to a known network"
    try:
        found = fit_network(config, weights)
    except ModuleNotFoundError:
        found = None
    guess = None if found is not None else identify_architecture(weights)
    if found is None and (guess is None or guess.chosen is None):
        why = f"; without its code: {guess.why}" if guess is not None else ""
        raise TrustError(f"{path} contains its own code ({', '.join(code)}); {REVIEW}{why}.")
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        settings = found[1].config if found is not None else SimpleNamespace(image_size=config.get("image_size"))
        published = read_processor(path, settings, False)
    card = read_labels(config) | ({"input": dict(published.fields)} if published.fields else {})
    return CheckpointData(
        "Hugging Face folder",
        None if found is not None else weights,
        found[1] if found is not None else None,
        card | ({"output": "logits"} if found is not None else {}),
        notes=(note,),
        class_name=str((config.get("architectures") or [""])[0]) or None,
        input_note=published.note,
        input_problem=published.problem,
        classes_problem=find_label_problem(config),
    )


def _read_timm(path: Path, config: Mapping[str, Any]) -> CheckpointData:
    """Read a folder of timm: the name of an architecture, and weights."""
    weights = read_folder_weights(path, WEIGHTS)
    pretrained = config.get("pretrained_cfg")
    settings = pretrained if isinstance(pretrained, Mapping) else config
    labels = [str(name) for name in settings.get("label_names") or config.get("label_names") or []]
    published = read_timm_config(settings, str(path / CONFIG))
    arguments = dict(config.get("model_args") or {})
    card = {"arch": f"timm:{config['architecture']}", "arch_args": arguments, "input": dict(published.fields)}
    return CheckpointData(
        "timm folder",
        weights,
        card=card | _to_classes(labels),
        input_problem=published.problem,
    )


def read_labels(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field ``classes`` of a card from the labels in config.json, if they are names."""
    try:
        labels = _list_labels(config)
        return {"classes": list(canonical_classes(labels))} if labels else {}
    except DataError:
        return {}


def find_label_problem(config: Mapping[str, Any]) -> str:
    """Return why ``read_labels`` uses no labels of config.json; "" where it uses them, or there are none."""
    try:
        canonical_classes(_list_labels(config))
    except DataError as error:
        return f"the labels in its {CONFIG} are not used: {str(error).removesuffix('.')}"
    return ""


def _list_labels(config: Mapping[str, Any]) -> list[str]:
    """Return the labels in output order.

    Raises:
        DataError: they are not numbered from 0 without a gap.
    """
    labels, names = config.get("id2label"), config.get("label_names")
    if isinstance(names, list):
        return [str(name) for name in names]
    if not isinstance(labels, Mapping):
        return []
    numbers = {bounded_integer(str(key)): str(name) for key, name in labels.items() if str(key).isdecimal()}
    if sorted(numbers) != list(range(len(labels))):
        keys = ", ".join(map(str, list(labels)[:4]))
        raise DataError(
            f"id2label must number the outputs 0, 1, 2, ..., got {keys}{', ...' if len(labels) > 4 else ''}"
        )
    return [numbers[index] for index in range(len(numbers))]


def _to_classes(labels: list[str]) -> dict[str, Any]:
    """Return the field ``classes`` of a card if the labels are names, else no field."""
    return read_labels({"label_names": labels})
