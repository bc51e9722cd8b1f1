"""A cache of landmarks, keyed by the pixels of the image and the provider.

The cache is one SQLite file in the user's cache folder. Several processes may share it, and an interrupted run loses
nothing that was stored. If the file cannot be used, landmarks are computed again; results never depend on the cache.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from platformdirs import user_cache_path

from interpfer.landmarks.base import LandmarkProvider
from interpfer.types import LANDMARKS, Landmarks

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that is writing."""

CREATE_TABLE = "CREATE TABLE IF NOT EXISTS faces (key TEXT PRIMARY KEY, points BLOB NOT NULL, note TEXT NOT NULL)"

CacheEntry = tuple[torch.Tensor, str]
"""(68, 2) points of a face and the note on it."""


class CachedLandmarks:
    """A provider that caches the results of another one.

    Args:
        provider: computes landmarks that are not cached yet.
        path: the cache file; by default in the user's cache folder.
    """

    name: ClassVar[str] = "cached"
    summary: ClassVar[str] = "results of another provider, cached"
    needs_images: ClassVar[bool] = True

    def __init__(self, provider: LandmarkProvider, path: str | Path | None = None) -> None:
        self.provider = provider
        self.digest = provider.digest
        self.path = Path(path) if path else user_cache_path("interpfer") / "landmarks.sqlite"

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points of each image, from the cache if the same pixels have been seen before."""
        assert images is not None
        keys = [self._key(image) for image in images]
        entries = self._read(keys)
        new = [row for row, key in enumerate(keys) if key not in entries]
        if new:
            landmarks = self.provider.locate([ids[row] for row in new], [images[row] for row in new])
            points = landmarks.points.double().cpu()
            new_entries = {keys[row]: (points[place], landmarks.note(place)) for place, row in enumerate(new)}
            self._write(new_entries)
            entries |= new_entries
        blank = torch.zeros(0, LANDMARKS, 2, dtype=torch.float64)
        points = torch.stack([entries[key][0] for key in keys]) if keys else blank
        return Landmarks.of(points, tuple(entries[key][1] for key in keys))

    def _key(self, image: Image.Image) -> str:
        content = hashlib.sha256(self.digest.encode())
        content.update(f"{image.mode} {image.size}".encode())
        content.update(image.tobytes())
        return content.hexdigest()

    def _read(self, keys: Sequence[str]) -> dict[str, CacheEntry]:
        if not self.path.exists():
            return {}
        with suppress(OSError, sqlite3.Error), self._connect() as connection:
            marks = ",".join("?" * len(keys))
            rows = connection.execute(f"SELECT key, points, note FROM faces WHERE key IN ({marks})", keys).fetchall()
            return {
                key: (torch.from_numpy(np.frombuffer(blob).copy()).view(LANDMARKS, 2), note) for key, blob, note in rows
            }
        return {}

    def _write(self, entries: dict[str, CacheEntry]) -> None:
        rows = [(key, points.numpy().tobytes(), note) for key, (points, note) in entries.items()]
        with suppress(OSError, sqlite3.Error):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._connect() as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO faces VALUES (?, ?, ?)", rows)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection to the cache and close it, also if the file is not a database."""
        with closing(sqlite3.connect(self.path, timeout=LOCK_TIMEOUT)) as connection:
            connection.execute(CREATE_TABLE)
            yield connection
