"""Valid files of which one is changed, and what the inputs of several readers share."""

import io
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.faults.mutations import mutate

Files = Mapping[str, bytes]


Hostile = Callable[[random.Random, str], Files]
"""Makes files that are hostile in a way that changes of valid ones hardly reach; the text is the canary's path."""


@dataclass(frozen=True)
class Seed:
    """Valid files, of which one is changed.

    Attributes:
        files: name -> content.
        target: name of the file that is changed.
        read: reads the folder with the files.
        hostile: makes other files, a share of the inputs; None for none.
    """

    files: Files
    target: str
    read: Callable[[Path], Any]
    hostile: Hostile | None = field(default=None)

    def draw(self, random_: random.Random, canary: str) -> Files:
        """Return the files of one input."""
        if self.hostile is not None and random_.random() < 0.2:
            return {**self.files, **self.hostile(random_, canary)}
        return {**self.files, self.target: mutate(self.files[self.target], self.target, random_, canary)}


def picture(kind: str = "PNG", size: int = 16, mode: str = "RGB") -> bytes:
    """Return the bytes of a small picture."""
    values = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).convert(mode).save(out, kind)
    return out.getvalue()


def touch_all(dataset: Any, most: int = 4) -> None:
    """Read the first pictures of a data set as a score does: what cannot be read is skipped."""
    from interpfer.errors import DataError

    for index in range(min(len(dataset), most)):
        try:
            dataset.image(index)
            dataset.size(index)
        except DataError:
            continue


def pack_zip(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()
