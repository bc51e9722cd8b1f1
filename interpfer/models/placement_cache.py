"""Places of layers that took long to find, kept in the user's cache folder."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from interpfer.files import parse_json
from interpfer.models.layer import Layer
from interpfer.models.placement import RULES, Placement

SLOW = 0.2
"""Seconds from which on the result is kept in the cache folder."""


def remember_places(
    key: str | None, layers: Sequence[Layer], find: Callable[[], dict[str, Placement]], folder: Path | None = None
) -> dict[str, Placement]:
    """Return the result of ``find``, from the cache folder if it was slow before.

    Args:
        key: what the result depends on: hash of the checkpoint and the input; None to remember nothing.
        layers: layers that are looked for.
        find: function that computes the result.
        folder: cache folder; by default that of the user.
    """
    if key is None:
        return find()
    names = "".join(f"{layer.name} {layer.grid} {layer.prefix};" for layer in layers)
    digest = hashlib.sha256(f"{key} {names} {RULES}".encode()).hexdigest()
    path = (folder or user_cache_path("interpfer") / "places") / f"{digest}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        return {
            name: Placement(verdict, float(evidence), None if order is None else tuple(map(int, order)))
            for name, (verdict, evidence, order) in parse_json(path.read_text()).items()
        }
    started = time.monotonic()
    places = find()
    if time.monotonic() - started > SLOW:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{time.time_ns()}.part")
            part.write_text(json.dumps({name: (p.verdict, p.evidence, p.order) for name, p in places.items()}))
            part.replace(path)
    return places
