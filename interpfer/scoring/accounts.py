"""What a reader must know about the images behind the means of a score."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from interpfer.labels import NEUTRAL, list_names
from interpfer.landmarks.reasons import EMPTY_MASK, IMPLAUSIBLE, NO_FACE, OFF_PICTURE, OUT_OF_VIEW, UNREADABLE
from interpfer.metrics.base import DatasetMetric
from interpfer.results.tables import Tables
from interpfer.scoring.session import ScoreSession
from interpfer.statistics.summary import macro_mean
from interpfer.types import Sample


def account_notes(tables: Tables, expected: Sequence[str] = ()) -> Iterator[str]:
    """Yield a sentence on classes without a scored image, and one on each map that is undefined on some faces.

    Args:
        tables: the finished batches of a run.
        expected: classes that an image could have shown, beside those of the data set.
    """
    scored = {label for label, is_valid in zip(tables.labels, tables.valid.tolist(), strict=True) if is_valid}
    known = dict.fromkeys([*tables.dataset.classes, *expected])
    absent = [name for name in known if name not in (*scored, NEUTRAL)]
    if absent:
        found = [name for name in known if name in scored and name != NEUTRAL]
        yield f"macro means are over {list_names(found) or 'no class'}: no image of {list_names(absent)} was scored"
    yield from _undefined(tables)


def _undefined(tables: Tables) -> Iterator[str]:
    """Compare each map that is undefined on some faces with the baselines on the same faces."""
    if not tables.values:
        return
    metric, scores = min(tables.values.items(), key=lambda item: isinstance(tables.metrics[item[0]], DatasetMetric))
    labels = np.array(tables.labels)
    baselines = [place for place, (_, layer) in enumerate(tables.columns) if layer == "-"]
    for place, (name, layer) in enumerate(tables.columns):
        defined = tables.valid & np.isfinite(scores[:, place])
        missing = int(tables.valid.sum() - defined.sum())
        if layer == "-" or not missing or not defined.any():
            continue
        means = [
            f"{tables.columns[column][0]} {macro_mean(scores[defined, column].tolist(), labels[defined].tolist()):.3f}"
            for column in (place, *baselines)
        ]
        yield (
            f"{name}@{layer} is undefined on {missing} of {int(tables.valid.sum())} faces; over the other "
            f"{int(defined.sum())}, the mean {metric} is: {', '.join(means)}"
        )


def no_labels(session: ScoreSession) -> str | None:
    """Return a note on maps of the true class where no image has one, None otherwise."""
    if session.dataset.classes or session.spec.target != "label":
        return None
    return (
        f"no image of the data set {session.dataset.name} has a label, so maps of the true class are undefined: pass "
        "--target predicted, --target au or --target CLASS"
    )


def nothing_to_score(session: ScoreSession, missing: Mapping[int, str]) -> str:
    """Return the message that counts what became of every image.

    Args:
        session: the open score.
        missing: row -> why it has no landmarks.
    """

    def reason(row: int, sample: Sample) -> str:
        if missing.get(row, "").startswith(UNREADABLE):
            return "unreadable"
        if sample.label == NEUTRAL or (not sample.label and session.dataset.classes):
            return sample.label or "without a label"
        if row not in missing:
            return session.truth.missing_reason(sample)
        kind = missing[row].partition(":")[0]
        named = (IMPLAUSIBLE, OFF_PICTURE, EMPTY_MASK, OUT_OF_VIEW)
        return f"with {kind}" if kind in named else "without landmarks"

    rows = session.spec.rows
    reasons = {row: reason(row, sample) for row, sample in zip(rows, session.samples(rows), strict=True)}
    counts = ", ".join(f"{count} {what}" for what, count in Counter(reasons.values()).most_common())
    kinds = (IMPLAUSIBLE, EMPTY_MASK, OUT_OF_VIEW)
    unexplained = ("without landmarks", "unreadable", *(f"with {kind}" for kind in kinds))
    first = next((row for row, what in reasons.items() if what in unexplained), None)
    example = "" if first is None else f" {session.dataset.samples[first].id}: {missing[first] or NO_FACE}."
    return f"no image of the data set {session.dataset.name} can be scored: of {len(reasons)}, {counts}.{example}"
