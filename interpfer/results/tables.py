"""Tables of a run, made from its finished batches."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from interpfer.datasets.base import Dataset
from interpfer.labels import NEUTRAL, class_indices
from interpfer.landmarks.reasons import UNREADABLE
from interpfer.metrics.base import DatasetMetric, Metric
from interpfer.results.attributes import find_groups, read_attribute
from interpfer.results.batch_file import BatchResult
from interpfer.results.image_rows import ImageRows
from interpfer.results.left_out import group_reasons
from interpfer.results.run import CLIP, FRAME, SUBJECT, UNLABELLED
from interpfer.statistics.bootstrap import Draws, image_weights, subject_weights
from interpfer.statistics.pooling import POOLED_RESAMPLES, Pool, join_blocks, pool, summarise_pooled
from interpfer.statistics.small_samples import interval_factors
from interpfer.statistics.subjects import number_subjects, unit_of
from interpfer.statistics.summary import Summary, summarise_halves, summarise_table

SCORE_COLUMNS = ["map", "layer", "metric", "group", "value", "ci_low", "ci_high", "n"]


@dataclass(frozen=True)
class Tables:
    """The finished batches of a run, from which its tables are made.

    Attributes:
        parts: finished batches in the order of the data set, without their counts.
        counts_of: function of metric name and column to the (rows, bins) counts, batch by batch.
        dataset: the data set.
        outputs: classes of the model.
        columns: the (map, layer) pairs.
        metrics: metrics by name, in the order of the tables.
        seed: random seed of the bootstrap.
        by: attributes of the images by which they are grouped.
        least_group: smallest number of images of such a group.
        profiles_of: function of a column to its part of ``profiles``.
    """

    parts: Sequence[BatchResult]
    counts_of: Callable[[str, int], Iterable[NDArray[np.unsignedinteger]]]
    dataset: Dataset
    outputs: tuple[str, ...]
    columns: Sequence[tuple[str, str]]
    metrics: Mapping[str, Metric]
    seed: int
    by: tuple[str, ...] = ()
    least_group: int = 1
    profiles_of: Callable[[int], NDArray[np.float64]] | None = None

    @cached_property
    def rows(self) -> Sequence[int]:
        """Positions in the data set of the images that were read."""
        return array("q", (row for part in self.parts for row in part.rows.tolist()))

    @property
    def digests(self) -> Iterator[str]:
        """Sha256 of the pixels per row."""
        return (str(digest) for part in self.parts for digest in np.asarray(part.digests, np.str_))

    @cached_property
    def labels(self) -> list[str]:
        """Label per row, "" where unknown."""
        return [self.dataset.samples[row].label for row in self.rows]

    @cached_property
    def predicted(self) -> list[str]:
        """Predicted class per row, "" of a model without classes."""
        return [self.outputs[index] if index >= 0 else "" for part in self.parts for index in part.predicted.tolist()]

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Whether each row has a truth."""
        return np.concatenate([part.valid for part in self.parts])

    @cached_property
    def profiles(self) -> NDArray[np.float64]:
        """(rows, maps + 2, regions) share of the energy of each map, of a uniform map and of the AU heatmap."""
        assert self.profiles_of is not None
        return np.stack([self.profiles_of(place) for place in range(len(self.columns) + 2)], 1)

    @cached_property
    def faceless(self) -> dict[str, Any]:
        """Kind of reason -> the images without landmarks, or whose heatmap is off the picture.

        Images that are neutral or unlabelled are counted as that alone, unless no image has a label.
        """
        samples = self.dataset.samples
        notes = {
            samples[row].id: note
            for part in self.parts
            for row, note in part.faceless.items()
            if samples[row].label not in ("", NEUTRAL) or not self.dataset.classes
        }
        return group_reasons(notes)

    @cached_property
    def missing(self) -> dict[int, str]:
        """Position of each image without landmarks -> reason."""
        skipped = {row: f"{UNREADABLE}: {reason}" for part in self.parts for row, reason in part.skipped.items()}
        return skipped | {row: reason for part in self.parts for row, reason in part.faceless.items()}

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Name of each unreadable image -> reason."""
        return {self.dataset.samples[row].id: reason for part in self.parts for row, reason in part.skipped.items()}

    @cached_property
    def refused(self) -> dict[tuple[str, str], str]:
        """Each (map, layer) that could not be made in some batch -> reason."""
        return {key: reason for part in self.parts for key, reason in part.refused.items()}

    @cached_property
    def unlike(self) -> set[tuple[str, str]]:
        """The (map, layer) pairs that are duplicates in general, but not in some batch."""
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

    def image_rows(self) -> ImageRows:
        """Return one line per image and (map, layer); with the column ``subject`` where any subject is known."""
        samples = [self.dataset.samples[row] for row in self.rows]
        images: dict[str, Sequence[Any]] = {"image": [sample.id for sample in samples]}
        images |= {"label": self.labels, "predicted": self.predicted}
        if any(self.subject_names):
            images[SUBJECT] = self.subject_names
        if any(sample.clip for sample in samples):
            images |= {CLIP: [sample.clip for sample in samples], FRAME: [sample.frame or 0 for sample in samples]}
        return ImageRows(images | self.attributes, self.columns, self.values)

    @cached_property
    def confidence(self) -> Sequence[float]:
        """Probability of the predicted class per row."""
        return array("d", (value for part in self.parts for value in part.confidence.tolist()))

    @cached_property
    def classes(self) -> NDArray[np.intp]:
        """Class index per row, -1 where unknown."""
        return np.array(class_indices(self.class_names, self.names), np.intp)

    @cached_property
    def class_names(self) -> list[str]:
        """Class per row, "" where unknown; that of all images where none has a label."""
        return [UNLABELLED] * len(self.labels) if self.names == (UNLABELLED,) else self.labels

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the classes; images of which none has a label are one class."""
        return self.dataset.classes or (UNLABELLED,)

    @cached_property
    def subject_names(self) -> list[str]:
        """Subject per row, "" where unknown."""
        return [self.dataset.samples[row].subject or "" for row in self.rows]

    @cached_property
    def subjects(self) -> NDArray[np.intp] | None:
        """Number of the person per row, of frames of clips without one of the clip; None where neither is known.

        A row without either is its own.
        """
        return number_subjects(self.unit_names)

    @property
    def units(self) -> str:
        """What intervals are over: "images", "subjects" or "clips"."""
        return "images" if self.subjects is None else "subjects" if any(self.subject_names) else "clips"

    @cached_property
    def unit_names(self) -> list[str]:
        """What each row depends on: its subject, else its clip; "" where neither is known."""
        return [unit_of(self.dataset.samples[row]) for row in self.rows]

    @cached_property
    def attributes(self) -> dict[str, list[str]]:
        """Attribute per row, "" where unknown, of each column by which images are grouped."""
        samples = self.dataset.samples
        return {name: [read_attribute(samples[row], name) for row in self.rows] for name in self.by}

    @cached_property
    def halves(self) -> dict[str, NDArray[np.bool_]]:
        """Which rows are classified correctly, which labelled rows are not, and which belong to each group."""
        labelled = np.array([label != "" for label in self.labels], bool)
        correct = np.array([a == b for a, b in zip(self.labels, self.predicted, strict=True)], bool)
        return {"correct": correct & labelled, "wrong": ~correct & labelled} | {
            f"{column}={name}": np.array([value == name for value in values], bool)
            for column, values in self.attributes.items()
            for name in find_groups(values, self.least_group)[0]
        }

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
                rows += [(name, layer, key, *_within(metric, summary)) for summary in summaries]
        return pd.DataFrame(rows, columns=SCORE_COLUMNS)

    def _averaged(self) -> dict[tuple[str, int], list[Summary]]:
        """Summarise all metrics that are averages over images in one call, so that they share bootstrap resamples."""
        names = [name for name, metric in self.metrics.items() if not isinstance(metric, DatasetMetric)]
        if not names:
            return {}
        keys = [(name, column) for name in names for column in range(len(self.columns))]
        scores = np.concatenate([self.values[name] for name in names], 1)
        whole = summarise_table(scores, self.classes, self.names, self.seed, self.subjects)
        halves = summarise_halves(scores, self.halves, self.seed, self.subjects)
        return {key: [*a, *b] for key, a, b in zip(keys, whole, halves, strict=True)}

    def _pooled(self, metric: DatasetMetric, column: int, counted: NDArray[np.bool_]) -> list[Summary]:
        counters = ((key, other) for key, other in self.metrics.items() if isinstance(other, DatasetMetric))
        table = next(key for key, other in counters if other.count == metric.count)
        if (table, column) not in self._pools:
            for key in [key for key in self._pools if key[1] != column]:
                del self._pools[key]
            self._pools[table, column] = self._pool(table, column, counted)
        pooled, factors = self._pools[table, column], self._pooled_factors(counted)

        def score(group: str) -> NDArray[np.float64]:
            scores: NDArray[np.float64] = metric.score(torch.from_numpy(pooled.sums[group])).double().numpy()
            return scores

        return summarise_pooled(pooled, score, self.names, factors)

    def _pooled_factors(self, counted: NDArray[np.bool_]) -> dict[str, float]:
        """Return by how much the interval of each group is widened for few images or subjects."""
        key, names = counted.tobytes(), self.names
        if key not in self._factors:
            members = [np.flatnonzero(counted & (self.classes == index)) for index in range(len(names))]
            factors = self._factors[key] = interval_factors(members, names, self.subjects)
            for name, half in self.halves.items():
                factors |= {name: interval_factors([np.flatnonzero(counted & half)], (name,), self.subjects)[name]}
        return self._factors[key]

    @cached_property
    def _factors(self) -> dict[bytes, dict[str, float]]:
        """Result of ``_pooled_factors`` for rows that are defined alike: most maps are defined on the same images."""
        return {}

    def _counts(self, table: str, column: int) -> Iterable[NDArray[np.unsignedinteger]]:
        """Return the counts of the rows, batch by batch."""
        return self.counts_of(table, column)

    def _pool(self, table: str, column: int, counted: NDArray[np.bool_]) -> Pool:
        """Return the sums of the counts of the rows that are counted."""
        start, total = 0, None
        for counts in join_blocks(self._counts(table, column)):
            rows = slice(start, start + len(counts))
            keep = counted[rows]
            classes, weights = self.classes[rows][keep], self._weights[:, rows][:, keep]
            halves = {name: half[rows][keep] for name, half in self.halves.items()}
            total = pool(counts[keep], classes, self.names, weights, halves, total)
            start = rows.stop
        if total is None:
            raise ValueError("no batch was counted")
        return total

    @cached_property
    def _pools(self) -> dict[tuple[str, int], Pool]:
        """Pools of the current map, shared by the metrics with the same counts."""
        return {}

    @cached_property
    def _weights(self) -> Draws:
        """Weight of each row in each bootstrap resample of the pooled metrics."""
        if self.subjects is None:
            return image_weights(self.classes, POOLED_RESAMPLES, self.seed)
        return subject_weights(self.subjects, POOLED_RESAMPLES, self.seed)


def _within(metric: Metric, summary: Summary) -> Summary:
    """Cut off what of an interval lies outside the bounds of the metric."""
    least, largest = metric.facts.bounds
    ends = np.clip([summary.low, summary.high], least, largest)
    return summary._replace(low=float(ends[0]), high=float(ends[1]))
