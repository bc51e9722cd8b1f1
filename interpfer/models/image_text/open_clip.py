"""Networks of open_clip as image-text models: ``arch: open_clip:NAME`` with a file of weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError, nearest
from interpfer.models.image_text.folder import quiet
from interpfer.models.image_text.towers import TwoTowers
from interpfer.models.messages import first_line
from interpfer.models.readers.transforms import read_transforms
from interpfer.registry import missing_package

SOURCE = "open_clip"
"""Source of these architectures in a card, and of addresses, ``open_clip:NAME/TAG`` or ``open_clip:NAME/FILE``."""

ARGUMENTS = ("force_quick_gelu", "force_image_size")
"""Arguments of ``create_model`` that a card may hold: none that reads other files."""

QUICK = "-quickgelu"
"""End of the names of networks with OpenAI's activation."""


class OpenClipTowers(TwoTowers):
    """The towers of a network of open_clip.

    Args:
        model: the network.
        name: its name.
        arguments: with which it was built.
    """

    def __init__(self, model: nn.Module, name: str, arguments: Mapping[str, Any]) -> None:
        super().__init__(model, SOURCE, f"{SOURCE}:{name}")
        self.name = name
        self.arguments = dict(arguments)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the weights under the names of open_clip."""
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights under the names of open_clip."""
        return self.model.load_state_dict(state_dict, strict=strict, assign=assign)

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Return the embeddings of texts as the library computes them.

        Raises:
            ModelError: the tokenizer cannot be loaded, or a text is too long.
        """
        library = import_open_clip(self.where)
        try:
            with quiet():
                tokenizer: Any = library.get_tokenizer(self.name)
        except Exception as error:  # some are downloaded
            raise ModelError(
                f"the tokenizer of {self.where} cannot be loaded: {type(error).__name__}: {first_line(error)}."
            ) from error
        tokens: Tensor = tokenizer(list(texts))
        length = tokens.shape[1]
        beyond = tokenizer(list(texts), context_length=2 * length)[:, length:]
        cut = (beyond != beyond[:, :1]).any(1)  # all padding, where a text ends before
        if bool(cut.any()):
            text = texts[int(cut.nonzero()[0])]
            raise ModelError(f"{self.where}: the text '{text}' has more than the {length} tokens that the model reads.")
        model: Any = self.model
        with torch.no_grad():
            embedded: Tensor = model.encode_text(tokens)
        return embedded

    def image_tower(self) -> tuple[nn.Module, nn.Module, int, dict[str, Any]]:
        """Return the tower, an identity, and the width of the shared space."""
        visual: Any = self.model.visual
        size = visual.image_size
        side = size[0] if isinstance(size, Sequence) else size
        with torch.no_grad():
            parameter = next(visual.parameters())
            features = visual(torch.zeros(1, 3, side, side, dtype=parameter.dtype))
        if not isinstance(features, Tensor):
            raise ModelError(f"{self.where} returns more than one embedding of an image, which is not supported.")
        return visual, nn.Identity(), features.shape[1], {"model": self.name} | self.arguments

    def scale_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """Return the factor on cosines, and SigLIP's bias."""
        scale, bias = (getattr(self.model, name, None) for name in ("logit_scale", "logit_bias"))
        assert isinstance(scale, Tensor)
        return scale.exp(), bias


def import_open_clip(where: str) -> Any:
    """Return the package.

    Raises:
        ModelError: it is not installed.
    """
    try:
        import open_clip
    except ModuleNotFoundError as error:
        raise ModelError(f"{where} needs {missing_package(error)}") from error
    return open_clip


def from_open_clip(name: str, classes: int, **arguments: Any) -> nn.Module:  # noqa: ARG001
    """Return the untrained towers of a network of open_clip, to which texts are bound after its weights are read.

    Args:
        name: name of the network, such as "ViT-B-32".
        classes: number of outputs; the texts decide it.
        arguments: ``force_quick_gelu`` or ``force_image_size``.

    Raises:
        ModelError: open_clip is not installed, has no such network, or an argument would read other files.
    """
    library = import_open_clip(f"arch '{SOURCE}:{name}'")
    if name not in library.list_models():
        raise ModelError(f"open_clip has no model '{name}'.{nearest(name, library.list_models())}")
    if refused := sorted(set(arguments) - set(ARGUMENTS)):
        raise ModelError(
            f"arch '{SOURCE}:{name}': arch_args may hold {', '.join(ARGUMENTS)}, got {', '.join(refused)}: the weights "
            "come from the checkpoint alone."
        )
    with quiet():
        return OpenClipTowers(library.create_model(name, load_weights=False, **arguments).eval(), name, arguments)


def describe_assumptions(name: str) -> tuple[dict[str, Any], str]:
    """Return the field ``input`` of a network of open_clip, and what was assumed.

    The settings are those that all published weights of this network share; where they differ, those of OpenAI's CLIP.
    """
    library = import_open_clip(f"arch '{SOURCE}:{name}'")
    config = library.get_model_config(name) or {}
    published = [library.get_pretrained_cfg(name, tag) for tag in library.list_pretrained_tags_by_model(name)]
    settings = {
        str([each.get(key) for key in ("mean", "std", "interpolation", "resize_mode")]): each for each in published
    }
    own = next(iter(settings.values())) if len(settings) == 1 else {}
    transform = library.image_transform(
        config.get("vision_cfg", {}).get("image_size", 224),
        is_train=False,
        mean=own.get("mean"),
        std=own.get("std"),
        interpolation=own.get("interpolation"),
        resize_mode=own.get("resize_mode"),
    )
    transform.transforms = [each for each in transform.transforms if type(each).__name__ != "MaybeConvertMode"]
    fields = dict(read_transforms(transform, f"open_clip:{name}").fields)
    assumed = "mean, deviation and resizing of its published weights" if own else "those of OpenAI's CLIP"
    note = f"input assumed as open_clip prepares {name}: {assumed}"
    if f"{name}{QUICK}" in library.list_models():
        note += f"; weights of OpenAI need {SOURCE}:{name}{QUICK}, as their activation is another one"
    return fields, note


def locate_weights(address: str) -> tuple[Path, str]:
    """Return the file of weights that ``open_clip:NAME/TAG`` or ``open_clip:NAME/FILE`` names, and its architecture.

    Published weights are read from the cache of the hub, else downloaded.

    Raises:
        ModelError: the address has another form, or there is no such file or tag.
    """
    name, _, rest = address.removeprefix(f"{SOURCE}:").partition("/")
    form = f"an address of open_clip must be {SOURCE}:NAME/TAG or {SOURCE}:NAME/FILE"
    if not name or not rest:
        raise ModelError(f"{form}, got '{address}'; for a file with a card pass the file and --arch {SOURCE}:{name}.")
    file = next((path for path in (Path(rest), Path(f"/{rest}")) if path.is_file()), None)
    if file is not None:
        return file, f"{SOURCE}:{name}"
    library = import_open_clip(address)
    tags = list(library.list_pretrained_tags_by_model(name))
    if rest not in tags:
        known = f" Tags: {', '.join(tags)}." if tags else ""
        raise ModelError(f"{form}, got '{address}': no such file, and no such tag.{nearest(rest, tags)}{known}")
    try:
        with quiet():
            found = library.download_pretrained(library.get_pretrained_cfg(name, rest))
    except Exception as error:  # the network may fail in any way
        raise ModelError(
            f"the weights {address} are not on this machine and cannot be downloaded: {type(error).__name__}: "
            f"{first_line(error)}."
        ) from error
    return Path(found), f"{SOURCE}:{name}"
