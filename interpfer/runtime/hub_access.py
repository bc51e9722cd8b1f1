"""The Hugging Face hub: whether it can be reached, and one line for what fails there."""

import socket
from urllib.parse import urlparse
from urllib.request import getproxies

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


def describe_failure(
    address: str, repo: str, revision: str, error: Exception, file: str = "", kind: str = "model"
) -> str:
    """Return why a repository of the hub cannot be read, and what to do, without a full stop.

    Args:
        address: as the user wrote it.
        repo: OWNER/NAME.
        revision: branch, tag or commit.
        error: what huggingface_hub raised.
        file: path in the repository that was asked for.
        kind: "model" or "data set".
    """
    from huggingface_hub import errors

    page = f"https://huggingface.co/{'' if kind == 'model' else 'datasets/'}{repo}"
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: accept its terms on {page}, log in with `hf auth login`, and try again"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision '{revision}'; its branches and tags are on {page}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the hub has no {kind} {repo}, or it is private: check the name, or log in with `hf auth login`"
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return f"{repo} has no file '{file}'; its files are on {page}/tree/main"
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return f"{address} cannot be downloaded: {type(error).__name__}: {lines[0].rstrip('.')}"
