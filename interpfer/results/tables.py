"""From finished batches to the tables of a run."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from interpfer.datasets.base import Dataset
from interpfer.expressions import NEUTRAL
from interpfer.landmarks.base import UNREADABLE
from interpfer.metrics.base import DatasetMetric, Metric
from interpfer.metrics.statistics import (
    POOLED_RESAMPLES,
    Pool,
    Summary,
    add_pools,
    image_weights,
    pool,
    subject_weights,
    summarise,
    summarise_half,
    summarise_pooled,
)
from interpfer.results.folder import Part

SCORE_COLUMNS = ["map", "layer", "metric", "group", "value", "ci_low", "ci_high", "n"]


@dataclass(frozen=True)
class Tables:
    """The finished batches of a run, and what their numbers stand for.

    Attributes:
        parts: in the order of the data set, without their counts.
        counts_of: metric name and column -> the (rows, bins) counts, part by part.
        dataset: whose images they are.
        outputs: the model's classes.
        columns: the (map, layer) pairs.
        metrics: by name, in the order of the tables.
        seed: of the bootstrap.
    """

    parts: Sequence[Part]
    counts_of: Callable[[str, int], Iterable[NDArray[np.unsignedinteger]]]
    dataset: Dataset
    outputs: tuple[str, ...]
    columns: Sequence[tuple[str, str]]
    metrics: Mapping[str, Metric]
    seed: int

    @cached_property
    def rows(self) -> list[int]:
        """Positions in the data set of the images that were read."""
        return [row for part in self.parts for row in part.rows.tolist()]

    @cached_property
    def labels(self) -> list[str]:
        """Canonical name per row, "" where unknown."""
        return [self.dataset.samples[row].label for row in self.rows]

    @cached_property
    def predicted(self) -> list[str]:
        """Canonical name per row."""
        return [self.outputs[index] for part in self.parts for index in part.predicted.tolist()]

    @cached_property
    def heat(self) -> NDArray[np.bool_]:
        """Whether each row has an AU heatmap."""
        return np.concatenate([part.heat for part in self.parts])

    @cached_property
    def profiles(self) -> NDArray[np.float64]:
        """AU evidence per row: of each (map, layer), of a uniform map, and of the AU heatmap."""
        return np.concatenate([part.profiles for part in self.parts])

    @cached_property
    def faceless(self) -> list[str]:
        """Names of the images without landmarks."""
        return [self.dataset.samples[row].id for part in self.parts for row in part.faceless]

    @cached_property
    def missing(self) -> dict[int, str]:
        """Position of each image without landmarks -> why."""
        lost = {row: f"{UNREADABLE}: {why}" for part in self.parts for row, why in part.skipped.items()}
        return lost | {row: why for part in self.parts for row, why in part.faceless.items()}

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Names of the images that could not be read, and why."""
        return {self.dataset.samples[row].id: why for part in self.parts for row, why in part.skipped.items()}

    @cached_property
    def refused(self) -> dict[tuple[str, str], str]:
        """Maps that could not be made in some batch, and why."""
        return {key: why for part in self.parts for key, why in part.refused.items()}

    @cached_property
    def unlike(self) -> set[tuple[str, str]]:
        """Maps that are the same as another in general, and were not in some batch: there they were scored apart."""
        return {key for part in self.parts for key in part.unlike}

    @cached_property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """Per metric, the (rows, columns) scores; of a data-set metric, those of each image alone."""
        images = [name for name, metric in self.metrics.items() if not isinstance(metric, DatasetMetric)]
        scores = np.concatenate([part.scores for part in self.parts])
        return {
            name: scores[:, :, images.index(name)]
            if name in images
            else np.concatenate([part.single[name] for part in self.parts])
            for name in self.metrics
        }

    def per_image(self) -> pd.DataFrame:
        """Return one line per image and (map, layer)."""
        columns = len(self.columns)
        table: dict[str, Any] = {
            "image": np.repeat([self.dataset.samples[row].id for row in self.rows], columns),
            "label": np.repeat(self.labels, columns),
            "predicted": np.repeat(self.predicted, columns),
            "map": np.tile([name for name, _ in self.columns], len(self.rows)),
            "layer": np.tile([layer for _, layer in self.columns], len(self.rows)),
        }
        return pd.DataFrame(table | {name: values.ravel() for name, values in self.values.items()})

    @cached_property
    def confidence(self) -> list[float]:
        """Probability of the predicted class per row."""
        return [value for part in self.parts for value in part.confidence.tolist()]

    @cached_property
    def classes(self) -> NDArray[np.intp]:
        """Class index per row, -1 where unknown."""
        names = self.dataset.classes
        return np.array([names.index(label) if label else -1 for label in self.labels], np.intp)

    @cached_property
    def subjects(self) -> NDArray[np.intp] | None:
        """A number per person and row, where the data set knows the subjects of all rows."""
        names = [self.dataset.samples[row].subject for row in self.rows]
        if None in names:
            return None
        return np.unique(np.array(names, str), return_inverse=True)[1]

    @cached_property
    def halves(self) -> dict[str, NDArray[np.bool_]]:
        """The labelled rows whose prediction is right, and those whose prediction is wrong."""
        right = np.array([a == b for a, b in zip(self.labels, self.predicted, strict=True)], bool)
        return {"correct": right, "wrong": ~right & (self.classes >= 0)}

    def scores(self) -> pd.DataFrame:
        """Return one line per (map, layer), metric and group of images."""
        rows = []
        for column, (name, layer) in enumerate(self.columns):
            for key, metric in self.metrics.items():
                values = self.values[key][:, column]
                if not isinstance(metric, DatasetMetric):
                    summaries = summarise(values, self.classes, self.dataset.classes, self.seed, self.subjects)
                    summaries += [summarise_half(half, values, which, self.seed) for half, which in self.halves.items()]
                else:
                    summaries = self._pooled(metric, column, np.isfinite(values))
                rows += [(name, layer, key, *summary) for summary in summaries]
        return pd.DataFrame(rows, columns=SCORE_COLUMNS)

    def _pooled(self, metric: DatasetMetric, column: int, counted: NDArray[np.bool_]) -> list[Summary]:
        def score(sums: NDArray[np.float64]) -> NDArray[np.float64]:
            return metric.score(torch.from_numpy(sums.astype(np.int64))).double().numpy()

        counters = ((key, other) for key, other in self.metrics.items() if isinstance(other, DatasetMetric))
        table = next(key for key, other in counters if other.count == metric.count)
        if (table, column) not in self._pools:
            self._pools.clear()
            self._pools[table, column] = add_pools(self._batch_pools(table, column, counted))
        return summarise_pooled(self._pools[table, column], score, self.dataset.classes)

    def _batch_pools(self, table: str, column: int, counted: NDArray[np.bool_]) -> Iterator[Pool]:
        start = 0
        for counts in self.counts_of(table, column):
            rows = slice(start, start + len(counts))
            keep = counted[rows]
            yield pool(
                counts[keep],
                self.classes[rows][keep],
                self.dataset.classes,
                self._weights[:, rows][:, keep],
                {name: half[rows][keep] for name, half in self.halves.items()},
            )
            start = rows.stop

    @cached_property
    def _pools(self) -> dict[tuple[str, int], Pool]:
        """The last pool, which several metrics read in turn."""
        return {}

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """How often each resample of the pooled metrics draws each row."""
        if self.subjects is None:
            return image_weights(self.classes, POOLED_RESAMPLES, self.seed)
        return subject_weights(self.subjects, POOLED_RESAMPLES, self.seed)

    def counts(self) -> dict[str, Any]:
        """Return how many images there were, how many could be scored, and what became of the others."""
        first = next(iter(self.values.values()), np.zeros((len(self.rows), 0)))
        lost = (self.heat[:, None] & ~np.isfinite(first)).sum(0).tolist()
        undefined = {
            name if layer == "-" else f"{name}@{layer}": count
            for (name, layer), count in zip(self.columns, lost, strict=False)
            if count
        }
        return {
            "images": len(self.rows) + len(self.skipped),
            "scored": int(self.heat.sum()),
            "neutral": self.labels.count(NEUTRAL),
            "unlabelled": self.labels.count(""),
            "skipped": {"unreadable": self.skipped, "no landmarks": self.faceless},
            "undefined_maps": undefined,
        }
