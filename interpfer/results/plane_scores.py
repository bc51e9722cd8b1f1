"""Scores of a batch by the planes on its faces: one line for each action unit that is present."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = dict[str, NDArray[np.unsignedinteger]]


@dataclass(frozen=True)
class PlaneScores:
    """Scores of the maps of a batch for the planes on its faces.

    Attributes:
        face: (q,) place of each plane's face among the rows of the batch, ascending.
        plane: (p,) plane of each part of a face; parts that are drawn alike share one.
        names: of the p parts, such as "AU12".
        scores: (q, maps, image metrics), NaN where undefined.
        defined: (q, maps) whether the map is defined.
        counts: metric name -> (q, maps, bins) counts, shorter than the metric's own where it can complete them.
        single: metric name -> (q, maps) score of each plane alone; empty where nobody needs them.
        profiles: (q, maps + 2, regions) as of ``BatchResult``; empty where all planes of a face share its map.
        found: (q,) whether the model reports the action unit; empty where it has no output for it.
    """

    face: NDArray[np.int64]
    plane: NDArray[np.int64]
    names: tuple[str, ...]
    scores: NDArray[np.float64]
    defined: NDArray[np.bool_]
    counts: Counts = field(default_factory=dict)
    single: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    profiles: NDArray[np.float64] | None = None
    found: NDArray[np.bool_] | None = None

    def tables(self) -> list[NDArray[Any]]:
        """Return the tables that have a column for each map."""
        profiles = [] if self.profiles is None else [self.profiles]
        return [self.scores, self.defined, *self.counts.values(), *self.single.values(), *profiles]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what ``from_arrays`` reads, and the counts column by column."""
        arrays: dict[str, NDArray[Any]] = {
            name: getattr(self, name)
            for name in ("face", "plane", "scores", "defined", "profiles", "found")
            if getattr(self, name) is not None
        }
        arrays["names"] = np.array(self.names, dtype="U8")
        arrays |= {f"single/{name}": values for name, values in self.single.items()}
        for name, counts in self.counts.items():
            arrays |= {f"counts/{name}/{column}": counts[:, column] for column in range(counts.shape[1])}
        return {f"planes/{name}": values for name, values in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Any) -> "PlaneScores | None":
        """Return the scores in the file of a batch, without their counts; None where it has none."""
        if "planes/face" not in arrays:
            return None
        optional = {name: arrays[f"planes/{name}"] for name in ("profiles", "found") if f"planes/{name}" in arrays}
        single = {name[14:]: arrays[name] for name in arrays.files if name.startswith("planes/single/")}
        names = tuple(arrays["planes/names"].tolist())
        values = {name: arrays[f"planes/{name}"] for name in ("face", "plane", "scores", "defined")}
        return cls(names=names, single=single, **values, **optional)
