"""Clips of a run: predictions pooled over their frames, and the table clips.csv."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.labels import class_indices
from interpfer.results.tables import Tables
from interpfer.statistics.classification import Classification, classify
from interpfer.statistics.proportions import clustered_interval
from interpfer.statistics.subjects import number_subjects
from interpfer.statistics.summary import Summary, summarise

Probabilities = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Function from (n, classes) logits to probabilities."""


@dataclass(frozen=True)
class Clips:
    """The clips of a run of which at least one frame was read.

    Attributes:
        names: names of the clips, in the order of the data set.
        labels: class of each clip; "" where unknown, or where its frames have several.
        predicted: predicted class; "" of a model without classes.
        confidence: probability of that class.
        subjects: the person; "" where unknown.
        rows: of each clip, the positions of its frames among the rows of the tables.
        classification: of the clips.
        summaries: UAR (group "macro") and WAR ("micro") with intervals over clips, or people; empty without classes.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    confidence: NDArray[np.float64]
    subjects: tuple[str, ...]
    rows: tuple[NDArray[np.intp], ...]
    classification: Classification
    summaries: tuple[Summary, ...]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the predicted class of each labelled clip is its label."""
        return np.array([a == b for a, b in zip(self.labels, self.predicted, strict=True) if a], bool)

    @property
    def people(self) -> NDArray[np.intp] | None:
        """Number of the person on each labelled clip; None where nobody is known."""
        return number_subjects([name for name, label in zip(self.subjects, self.labels, strict=True) if label])


def pool_clips(tables: Tables, probabilities: Probabilities) -> Clips | None:
    """Predict the class of each clip from the mean of its frames' logits; None for a run without clips.

    A frame that was sampled twice counts twice; one that could not be read does not count.

    Args:
        tables: the finished batches of a run.
        probabilities: of the model.
    """
    rows = _rows_of_clips(tables)
    if not rows:
        return None
    logits = mean_logits(tables, rows)
    predicted = [tables.outputs[index] for index in logits.argmax(1)] if tables.outputs else [""] * len(rows)
    confidence = probabilities(logits).max(1) if tables.outputs else np.full(len(rows), np.nan)
    labels = [_common([tables.labels[row] for row in own]) for own in rows.values()]
    subjects = [_common([tables.subject_names[row] for row in own]) for own in rows.values()]
    truth = labels if tables.outputs else [""] * len(labels)
    names = tables.dataset.classes
    classification = classify(truth, predicted, names, tables.outputs, confidence.tolist())
    correct = np.array([float(a == b) for a, b in zip(labels, predicted, strict=True)])
    classes = np.array(class_indices(truth, names), np.intp)
    summaries = summarise(correct, classes, names, tables.seed, number_subjects(subjects))[:2] if names else []
    return Clips(
        tuple(rows), tuple(labels), tuple(predicted), confidence, tuple(subjects), tuple(rows.values()), classification,
        tuple(summaries),
    )  # fmt: skip


def mean_logits(tables: Tables, rows: Mapping[str, NDArray[np.intp]]) -> NDArray[np.float64]:
    """Return the mean logits of each clip: (clips, classes)."""
    if not tables.outputs:
        return np.zeros((len(rows), 0))
    logits = np.concatenate([part.logits for part in tables.parts if part.logits is not None]).astype(np.float64)
    return np.stack([logits[own].mean(0) for own in rows.values()])


def decided(tables: Tables) -> list[str]:
    """Return the predicted class per row: of the frame of a clip that of the clip.

    Args:
        tables: the finished batches of a run.
    """
    rows, predicted = _rows_of_clips(tables), list(tables.predicted)
    if not rows or not tables.outputs:
        return predicted
    for own, index in zip(rows.values(), mean_logits(tables, rows).argmax(1), strict=True):
        for row in own:
            predicted[row] = tables.outputs[index]
    return predicted


def clip_table(tables: Tables, clips: Clips) -> pd.DataFrame:
    """Return one line per clip: label, prediction, frames, and the mean over its frames of each metric of each map.

    Columns ``METRIC MAP@LAYER`` average the frames on which the metric is defined. Frames that could not be read are
    counted as skipped, frames without landmarks as faceless, and those whose landmarks were interpolated as bridged.
    """
    samples = tables.dataset.samples
    skipped = _count(samples[row].clip for part in tables.parts for row in part.skipped)
    faceless = _count(samples[row].clip for part in tables.parts for row in part.faceless)
    bridged = _count(samples[row].clip for part in tables.parts for row in part.bridged)
    table: dict[str, Any] = {
        "clip": clips.names,
        "label": clips.labels,
        "predicted": clips.predicted,
        "confidence": clips.confidence,
    }
    if any(clips.subjects):
        table["subject"] = clips.subjects
    table |= {
        "frames": [len(own) for own in clips.rows],
        "scored": [int(tables.valid[own].sum()) for own in clips.rows],
        "skipped": [skipped.get(name, 0) for name in clips.names],
        "faceless": [faceless.get(name, 0) for name in clips.names],
        "bridged": [bridged.get(name, 0) for name in clips.names],
    }
    for metric, values in tables.values.items():
        for place, (name, layer) in enumerate(tables.columns):
            table[f"{metric} {name}@{layer}"] = [_mean(values[own, place]) for own in clips.rows]
    return pd.DataFrame(table)


def clip_facts(tables: Tables, clips: Clips, damaged: Mapping[str, str]) -> dict[str, Any]:
    """Return what run.json says about the clips of a run.

    Args:
        tables: the finished batches of the run.
        clips: its clips.
        damaged: name of each clip that the data set could not open -> reason.
    """
    samples, read = tables.dataset.samples, set(clips.names)
    lost: dict[str, str] = dict(damaged)
    for part in tables.parts:
        for row, reason in part.skipped.items():
            if samples[row].clip and samples[row].clip not in read:
                lost.setdefault(samples[row].clip, reason)
    lengths = [len(own) for own in clips.rows]
    facts: dict[str, Any] = {
        "clips": len(clips.names) + len(lost),
        "scored": len(clips.names),
        "skipped": lost,
        "frames": sum(lengths),
        "frames_per_clip": [min(lengths), float(np.median(lengths)), max(lengths)],
        "skipped_frames": sum(len(part.skipped) for part in tables.parts),
        "bridged_frames": sum(len(part.bridged) for part in tables.parts),
        "prediction": "the mean of the logits of the frames",
        "intervals_over": "people" if any(clips.subjects) else "clips",
    }
    if clips.summaries and tables.outputs:
        uar, war = clips.summaries
        facts |= {"WAR": war.value, "WAR_ci": [war.low, war.high], "UAR": uar.value, "UAR_ci": [uar.low, uar.high]}
        frames = classify(tables.labels, tables.predicted, tables.dataset.classes, tables.outputs)
        facts["of_single_frames"] = {"accuracy": frames.accuracy, "balanced_accuracy": frames.balanced_accuracy}
    return facts


def accuracy_interval(clips: Clips) -> dict[str, Any]:
    """Return the 95 % confidence interval of the accuracy of clips, and what it is, for run.json."""
    how = "clips taken as independent" if clips.people is None else "effective number of clips, from subjects"
    ends = clustered_interval(clips.correct, clips.people)
    return {"accuracy_ci": list(ends), "accuracy_interval": f"Wilson, {how}"}


def clip_notes(clips: Clips, facts: Mapping[str, Any]) -> list[str]:
    """Return sentences on the clips of a run."""
    notes = [f"accuracy, F1 and confusion are of {len(clips.names)} clips, by the mean of their frames' logits"]
    if "WAR" in facts:
        notes.append(war_sentence(facts))
    if facts["skipped"]:
        listed = "; ".join(f"{name} ({reason.rstrip('.')})" for name, reason in list(facts["skipped"].items())[:5])
        notes.append(f"{len(facts['skipped'])} clips could not be read: {listed}")
    if facts["bridged_frames"]:
        notes.append(f"landmarks of {facts['bridged_frames']} frames were interpolated over short gaps")
    several = sum(not label for label in clips.labels)
    if several and any(clips.labels):
        notes.append(f"{several} clips have no label, or several, and do not count in the accuracy")
    return notes


def war_sentence(facts: Mapping[str, Any]) -> str:
    """Return the sentence on WAR and UAR.

    Examples:
        >>> war_sentence({"WAR": 0.5, "UAR": 0.25})
        'WAR 0.500, UAR 0.250 (accuracy and mean recall of clips)'
    """
    return f"WAR {facts['WAR']:.3f}, UAR {facts['UAR']:.3f} (accuracy and mean recall of clips)"


def _rows_of_clips(tables: Tables) -> dict[str, NDArray[np.intp]]:
    """Return clip -> positions of its frames among the rows of the tables."""
    rows: dict[str, list[int]] = {}
    for place, row in enumerate(tables.rows):
        if clip := tables.dataset.samples[row].clip:
            rows.setdefault(clip, []).append(place)
    return {clip: np.array(own, np.intp) for clip, own in rows.items()}


def _common(names: Sequence[str]) -> str:
    """Return the name that all share; "" where they differ."""
    return names[0] if len(set(names)) == 1 else ""


def _count(names: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
