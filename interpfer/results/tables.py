"""From finished batches to the tables of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from interpfer.datasets.base import Dataset
from interpfer.expressions import NEUTRAL
from interpfer.metrics.base import DatasetMetric, ImageMetric
from interpfer.metrics.statistics import Summary, summarise
from interpfer.results.folder import Part

SCORE_COLUMNS = ["map", "layer", "metric", "group", "value", "ci_low", "ci_high", "n"]


@dataclass(frozen=True)
class Tables:
    """The finished batches of a run, and what their numbers stand for.

    Attributes:
        parts: in the order of the data set.
        dataset: whose images they are.
        outputs: the model's classes.
        columns: the (map, layer) pairs.
        metrics: by name, in the order of the tables.
        seed: of the bootstrap.
    """

    parts: Sequence[Part]
    dataset: Dataset
    outputs: tuple[str, ...]
    columns: Sequence[tuple[str, str]]
    metrics: Mapping[str, ImageMetric | DatasetMetric]
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
    def faceless(self) -> list[str]:
        """Names of the images without landmarks."""
        return [self.dataset.samples[row].id for part in self.parts for row in part.faceless]

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Names of the images that could not be read, and why."""
        return {self.dataset.samples[row].id: why for part in self.parts for row, why in part.skipped.items()}

    @cached_property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """Per metric, the (rows, columns) scores; of a data-set metric, those of each image alone."""
        images = [name for name, metric in self.metrics.items() if isinstance(metric, ImageMetric)]
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

    def scores(self) -> pd.DataFrame:
        """Return one line per (map, layer), metric and group of images."""
        names = self.dataset.classes
        classes = np.array([names.index(label) if label else -1 for label in self.labels])
        rows = []
        for column, (name, layer) in enumerate(self.columns):
            for key, metric in self.metrics.items():
                values = self.values[key][:, column]
                if isinstance(metric, ImageMetric):
                    summaries = summarise(values, classes, names, self.seed)
                else:
                    summaries = self._pooled(key, metric, column, classes[np.isfinite(values)])
                rows += [(name, layer, key, *summary) for summary in summaries]
        return pd.DataFrame(rows, columns=SCORE_COLUMNS)

    def _pooled(self, key: str, metric: DatasetMetric, column: int, counted: NDArray[np.intp]) -> list[Summary]:
        """Score the added counts of all images (micro) and of each class, and average the latter (macro)."""
        total = torch.from_numpy(
            np.sum([part.counts[key][column] for part in self.parts if key in part.counts], 0, dtype=np.int64)
        )
        by_class = metric.score(total[:-1]).numpy()
        known = by_class[np.isfinite(by_class)]
        nan = float("nan")
        return [
            Summary("macro", known.mean() if len(known) else nan, nan, nan, len(counted)),
            Summary("micro", float(metric.score(total.sum(0))), nan, nan, len(counted)),
            *(
                Summary(name, value, nan, nan, int((counted == index).sum()))
                for index, (name, value) in enumerate(zip(self.dataset.classes, by_class, strict=True))
            ),
        ]

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
