"""Chooses the clips that a report shows as strips, and collects their frames and maps."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from interpfer.results.clips import Clips
from interpfer.results.pictures import AU_HEATMAP, Pictures, empty_maps, empty_points
from interpfer.results.strips import Strip, Strips
from interpfer.results.tables import Tables
from interpfer.scoring.session import ScoreSession

MOST_CLIPS = 16
"""Clips that are shown at most."""

MOST_FRAMES = 8
"""Frames of a clip that are shown at most, evenly spaced."""

MOST_MAPS = 4
"""Maps that are shown at most: those of the deepest layer."""


class StripCollector:
    """Collects the frames of chosen clips out of the pictures of a run's batches.

    Args:
        session: the finished score.
        tables: its tables.
        clips: its clips.
        values: score per row of the tables by which clips are ordered, NaN where undefined.
    """

    def __init__(self, session: ScoreSession, tables: Tables, clips: Clips, values: NDArray[np.float64]) -> None:
        depth = {layer: place for place, layer in enumerate(session.spec.layers)}
        shown = session.shown
        deepest = max((depth.get(layer, -1) for _, layer in shown), default=-1)
        self._places = [i for i, key in enumerate(shown) if depth.get(key[1], deepest) == deepest][:MOST_MAPS]
        self.columns = (*(shown[place] for place in self._places), AU_HEATMAP)
        self.strips: list[Strip] = []
        self.rows: list[int] = []
        for index, group in choose_clips(values, clips):
            own = [tables.rows[place] for place in clips.rows[index].tolist()]
            kept = spread(len(own), MOST_FRAMES)
            names = tuple(session.dataset.samples[row].id for row in own)
            self.strips.append(
                Strip(clips.names[index], clips.labels[index], clips.predicted[index], group, names, kept)
            )
            self.rows += [own[place] for place in kept]
        self._where = {row: index for index, row in enumerate(self.rows)}
        self._maps = empty_maps(len(self.rows), len(self.columns))
        self._points = empty_points(len(self.rows))

    def add(self, rows: Sequence[int], pictures: Pictures) -> None:
        """Take over the pictures of a batch."""
        for place, row in enumerate(rows):
            if row in self._where:
                index = self._where[row]
                self._maps[index] = pictures.maps[place][[*self._places, -1]]
                self._points[index] = pictures.points[place]

    def finish(self, portraits: Callable[[Sequence[int]], Iterable[bytes]] | None) -> Strips | None:
        """Return what was collected; None where no clip was chosen.

        Args:
            portraits: function from rows to JPEG per row; None for no photographs.
        """
        if not self.strips:
            return None
        faces = () if portraits is None else tuple(portraits(self.rows))
        return Strips(self.columns, tuple(self.strips), self._maps, self._points, faces)


def choose_clips(values: NDArray[np.float64], clips: Clips) -> list[tuple[int, str]]:
    """Choose the best and the worst clip of each class by the mean of its frames.

    Args:
        values: score per row, NaN where undefined.
        clips: the clips of the run.

    Returns:
        Index of each chosen clip and its group, class by class in the order of the data set.
    """
    means = np.full(len(clips.names), np.nan)
    for index, rows in enumerate(clips.rows):
        own = values[rows]
        if np.isfinite(own).any():
            means[index] = np.nanmean(own)
    chosen: list[tuple[int, str]] = []
    for label in dict.fromkeys(clips.labels):
        members = [i for i, name in enumerate(clips.labels) if name == label and np.isfinite(means[i])]
        ranked = sorted(members, key=lambda i: -means[i])
        chosen += [(ranked[0], "best")] if ranked else []
        chosen += [(ranked[-1], "worst")] if len(ranked) > 1 else []
    return chosen[:MOST_CLIPS]


def spread(count: int, most: int) -> tuple[int, ...]:
    """Return at most ``most`` of ``count`` positions, evenly from the first to the last.

    Examples:
        >>> spread(3, 8), spread(16, 4)
        ((0, 1, 2), (0, 5, 10, 15))
    """
    return tuple(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist())
