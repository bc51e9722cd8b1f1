"""The Hugging Face hub: addresses of its repositories, their copies on this machine, and one line for what fails."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlparse
from urllib.request import getproxies

ADDRESS = re.compile(
    r"(?P<data>datasets/)?(?P<owner>\w[\w.-]{0,95})/(?P<name>\w[\w.-]{0,95})(@(?P<revision>[^/]+))?(/(?P<path>.*))?",
    re.ASCII,
)

CONNECT_SECONDS = 2.0
"""Seconds to wait for a connection to the hub."""


def is_reachable(endpoint: str) -> bool:
    """Return whether a connection to the hub can be opened; with a proxy it is not tried."""
    if getproxies().keys() & {"https", "http", "all"}:
        return True
    place = urlparse(endpoint)
    try:
        with socket.create_connection((place.hostname or "", place.port or 443), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class HubAddress:
    """A repository of the hub, or a file or folder in it.

    Attributes:
        repo: OWNER/NAME.
        revision: branch, tag or commit; "" for the default branch.
        path: of a file or folder in the repository; "" for all of it.
        is_data: whether it holds a data set rather than a model.
    """

    repo: str
    revision: str = ""
    path: str = ""
    is_data: bool = False

    def __str__(self) -> str:
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return f"hf://{'datasets/' if self.is_data else ''}{self.repo}{revision}" + (
            f"/{self.path}" if self.path else ""
        )

    @property
    def download_command(self) -> str:
        """Command that downloads the repository."""
        kind = "--repo-type dataset " if self.is_data else ""
        return f"hf download {kind}{self.repo}" + (f" --revision {self.revision}" if self.revision else "")


def normalise(address: str | Path) -> str:
    """Return an address as text with both slashes, which a ``Path`` loses; any other path unchanged.

    Examples:
        >>> normalise(Path("hf://owner/name"))
        'hf://owner/name'
    """
    text = str(address)
    return "hf://" + text.replace("\\", "/")[4:].lstrip("/") if text.startswith(("hf:/", "hf:\\")) else text


def parse_address(address: str | Path) -> HubAddress | None:
    """Return what an address names; None for text of another form.

    Examples:
        >>> parse_address("hf://datasets/owner/faces@v1/clean")
        HubAddress(repo='owner/faces', revision='v1', path='clean', is_data=True)
        >>> parse_address("hf://owner") is None
        True
    """
    text = normalise(address)
    match = ADDRESS.fullmatch(text.removeprefix("hf://").rstrip("/")) if text.startswith("hf://") else None
    if match is None or (match["owner"] == "datasets" and not match["data"]):
        return None
    path = match["path"] or ""
    if {".", ".."} & {match["owner"], match["name"], *PurePosixPath(path).parts}:
        return None
    return HubAddress(f"{match['owner']}/{match['name']}", unquote(match["revision"] or ""), path, bool(match["data"]))


def take_snapshot(download: Callable[..., Any], address: HubAddress, **options: Any) -> Path:
    """Return the folder of a revision, by a function such as ``huggingface_hub.snapshot_download``."""
    kind = "dataset" if address.is_data else "model"
    return Path(download(address.repo, repo_type=kind, revision=address.revision or None, **options))


def describe_missing(address: HubAddress) -> str:
    """Return that a repository is neither in the cache nor can be downloaded, and what to do, without a full stop."""
    from huggingface_hub import constants

    offline = " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""
    return (
        f"{address} is not in the cache of huggingface_hub, and {constants.ENDPOINT} cannot be reached{offline}; "
        f"download it where there is a network: {address.download_command}"
    )


def describe_failure(address: HubAddress, error: Exception) -> str:
    """Return why a repository of the hub cannot be read, and what to do, without a full stop.

    Args:
        address: the repository.
        error: what huggingface_hub raised.
    """
    from huggingface_hub import errors

    repo, kind = address.repo, "data set" if address.is_data else "model"
    page = f"https://huggingface.co/{'datasets/' if address.is_data else ''}{repo}"
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: accept its terms on {page}, log in with `hf auth login`, and try again"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision '{address.revision}'; its branches and tags are on {page}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the hub has no {kind} {repo}, or it is private: check the name, or log in with `hf auth login`"
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return f"{repo} has no file '{address.path}'; its files are on {page}/tree/main"
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return f"{address} cannot be downloaded: {type(error).__name__}: {lines[0].rstrip('.')}"
