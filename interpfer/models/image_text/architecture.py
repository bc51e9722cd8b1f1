"""Image-text models with fixed texts as architectures of a card: ``arch: image-text:clip``, as fine-tuning writes."""

import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from interpfer.errors import ModelError, TrustError
from interpfer.models.image_text.folder import TYPES, quiet, split_tower
from interpfer.models.image_text.network import ImageTextNetwork
from interpfer.models.image_text.open_clip import SOURCE as OPEN_CLIP
from interpfer.models.image_text.open_clip import from_open_clip
from interpfer.models.messages import REVIEW
from interpfer.models.readers.own_code import find_code
from interpfer.registry import missing_package

SOURCE = "image-text"
"""Source of these architectures in a card."""

SMALL_TEXT: Mapping[str, Any] = {"num_hidden_layers": 1, "vocab_size": 8, "max_position_embeddings": 4}
"""Config of the text tower that is built beside the image tower and thrown away."""


def from_image_text(name: str, classes: int, **arguments: Any) -> nn.Module:
    """Return an untrained image tower with room for the embeddings of texts.

    Args:
        name: "clip", "siglip", "siglip2" or "open_clip".
        classes: number of classes and action units together.
        arguments: ``vision_config``, of CLIP ``projection_dim``; of open_clip ``model``, its name; and ``au_count``
            where there are action units.

    Raises:
        ModelError: there is no such type, or transformers is missing.
        TrustError: the config names code of its own.
    """
    if code := list(find_code(arguments)):
        raise TrustError(f"arch '{SOURCE}:{name}' contains its own code ({', '.join(code)}); {REVIEW}.")
    own = dict(arguments)
    au_count = int(own.pop("au_count", 0))
    if name == OPEN_CLIP:
        towers: Any = from_open_clip(str(own.pop("model", "")), classes, **own)
        tower, projection, width, facts = towers.image_tower()
        return ImageTextNetwork(tower, projection, classes - au_count, au_count, width, name, facts)
    if name not in TYPES:
        raise ModelError(f"arch '{SOURCE}:{name}': the type must be one of {', '.join((*TYPES, OPEN_CLIP))}.")
    try:
        from transformers import CONFIG_MAPPING, AutoModel
    except ModuleNotFoundError as error:
        raise ModelError(f"arch '{SOURCE}:{name}' needs {missing_package(error)}") from error
    with quiet():
        config = CONFIG_MAPPING[name].from_dict({**own, "text_config": dict(SMALL_TEXT)})
        builder: Any = AutoModel
        tower, projection, width, facts = split_tower(builder.from_config(config), name)
    network = ImageTextNetwork(tower, projection, classes - au_count, au_count, width, name, facts)
    network.num_prefix_tokens = 1 if name == "clip" else 0
    return network


def describe_image_text(network: ImageTextNetwork) -> dict[str, Any]:
    """Return the card fields with which ``from_image_text`` builds a network."""
    arguments = json.loads(json.dumps(network.arguments, default=str))
    counts = {"au_count": len(network.au_text)} if len(network.au_text) else {}
    return {"arch": f"{SOURCE}:{network.kind}", "arch_args": arguments | counts}
