"""Scores of the rows of a table: a text's, and those of the baselines beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interpfer.rationales.baselines import ANSWER_UNITS, LABEL_UNITS, RANDOM_UNITS, MeanBoxes, draw_random, ground_means
from interpfer.rationales.grounding import Grounding, ground
from interpfer.rationales.places import Places
from interpfer.rationales.table import CODED, RationaleTable
from interpfer.rationales.units import Counts, count_units, f1_by_face

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

TEXT = "text"
"""What is scored, beside the baselines."""


@dataclass(frozen=True)
class RowScores:
    """Scores of n rows.

    Attributes:
        correct: (n,) 1 where the answer is the label, 0 where not, NaN where there is no label, and of a baseline.
        counts: action units named rightly, wrongly, and missed.
        consistency: (n,) F1 of the action units named with those that the codebook lists for the answer; NaN where it
            lists none.
        grounding: sums over boxes; None without boxes.
    """

    correct: Array
    counts: Counts
    consistency: Array
    grounding: Grounding | None

    @property
    def f1(self) -> Array:
        """(n,) F1 of the action units of each face."""
        return f1_by_face(self.counts)


def score_table(table: RationaleTable, places: Places | None, of_label: Flags, seed: int) -> dict[str, RowScores]:
    """Return the scores of the texts, and those of each baseline.

    Args:
        table: the rows.
        places: where the action units lie; None where no text has boxes.
        of_label: (n, a) action units that the codebook lists for the label.
        seed: random seed.
    """
    pool = np.logical_or.reduce(of_label | table.of_answer | table.present, 0)
    named = {TEXT: table.named, ANSWER_UNITS: table.of_answer, LABEL_UNITS: of_label}
    named[RANDOM_UNITS] = draw_random(table.named, pool, seed)
    if CODED not in table.source:  # the truth itself
        del named[LABEL_UNITS]
    grounded = _ground(table, places, named) if places is not None else {}
    correct = np.array(
        [float(answer == label) if label else np.nan for answer, label in zip(table.answers, table.labels, strict=True)]
    )
    return {
        name: RowScores(
            correct if name == TEXT else np.full(len(table), np.nan),
            count_units(units, table.present, table.coded),
            _consistency(table, units),
            grounded.get(name),
        )
        for name, units in named.items()
    }


def _consistency(table: RationaleTable, named: Flags) -> Array:
    everywhere = np.repeat(table.has_answer_units[:, None], named.shape[1], 1)
    return f1_by_face(count_units(named, table.of_answer, everywhere))


def _ground(table: RationaleTable, places: Places, named: Mapping[str, Flags]) -> dict[str, Grounding]:
    """Compare the boxes of the texts, and mean boxes of the baselines, with those of the faces."""
    means = MeanBoxes(len(table.aus))
    for _, boxes in places.chunks():
        means.add(boxes)
    parts: dict[str, list[Grounding]] = {name: [] for name in named}
    for rows, boxes in places.chunks():
        has_face = places.points[rows].isfinite().all(-1).all(-1).numpy()
        own = (table.box_rows >= rows.start) & (table.box_rows < rows.stop)
        sums = ground(boxes, table.box_rows[own] - rows.start, table.box_columns[own], places.given[own])
        parts[TEXT].append(_only(sums, has_face & table.coded[rows].any(1)))
        others = means.of_others(boxes)
        for name in set(named) - {TEXT}:
            sums = ground_means(boxes, others, named[name][rows])
            parts[name].append(_only(sums, has_face & table.coded[rows].any(1)))
    return {name: Grounding(*map(np.concatenate, zip(*each, strict=True))) for name, each in parts.items()}


def _only(sums: Grounding, rows: Flags) -> Grounding:
    """Return sums with nothing on other faces: those without landmarks, and without a truth."""
    return Grounding(*(each * rows[:, None] for each in sums))
