"""From finished batches to the tables of a run."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpfer.datasets.base import Dataset
from interpfer.labels import NEUTRAL
from interpfer.landmarks.base import UNREADABLE
from interpfer.metrics.base import DatasetMetric, Metric
from interpfer.results.folder import BatchResult
from interpfer.statistics.bootstrap import Draws, image_weights, subject_weights
from interpfer.statistics.pooling import POOLED_RESAMPLES, Pool, add_pools, pool, summarise_pooled
from interpfer.statistics.summary import Summary, summarise_halves, summarise_table

BLOCK = 1024
"""Images whose counts are held at a time."""

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

    parts: Sequence[BatchResult]
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
    def valid(self) -> NDArray[np.bool_]:
        """Whether each row has a truth."""
        return np.concatenate([part.valid for part in self.parts])

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
        averaged = self._averaged()
        rows = []
        for column, (name, layer) in enumerate(self.columns):
            for key, metric in self.metrics.items():
                if isinstance(metric, DatasetMetric):
                    summaries = self._pooled(metric, column, np.isfinite(self.values[key][:, column]))
                else:
                    summaries = averaged[key, column]
                rows += [(name, layer, key, *summary) for summary in summaries]
        return pd.DataFrame(rows, columns=SCORE_COLUMNS)

    def _averaged(self) -> dict[tuple[str, int], list[Summary]]:
        """Summarise all metrics that are averages over images at once: they share the draws of the bootstrap."""
        names = [name for name, metric in self.metrics.items() if not isinstance(metric, DatasetMetric)]
        if not names:
            return {}
        keys = [(name, column) for name in names for column in range(len(self.columns))]
        scores = np.concatenate([self.values[name] for name in names], 1)
        whole = summarise_table(scores, self.classes, self.dataset.classes, self.seed, self.subjects)
        halves = summarise_halves(scores, self.halves, self.seed, self.subjects)
        return {key: [*a, *b] for key, a, b in zip(keys, whole, halves, strict=True)}

    def _pooled(self, metric: DatasetMetric, column: int, counted: NDArray[np.bool_]) -> list[Summary]:
        counters = ((key, other) for key, other in self.metrics.items() if isinstance(other, DatasetMetric))
        table = next(key for key, other in counters if other.count == metric.count)
        if (table, column) not in self._pools:
            for key in [key for key in self._pools if key[1] != column]:
                del self._pools[key]
            pooled = add_pools(self._batch_pools(table, column, counted))
            sums = {group: torch.from_numpy(values.astype(np.int64)) for group, values in pooled.sums.items()}
            self._pools[table, column] = pooled, sums
        pooled, sums = self._pools[table, column]
        return summarise_pooled(pooled, lambda group: metric.score(sums[group]).double().numpy(), self.dataset.classes)

    def _batch_pools(self, table: str, column: int, counted: NDArray[np.bool_]) -> Iterator[Pool]:
        start = 0
        for counts in _blocks(self.counts_of(table, column)):
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
    def _pools(self) -> dict[tuple[str, int], tuple[Pool, dict[str, Tensor]]]:
        """The pools of the map at hand and their sums as tensors, which several metrics read in turn."""
        return {}

    @cached_property
    def _weights(self) -> Draws:
        """How often each resample of the pooled metrics draws each row."""
        if self.subjects is None:
            return image_weights(self.classes, POOLED_RESAMPLES, self.seed)
        return subject_weights(self.subjects, POOLED_RESAMPLES, self.seed)

    def counts(self) -> dict[str, Any]:
        """Return how many images there were, how many could be scored, and what became of the others."""
        first = next(iter(self.values.values()), np.zeros((len(self.rows), 0)))
        lost = (self.valid[:, None] & ~np.isfinite(first)).sum(0).tolist()
        undefined = {
            name if layer == "-" else f"{name}@{layer}": count
            for (name, layer), count in zip(self.columns, lost, strict=False)
            if count
        }
        return {
            "images": len(self.rows) + len(self.skipped),
            "scored": int(self.valid.sum()),
            "neutral": self.labels.count(NEUTRAL),
            "unlabelled": self.labels.count(""),
            "skipped": {"unreadable": self.skipped, "no landmarks": self.faceless},
            "undefined_maps": undefined,
        }


def _blocks(parts: Iterable[NDArray[np.unsignedinteger]]) -> Iterator[NDArray[np.unsignedinteger]]:
    """Join the counts of batches to blocks of at least ``BLOCK`` images, since adding up costs the same for each."""
    held: list[NDArray[np.unsignedinteger]] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= BLOCK:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
