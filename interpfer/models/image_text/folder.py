"""Folders of CLIP, SigLIP and SigLIP 2 as transformers writes them: two towers, a tokenizer, an image processor."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.image_text.network import PatchTower
from interpfer.models.image_text.towers import TwoTowers
from interpfer.models.input import describe_input, parse_input
from interpfer.models.messages import first_line
from interpfer.models.readers.base import CheckpointData
from interpfer.models.readers.processors import FILES, read_processor
from interpfer.models.readers.proof import PublishedInput
from interpfer.models.readers.signatures import read_json
from interpfer.registry import missing_package

TYPES = ("clip", "siglip", "siglip2")
"""Types of config.json with two towers."""

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model")
"""Files of which a tokenizer needs some."""

FIRST_EOS = 2
"""End of text in old configs of CLIP, for which the library takes the largest token instead."""


def is_image_text(config: Mapping[str, Any]) -> bool:
    """Return whether a config.json is of a model of images and texts, not of a classifier with such an image tower.

    Examples:
        >>> is_image_text({"model_type": "clip", "architectures": ["CLIPModel"]})
        True
        >>> is_image_text({"model_type": "clip", "architectures": ["CLIPForImageClassification"]})
        False
    """
    classes = [str(name) for name in config.get("architectures") or ()]
    return config.get("model_type") in TYPES and not any(name.endswith("ForImageClassification") for name in classes)


class FolderTowers(TwoTowers):
    """The towers of a model of transformers.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        kind: "clip", "siglip" or "siglip2".
        where: the folder, for messages.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, kind: str, where: str) -> None:
        super().__init__(model, kind, where)
        self.tokenizer = tokenizer
        self.config: Any = model.config

    @property
    def prefix_tokens(self) -> int:
        """Number of class tokens: one of CLIP; SigLIP has none."""
        return 1 if self.kind == "clip" else 0

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Return the embeddings of texts as the library computes them.

        Raises:
            ModelError: a text is too long, or the tokenizer is not that of the weights.
        """
        settings = self.config.text_config
        length = int(settings.max_position_embeddings)
        for text in texts:
            if (count := len(self.tokenizer(text)["input_ids"])) > length:
                raise ModelError(f"{self.where}: the text '{text}' has {count} tokens, and the model reads {length}.")
        fill = {"padding": True} if self.kind == "clip" else {"padding": "max_length", "max_length": length}
        tokens = self.tokenizer(list(texts), return_tensors="pt", **fill)
        self._check(texts, tokens["input_ids"], settings)
        text_model: Any = self.model
        features = text_model.get_text_features(**{name: tokens[name] for name in tokens if name != "token_type_ids"})
        embedded = features if isinstance(features, Tensor) else features.pooler_output
        assert isinstance(embedded, Tensor)
        return embedded

    def _check(self, texts: Sequence[str], ids: Tensor, settings: Any) -> None:
        """Check that the tokens are those of the weights: known, in the vocabulary, and with an end of text."""
        wrong = f"{self.where}: its tokenizer is not that of its weights"
        if int(ids.max()) >= settings.vocab_size:
            raise ModelError(f"{wrong}: token {int(ids.max())} of a vocabulary of {settings.vocab_size}.")
        unknown, known = self.tokenizer.unk_token_id, (self.tokenizer.eos_token_id, self.tokenizer.pad_token_id)
        if unknown is not None and unknown not in known and (row := (ids == unknown).any(1).nonzero()).numel():
            raise ModelError(f"{self.where}: its tokenizer does not know all of the text '{texts[int(row[0])]}'.")
        if self.kind != "clip":
            return
        end = settings.eos_token_id
        ends = ids == (self.tokenizer.eos_token_id if end == FIRST_EOS else end)
        has_end = ends.any(1) & (ids.amax(1) == self.tokenizer.eos_token_id if end == FIRST_EOS else True)
        if not bool(has_end.all()):
            raise ModelError(f"{wrong}: its texts do not end with the token {end} that the config names.")

    def image_tower(self) -> tuple[nn.Module, nn.Module, int, dict[str, Any]]:
        """Return the tower, the projection, the width of the shared space, and the arguments that build both."""
        return split_tower(self.model, self.kind)

    def scale_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """Return the factor on cosines, and SigLIP's bias."""
        scale, bias = (getattr(self.model, name, None) for name in ("logit_scale", "logit_bias"))
        assert isinstance(scale, Tensor)
        return scale.exp(), bias


def split_tower(model: nn.Module, kind: str) -> tuple[nn.Module, nn.Module, int, dict[str, Any]]:
    """Return the image tower of a model of transformers, its projection, their width, and their config.

    Raises:
        ModelError: the tower has no pooled output.
    """
    config: Any = model.config
    vision: Any = model.vision_model
    arguments: dict[str, Any] = {"vision_config": config.vision_config.to_dict()}
    if kind == "clip":
        projection: Any = model.visual_projection
        return vision, projection, projection.out_features, arguments | {"projection_dim": config.projection_dim}
    if not getattr(config.vision_config, "vision_use_head", True):
        raise ModelError("the image tower has no pooling head (vision_use_head: false), so it gives no embedding.")
    tower = PatchTower(vision, config.vision_config.patch_size) if kind == "siglip2" else vision
    return tower, nn.Identity(), config.vision_config.hidden_size, arguments


def read_image_text(path: Path, config: Mapping[str, Any], trust: bool) -> CheckpointData:
    """Read a folder with two towers.

    Raises:
        ModelError: the weights are not those of the config, the tokenizer is missing, or a package is.
    """
    kind = str(config["model_type"])
    try:
        from transformers import AutoModel
    except ModuleNotFoundError as error:
        raise ModelError(f"{path} is a Hugging Face folder; reading it needs {missing_package(error)}") from error
    tokenizer = _read_tokenizer(path, trust)
    try:
        with quiet():
            load: Any = AutoModel.from_pretrained
            model, report = load(str(path), local_files_only=True, trust_remote_code=trust, output_loading_info=True)
    except Exception as error:  # the file may hold anything
        raise ModelError(
            f"{path} cannot be read by transformers as a {kind} model: {type(error).__name__}: {first_line(error)}."
        ) from error
    wrong = [str(name) for key in ("missing_keys", "mismatched_keys") for name in sorted(map(str, report.get(key, ())))]
    if wrong:
        raise ModelError(
            f"the weights of {path} do not fit its config.json: {len(wrong)} are missing or of another shape, such as "
            f"{wrong[0]}; an image-text model needs the weights of both towers."
        )
    with quiet():
        towers = FolderTowers(model.eval(), tokenizer, kind, str(path)).eval()
        published = (
            _read_patches(path, model.config) if kind == "siglip2" else read_processor(path, model.config, trust)
        )
    return CheckpointData(
        "Hugging Face folder",
        module=towers,
        card={"input": dict(published.fields)} if published.fields else {},
        class_name=type(model).__name__,
        input_note=published.note,
        input_problem=published.problem,
    )


def _read_tokenizer(path: Path, trust: bool) -> Any:
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(
            f"{path} has no tokenizer ({', '.join(TOKENIZER_FILES[:3])} or {TOKENIZER_FILES[3]}): the classes of an "
            "image-text model are texts; copy the tokenizer's files of the publisher into the folder."
        )
    from transformers import AutoTokenizer

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(str(path), local_files_only=True, trust_remote_code=trust)
    except Exception as error:  # the files may hold anything, and some need other packages
        hint = " (pip install sentencepiece)" if "sentencepiece" in str(error).lower() else ""
        raise ModelError(
            f"the tokenizer of {path} cannot be read{hint}: {type(error).__name__}: {first_line(error)}."
        ) from error


def _read_patches(path: Path, config: Any) -> PublishedInput:
    """Return the input of SigLIP 2 with patches of any number, for square images."""
    file = next((path / name for name in FILES if read_json(path / name)), None)
    settings: Any = read_json(file) if file is not None else {}
    settings = settings.get("image_processor") or settings
    patch = int(config.vision_config.patch_size)
    count = int(settings.get("max_num_patches") or config.vision_config.num_patches)
    mean, std = (list(settings.get(name) or [0.5] * 3) for name in ("image_mean", "image_std"))
    fields = {"size": int(count**0.5) * patch, "mean": mean, "std": std, "rounded": "torchvision"}
    spec = parse_input(fields, str(file or path))
    assumed = "" if file is not None else f"no {FILES[0]} beside the weights: mean and deviation .5 assumed; "
    note = (
        f"{assumed}pictures are made {spec.size} x {spec.size}; the publisher's processor keeps the aspect ratio of "
        "pictures that are not square"
    )
    return PublishedInput(describe_input(spec), note=note)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what a library prints while it reads: warnings, progress, and its log below errors."""
    loggers = [logging.getLogger(), logging.getLogger("transformers")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
