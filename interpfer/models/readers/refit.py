"""Fits the weights of a Hugging Face folder to a known network where its config.json names none that has them.

Such a folder names another ``model_type`` than its weights are of, as some do for ConvNeXt V2, or a class of its own,
whose code is not run. The names of the tensors say which networks may be meant; one is used only if every name and
shape fits.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from interpfer.models.hugging_face import from_hugging_face

OWN_FIELDS = ("model_type", "auto_map", "architectures", "transformers_version", "torch_dtype", "dtype")
"""Fields of config.json that name the network, or do not describe it."""


def read_folder_weights(folder: Path, weights: tuple[str, ...]) -> dict[str, Tensor]:
    """Return the weights in a folder, in one file or in several.

    Args:
        folder: a folder.
        weights: names of files with weights, the preferred ones first.

    Raises:
        ModelError: a file is broken, or an index names a file elsewhere.
        TrustError: a pickle would run code.
    """
    from interpfer.models.readers.base import Request
    from interpfer.models.readers.safetensors import SafeTensors
    from interpfer.models.readers.shards import read_shards
    from interpfer.models.readers.torchfile import TorchFile

    file = next(folder / name for name in weights if (folder / name).is_file())
    if file.name.endswith(".index.json"):
        return read_shards(file)
    reader = SafeTensors() if SafeTensors().accepts(file) else TorchFile()
    return dict(reader.read(file, Request()).weights or {})


def fit_network(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> tuple[str, nn.Module] | None:
    """Return the type and the network of transformers that has exactly these weights, with the weights; None if none.

    Args:
        config: content of config.json; fields of another type of network are ignored.
        weights: name -> tensor.
    """
    fields = {name: value for name, value in config.items() if name not in OWN_FIELDS}
    if not {"id2label", "num_labels"} & set(fields):
        fields["num_labels"] = _count_classes(weights)
    for name in _list_types(config, weights):
        try:
            network = from_hugging_face(name, 0, **fields)
        except Exception:  # a config of this type may need other fields
            continue
        expected = network.state_dict()
        names = {key for key in expected if not key.endswith("num_batches_tracked")}
        given = {key: value for key, value in weights.items() if not key.endswith("num_batches_tracked")}
        if names == set(given) and all(expected[key].shape == value.shape for key, value in given.items()):
            network.load_state_dict(dict(weights), strict=False)
            return name, network.eval()
    return None


def _list_types(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield the types of networks that the names of the tensors, the class and the type in the config may mean."""
    from transformers import CONFIG_MAPPING

    prefixes = list(dict.fromkeys(name.partition(".")[0] for name in weights))
    named = config.get("architectures")
    classes = [re.sub(r"(ForImageClassification|Model)$", "", str(each)) for each in named or []]
    wanted = [_plain(text) for text in (*prefixes, *classes, str(config.get("model_type", "")))]
    known = {_plain(name): name for name in CONFIG_MAPPING}
    yield from dict.fromkeys(known[text] for text in wanted if text in known)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _count_classes(weights: Mapping[str, Tensor]) -> int:
    return next((len(value) for name, value in reversed(list(weights.items())) if name.endswith("weight")), 0)
