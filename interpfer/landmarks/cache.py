"""Landmarks are found once: a cache by what the picture shows and who looked, with the notes on what was found.

One SQLite file in the user's cache folder; processes may share it, and a kill loses nothing that was found. Where the
file cannot be used, landmarks are found anew: the cache saves time, and nothing depends on it.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
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


Remembered = tuple[torch.Tensor, str]
"""(68, 2) points of a face and the note on it."""


class CachedLandmarks:
    """A provider that remembers.

    Args:
        provider: asked for what is not known yet.
        path: the cache file; by default in the user's cache folder.
    """

    name: ClassVar[str] = "cached"
    summary: ClassVar[str] = "remembers what another provider found"
    needs_images: ClassVar[bool] = True

    def __init__(self, provider: LandmarkProvider, path: Path | None = None) -> None:
        self.provider = provider
        self.digest = provider.digest
        self.path = path or user_cache_path("interpfer") / "landmarks.sqlite"

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points of each image, from the cache where it has been seen before."""
        assert images is not None
        keys = [self._key(image) for image in images]
        known = self._read(keys)
        new = [row for row, key in enumerate(keys) if key not in known]
        if new:
            found = self.provider.locate([ids[row] for row in new], [images[row] for row in new])
            points = found.points.double().cpu()
            fresh = {keys[row]: (points[place], found.note(place)) for place, row in enumerate(new)}
            self._write(fresh)
            known |= fresh
        blank = torch.zeros(0, LANDMARKS, 2, dtype=torch.float64)
        points = torch.stack([known[key][0] for key in keys]) if keys else blank
        return Landmarks.of(points, tuple(known[key][1] for key in keys))

    def _key(self, image: Image.Image) -> str:
        content = hashlib.sha256(self.digest.encode())
        content.update(f"{image.mode} {image.size}".encode())
        content.update(image.tobytes())
        return content.hexdigest()

    def _read(self, keys: Sequence[str]) -> dict[str, Remembered]:
        if not self.path.exists():
            return {}
        with suppress(OSError, sqlite3.Error), closing(self._open()) as connection:
            marks = ",".join("?" * len(keys))
            rows = connection.execute(f"SELECT key, points, note FROM faces WHERE key IN ({marks})", keys).fetchall()
            return {
                key: (torch.from_numpy(np.frombuffer(blob).copy()).view(LANDMARKS, 2), note) for key, blob, note in rows
            }
        return {}

    def _write(self, fresh: dict[str, Remembered]) -> None:
        rows = [(key, points.numpy().tobytes(), note) for key, (points, note) in fresh.items()]
        with suppress(OSError, sqlite3.Error):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO faces VALUES (?, ?, ?)", rows)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=LOCK_TIMEOUT)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS faces (key TEXT PRIMARY KEY, points BLOB NOT NULL, note TEXT NOT NULL)"
        )
        return connection
