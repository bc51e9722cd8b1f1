"""Reads checkpoint files without running what is in them."""

import hashlib
import pickle
import pickletools
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from interpfer.errors import ModelError, TrustError

WEIGHT_KEYS = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.")
CARD_KEY = "card"
TENSOR_PARTS = re.compile(r"torch\._utils\._rebuild\w+|torch\.\w+Storage|collections\.OrderedDict")


@dataclass(frozen=True)
class Checkpoint:
    """What a file held.

    Attributes:
        weights: names -> tensors, wrapper prefixes removed; None if it held a whole module.
        module: the whole module, or None.
        card: the raw fields of a card inside the file.
        sha256: of the file.
    """

    weights: Mapping[str, Tensor] | None
    module: nn.Module | None
    card: Mapping[str, Any]
    sha256: str


def read_checkpoint(path: Path, trust: bool = False) -> Checkpoint:
    """Read a checkpoint with ``weights_only=True``; unpickle it freely only with ``trust``.

    Raises:
        TrustError: the file is a pickle that would run code; the message names what.
        ModelError: no such file, or nothing usable in it.
    """
    if not path.is_file():
        raise ModelError(f"there is no checkpoint {path}.")
    if path.stat().st_size == 0:
        raise ModelError(f"checkpoint {path} is empty; copy or download it again.")
    content = _load(path, trust)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if isinstance(content, nn.Module):
        return Checkpoint(None, content, {}, sha256)
    if not isinstance(content, Mapping):
        raise ModelError(f"checkpoint {path} holds a {type(content).__name__}; expected weights or a module.")
    card = content.get(CARD_KEY) or {}
    if not isinstance(card, Mapping):
        raise ModelError(f"the card inside {path} should be a mapping of fields, found {card!r}.")
    for key in WEIGHT_KEYS:
        if isinstance(content.get(key), nn.Module):
            return Checkpoint(None, content[key], card, sha256)
        if _is_weights(content.get(key)):
            content = content[key]
            break
    if not _is_weights(content):
        raise ModelError(
            f"checkpoint {path} holds no weights; its keys are {', '.join(map(str, list(content)[:8])) or 'none'}; "
            f"expected a state_dict, plain or under {', '.join(WEIGHT_KEYS)}."
        )
    return Checkpoint(_without_prefixes(content), None, card, sha256)


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Copy weights into a network.

    Raises:
        ModelError: names or shapes differ; the message shows the first few.
    """
    own = module.state_dict()
    missing, extra = [k for k in own if k not in weights], [k for k in weights if k not in own]
    shapes = [
        f"{k} is {tuple(weights[k].shape)} in the file and {tuple(own[k].shape)} in the architecture"
        for k in own
        if k in weights and weights[k].shape != own[k].shape
    ]
    problems = [
        *([f"missing: {_few(missing)}"] if missing else []),
        *([f"unexpected: {_few(extra)}"] if extra else []),
        *([_few(shapes)] if shapes else []),
    ]
    if problems:
        raise ModelError(f"the weights of {where} do not fit the architecture: {'; '.join(problems)}.")
    module.load_state_dict(dict(weights))


def _few(items: list[str], count: int = 3) -> str:
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more


def _load(path: Path, trust: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on old pickles
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as refusal:
        wanted = _unsafe_globals(path)
        if wanted and not trust:
            raise TrustError(
                f"checkpoint {path} is a pickle that would import and run {_few(wanted)}; "
                "if you trust where it comes from, say --trust (trust=True)."
            ) from None
        if not wanted:
            raise ModelError(f"{path} is not a readable checkpoint (it holds no tensors).") from refusal
    except (RuntimeError, EOFError, ValueError, KeyError, BadZipFile, OSError) as error:
        raise ModelError(f"{path} is not a readable checkpoint ({_first_line(error)}).") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        raise ModelError(f"{path} cannot be unpickled: {type(error).__name__}: {_first_line(error)}.") from error


def _unsafe_globals(path: Path) -> list[str]:
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # a file from before torch 1.6, a bare pickle, or no pickle at all
        return sorted(set(_pickled_globals(path)))


def _pickled_globals(path: Path) -> Iterator[str]:
    """Yield what the pickles at the beginning of a file would import, but for what makes a tensor."""
    texts = ["", ""]
    with path.open("rb") as file:
        try:
            while True:
                for code, argument, _ in pickletools.genops(file):
                    name = None
                    if code.name == "GLOBAL":
                        name = str(argument).replace(" ", ".")
                    elif code.name == "STACK_GLOBAL":
                        name = ".".join(texts)
                    elif isinstance(argument, str):
                        texts = [texts[1], argument]
                    if name and not TENSOR_PARTS.fullmatch(name):
                        yield name
        except Exception:  # the end of the pickles
            return


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _is_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(item, Tensor) for item in value.values())


def _without_prefixes(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    while prefix := next((p for p in PREFIXES if weights and all(name.startswith(p) for name in weights)), None):
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights
