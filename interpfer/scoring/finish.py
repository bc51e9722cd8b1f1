"""What a finished score leaves: its tables, its manifest, the pictures of its report."""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from interpfer import __version__
from interpfer.errors import DataError
from interpfer.labels import NEUTRAL
from interpfer.landmarks.reasons import IMPLAUSIBLE, NO_FACE, OFF_PICTURE, UNREADABLE
from interpfer.maps.canvas import conventions
from interpfer.metrics.au_profile import summarise_profiles
from interpfer.models.model import Model
from interpfer.options import RUN_OPTIONS, write_command
from interpfer.results.folder import RunFolder
from interpfer.results.metric_facts import METRIC_FACTS, leaderboard_columns, record_metric_facts
from interpfer.results.pictures import ReportContent, ReportData
from interpfer.results.published import PUBLISHED, compare_published
from interpfer.results.regions import REGIONS_FILE, region_table
from interpfer.results.run import COMMAND, Run
from interpfer.results.sources import SOURCES, collect_sources
from interpfer.results.tables import Tables
from interpfer.scoring.accounts import account_notes
from interpfer.scoring.gallery import collect_report_data
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.session import ScoreSession
from interpfer.scoring.spec import ScoreSpec
from interpfer.statistics.classification import Classification, classify, wrong_order
from interpfer.statistics.proportions import clustered_interval
from interpfer.types import Sample

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "pillow")
"""Whose versions the manifest names."""


def finish_run(
    session: ScoreSession,
    folder: RunFolder,
    options: ScoreOptions,
    content: ReportContent,
    started: float,
    sanity: dict[str, Any] | None,
) -> tuple[Run, ReportData | None]:
    """Make the tables out of all batches, and write them; the manifest last.

    Args:
        session: what was scored.
        folder: where its batches lie.
        options: what the user asked for; the manifest keeps them.
        content: what the report may show.
        started: when the score began, in seconds of the monotonic clock.
        sanity: results of the sanity checks, if they were made.

    Returns:
        The run, and what its report shows.

    Raises:
        DataError: no image can be scored.
    """
    tables = Tables(
        list(folder.parts()),
        folder.counts,
        session.dataset,
        session.model.classes,
        session.columns,
        session.metrics,
        session.spec.seed,
    )
    if not tables.valid.any():
        raise DataError(nothing_to_score(session, tables.missing))
    classification = classify(
        tables.labels, tables.predicted, session.dataset.classes, session.model.classes, tables.confidence
    )
    groupings = {"true": tables.labels, "predicted": tables.predicted}
    profile = summarise_profiles(tables.profiles, groupings, session.columns, session.truth)
    report_data = collect_report_data(session, folder, tables, content) if content.maps else None
    manifest = _manifest(session, options, tables, classification) | ({"sanity": sanity} if sanity else {})
    manifest["timings"] = {"seconds": round(time.monotonic() - started, 3)}
    confusion = classification.confusion.rename_axis("true")
    run = Run(tables.scores(), tables.per_image(), confusion, manifest, folder.path, profile)
    written = {
        "scores.csv": run.scores,
        "per_image.csv": run.per_image,
        "confusion.csv": run.confusion,
        "au_profile.csv": profile,
    }
    if len(regions := region_table(run)):
        written[REGIONS_FILE] = regions
    folder.finish(written, manifest, None if report_data is None else report_data.to_bytes())
    return run, report_data


def _manifest(
    session: ScoreSession, options: ScoreOptions, tables: Tables, classification: Classification
) -> dict[str, Any]:
    """Return what was scored, how, and the results beside the tables."""
    spec = session.spec
    warnings = [
        *session.dataset.notes,
        *session.model.notes,
        *session.truth.notes(session.samples(session.spec.rows)),
        wrong_order(classification.confusion, session.model.classes),
        *account_notes(tables, [name for name in session.model.classes if session.truth.expected_parts(name).any()]),
    ]
    accuracy = classification.facts() | _accuracy_interval(tables)
    low, high = accuracy["accuracy_ci"]
    published = compare_published(
        session.model.card.published, spec.dataset, spec.split, classification.accuracy, (low, high)
    )
    return {
        "arguments": spec.identity,
        "spec_digest": spec.digest,
        RUN_OPTIONS: options.to_dict(repeats_only=True),
        COMMAND: _command(options, spec, session.dataset.needs_root),
        "seed": spec.seed,
        "device": str(session.model.device),
        "versions": {"interpfer": __version__} | {name: version(name) for name in PACKAGES},
        "checkpoint_sha256": spec.checkpoint,
        "dataset_digest": _digest(tables),
        "landmarks_digest": spec.landmarks_digest,
        "network": _network(session.model),
        "limit": len(spec.rows) if len(spec.rows) < len(session.dataset) else None,
        "conventions": conventions(spec.protocol),
        "counts": tables.counts(),
        "classification": accuracy,
        **({PUBLISHED: published} if published else {}),
        "intervals": "95 % bootstrap over " + ("images" if tables.subjects is None else "subjects"),
        "subjects": _count_subjects(tables),
        "readings": leaderboard_columns(spec.metrics),
        METRIC_FACTS: record_metric_facts(spec.metrics),
        SOURCES: collect_sources(spec.maps, spec.metrics, session.truth),
        "warnings": [warning for warning in warnings if warning],
        "same": {
            "@".join(key): "@".join(twin) for key, twin in session.probe.duplicates.items() if key not in tables.unlike
        },
        "refused": {"@".join(key): reason for key, reason in (session.probe.failed | tables.refused).items()},
    }


def _network(model: Model) -> dict[str, Any]:
    """Return architecture, number of parameters and lineage of a model."""
    arch = model.card.arch or type(model.module).__name__
    count = sum(parameter.numel() for parameter in model.module.parameters())
    return {"architecture": arch, "parameters": count, "lineage": model.card.lineage}


def _accuracy_interval(tables: Tables) -> dict[str, Any]:
    """Return the 95 % confidence interval of the accuracy, and what it is."""
    rows = tables.classes >= 0
    subjects = None if tables.subjects is None else tables.subjects[rows]
    ends = clustered_interval(tables.halves["correct"][rows], subjects)
    images = "images taken as independent" if subjects is None else "effective number of images, from subjects"
    return {"accuracy_ci": list(ends), "accuracy_interval": f"Wilson, {images}"}


def _count_subjects(tables: Tables) -> dict[str, Any]:
    """Return how many people there are, also among the scored images of each class; empty where none is known."""
    if tables.subjects is None:
        return {}
    scored = {
        name: tables.subjects[tables.valid & (tables.classes == index)]
        for index, name in enumerate(tables.dataset.classes)
    }
    return {
        "people": len(np.unique(tables.subjects)),
        "images_without_subject": tables.subject_names.count(""),
        "people_per_class": {name: len(np.unique(people)) for name, people in scored.items() if len(people)},
    }


def _command(options: ScoreOptions, spec: ScoreSpec, needs_root: bool) -> list[str]:
    """Return the command that repeats a score; MODEL and DIR stand for objects that were passed in Python."""
    if options.model is None:
        options = replace(options, model="MODEL", name=spec.model)
    if options.dataset is None:
        options = replace(options, dataset=spec.dataset, split=spec.split, data_root="DIR" if needs_root else None)
    return write_command(options, "score", arguments=["model"])


def _digest(tables: Tables) -> str:
    """Hash the names, labels and pixels of the images that were read."""
    content = hashlib.sha256()
    digests = [digest for part in tables.parts for digest in part.digests]
    for row, label, digest in zip(tables.rows, tables.labels, digests, strict=True):
        content.update(f"{tables.dataset.samples[row].id},{label},{digest}\n".encode())
    return content.hexdigest()


def nothing_to_score(session: ScoreSession, missing: Mapping[int, str]) -> str:
    """Return the message that counts what became of every image.

    Args:
        session: the open score.
        missing: row -> why it has no landmarks.
    """

    def reason(row: int, sample: Sample) -> str:
        if missing.get(row, "").startswith(UNREADABLE):
            return "unreadable"
        if sample.label in ("", NEUTRAL):
            return sample.label or "without a label"
        if row not in missing:
            return session.truth.missing_reason(sample)
        kind = missing[row].partition(":")[0]
        return f"with {kind}" if kind in (IMPLAUSIBLE, OFF_PICTURE) else "without landmarks"

    rows = session.spec.rows
    reasons = {row: reason(row, sample) for row, sample in zip(rows, session.samples(rows), strict=True)}
    counts = ", ".join(f"{count} {what}" for what, count in Counter(reasons.values()).most_common())
    unexplained = ("without landmarks", f"with {IMPLAUSIBLE}", "unreadable")
    first = next((row for row, what in reasons.items() if what in unexplained), None)
    example = "" if first is None else f" {session.dataset.samples[first].id}: {missing[first] or NO_FACE}."
    return f"no image of the data set {session.dataset.name} can be scored: of {len(reasons)}, {counts}.{example}"
