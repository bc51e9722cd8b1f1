"""Checkpoints of the Hugging Face hub: ``hf://OWNER/NAME[@REVISION][/FILE]`` in place of a path.

The copy in the cache of huggingface_hub is read first. The network is used only for what is not there, as naming such
an address asks for it. ``timm:hf-hub:OWNER/NAME`` and ``timm:local-dir:FOLDER`` are the same addresses as timm writes
them, and ``open_clip:NAME/TAG`` or ``open_clip:NAME/FILE`` is one of open_clip. Without a network the answer comes at
once: huggingface_hub itself would retry for half a minute.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from interpfer.errors import ModelError
from interpfer.models.image_text.folder import TOKENIZER_FILES
from interpfer.models.image_text.open_clip import SOURCE as OPEN_CLIP
from interpfer.models.image_text.open_clip import locate_weights
from interpfer.models.messages import first_line, list_few
from interpfer.models.readers.folder import SUFFIXES
from interpfer.models.readers.hf import WEIGHTS
from interpfer.registry import missing_package
from interpfer.runtime.hub_access import (
    CONNECT_SECONDS,
    HubAddress,
    describe_failure,
    describe_missing,
    is_reachable,
    normalise,
    parse_address,
    take_snapshot,
)

FORM = "hf://OWNER/NAME[@REVISION][/FILE]"
TIMM_HUB, TIMM_FOLDER = "timm:hf-hub:", "timm:local-dir:"


@dataclass(frozen=True)
class Located:
    """A checkpoint on this machine.

    Attributes:
        path: file or folder.
        source: address with the commit that was read; "" for a path of the user.
        name: name in tables if nothing else names the model; "" for that of the path.
        arch: architecture that the address names; "" for none.
    """

    path: Path
    source: str = ""
    name: str = ""
    arch: str = ""

    def add_arch(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return raw fields of a card with the architecture that the address names, if they name none."""
        return {**fields, "arch": self.arch} if self.arch and not fields.get("arch") else dict(fields)


def parse_model_address(model: str | Path) -> HubAddress | None:
    """Return the address that a model names; None for a path.

    Args:
        model: path or address.

    Raises:
        ModelError: the address has another form than ``hf://OWNER/NAME[@REVISION][/FILE]``.

    Examples:
        >>> parse_model_address("hf://owner/name@v1.0/best.pt")
        HubAddress(repo='owner/name', revision='v1.0', path='best.pt', is_data=False)
        >>> parse_model_address("model.pt") is None
        True
    """
    text = normalise(model)
    if text.startswith(TIMM_HUB):
        text = "hf://" + text.removeprefix(TIMM_HUB)
    if not text.startswith("hf://"):
        return None
    address = parse_address(text)
    if address is None or address.is_data:
        hint = "; it names a data set, not a model" if address else ""
        raise ModelError(f"an address of the hub must be {FORM}, got '{text}'{hint}.")
    if "%" in address.path:
        raise ModelError(f"{text}: the file must be a path in the repository, got '{address.path}'.")
    return address


def locate(model: str | Path) -> Located:
    """Return where a checkpoint is on this machine; one of the hub is read from the cache, else downloaded.

    Args:
        model: path or address.

    Raises:
        ModelError: the address is wrong, or there is no such repository, revision or file, or no network; or
            huggingface_hub is missing.

    Examples:
        >>> locate("model.pt")
        Located(path=PosixPath('model.pt'), source='', name='', arch='')
    """
    if str(model).startswith(TIMM_FOLDER):
        return Located(Path(str(model).removeprefix(TIMM_FOLDER)))
    if str(model).startswith(f"{OPEN_CLIP}:"):
        path, arch = locate_weights(str(model))
        is_file = str(model).endswith(path.name)
        return Located(path, "" if is_file else str(model), "" if is_file else str(model).rpartition("/")[2], arch)
    address = parse_model_address(model)
    if address is None:
        return Located(Path(model))
    try:
        import huggingface_hub  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModelError(f"{address} needs {missing_package(error)}") from error
    folder = find_cached(address) or _download(address)
    path = folder / address.path
    pinned = replace(address, revision=folder.name)
    name = PurePosixPath(address.path).stem if address.path else address.repo.partition("/")[2]
    return Located(path, str(pinned), name)


def find_cached(address: HubAddress) -> Path | None:
    """Return the folder of a revision in the cache if it holds what the address names; else None. No network is used.

    Args:
        address: repository, or a file in it.

    Raises:
        ModelError: the address is not one of the hub.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = take_snapshot(snapshot_download, address, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise ModelError(f"an address of the hub must be {FORM}, got '{address}' ({first_line(error)}).") from error
    except Exception:  # a snapshot that is only partly there
        return None
    if address.path:
        return folder if (folder / address.path).exists() else None
    names = [item.name for item in folder.iterdir()]
    return folder if _list_wanted(names) and not _list_missing_shards(folder) else None


def _list_missing_shards(folder: Path) -> list[str]:
    from interpfer.models.readers.shards import list_shards

    indices = [folder / name for name in WEIGHTS if name.endswith(".index.json") and (folder / name).is_file()]
    whole = [name for name in WEIGHTS if not name.endswith(".json") and (folder / name).is_file()]
    return [] if whole else [name for index in indices for name in list_shards(index) if not (folder / name).exists()]


def _download(address: HubAddress) -> Path:
    from huggingface_hub import HfApi, constants, snapshot_download

    if constants.HF_HUB_OFFLINE or not is_reachable(constants.ENDPOINT):
        raise ModelError(f"{describe_missing(address)}.")
    try:
        info = HfApi().model_info(address.repo, revision=address.revision or None, timeout=CONNECT_SECONDS * 5)
        names = [each.rfilename for each in info.siblings or ()]
        wanted = _list_files(address, names)
        # the branch is named where the user named one, so that the cache finds it again
        return take_snapshot(snapshot_download, address, allow_patterns=wanted)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{describe_failure(address, error)}.") from error


def _list_files(address: HubAddress, names: Sequence[str]) -> list[str]:
    """Return the files of a repository to download.

    Raises:
        ModelError: there is no such file, or several checkpoints and no config says which.
    """
    if address.path:
        found = [name for name in names if name == address.path or name.startswith(f"{address.path}/")]
        if not found:
            known = [name for name in names if Path(name).suffix.lower() in SUFFIXES] or list(names)
            raise ModelError(f"{address.repo} has no file '{address.path}'; it has {list_few(known, 6)}.")
        return found
    top = [name for name in names if "/" not in name]
    if wanted := _list_wanted(top):
        return [name for name in top if name.endswith(".json") or name in TOKENIZER_FILES] + wanted
    known = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not known:
        raise ModelError(f"{address.repo} holds no checkpoint; its files are {list_few(list(names), 6)}.")
    raise ModelError(
        f"{address.repo} holds {len(known)} checkpoints ({list_few(known, 6)}); name one: {address}/{known[0]}."
    )


def _list_wanted(names: Sequence[str]) -> list[str]:
    """Return the checkpoint in a folder: the usual weights with their parts, an adapter, or the only file."""
    for weights in WEIGHTS:
        if weights in names:
            stem = weights.partition(".")[0]
            parts = [name for name in names if re.fullmatch(rf"{stem}-\d{{5}}-of-\d{{5}}\.\w+", name)]
            return [weights, *(parts if weights.endswith(".index.json") else [])]
    adapters = [name for name in ("adapter_model.safetensors", "adapter_model.bin") if name in names]
    if adapters:
        return adapters[:1]
    known = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    return known if len(known) == 1 else []
