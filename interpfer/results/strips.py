"""Small pictures of some clips in a run folder: frames, maps and truth over time, for the strips of the report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREFIX = "strips."
"""Of the names of the arrays in the file of the report's pictures."""


@dataclass(frozen=True)
class Strip:
    """A clip that the report shows.

    Attributes:
        clip: its name.
        label: its class, "" where unknown.
        predicted: predicted class of the clip, "" of a model without classes.
        group: why it is shown: "best" or "worst".
        ids: names of all of its frames that were scored, in order.
        shown: which of them are shown.
    """

    clip: str
    label: str
    predicted: str
    group: str
    ids: tuple[str, ...]
    shown: tuple[int, ...]


@dataclass(frozen=True)
class Strips:
    """The clips that a report shows; f frames of them in all are shown.

    Attributes:
        columns: the k (map, layer) pairs, the truth last.
        strips: the clips.
        maps: (f, k, 28, 28) of the shown frames of all clips in order.
        points: (f, 68, 2) landmarks on the canvas.
        faces: JPEG per frame; empty without photographs.
    """

    columns: tuple[tuple[str, str], ...]
    strips: tuple[Strip, ...]
    maps: NDArray[np.uint8]
    points: NDArray[np.float32]
    faces: tuple[bytes, ...]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return name -> array, for the file of the report's pictures."""
        facts = {"columns": self.columns, "strips": [vars(strip) for strip in self.strips]}
        return {
            f"{PREFIX}facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
            f"{PREFIX}maps": self.maps,
            f"{PREFIX}points": self.points,
            f"{PREFIX}faces": np.frombuffer(b"".join(self.faces), np.uint8),
            f"{PREFIX}sizes": np.array([len(face) for face in self.faces], np.int64),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Strips | None":
        """Return what ``to_arrays`` wrote; None where there is nothing of it."""
        if f"{PREFIX}facts" not in arrays:
            return None
        facts = json.loads(arrays[f"{PREFIX}facts"].tobytes())
        strips = tuple(
            Strip(**each | {"ids": tuple(each["ids"]), "shown": tuple(each["shown"])}) for each in facts["strips"]
        )
        content, ends = arrays[f"{PREFIX}faces"].tobytes(), np.cumsum(arrays[f"{PREFIX}sizes"]).tolist()
        faces = tuple(content[start:end] for start, end in zip([0, *ends], ends, strict=False))
        columns = tuple((name, layer) for name, layer in facts["columns"])
        return cls(columns, strips, arrays[f"{PREFIX}maps"], arrays[f"{PREFIX}points"], faces)
