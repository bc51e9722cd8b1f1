"""What a finished score leaves: its tables, its manifest, the pictures of its report."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from interpfer import __version__
from interpfer.errors import DataError
from interpfer.faces.check import landmark_notes
from interpfer.maps.canvas import conventions
from interpfer.metrics.au_profile import summarise_profiles
from interpfer.metrics.ignoring import undefined_where_ignored
from interpfer.models.model import Model
from interpfer.options import RUN_OPTIONS, write_command
from interpfer.results.au_shares import AU_SHARES_FILE, au_share_table
from interpfer.results.clips import Clips, accuracy_interval, clip_table
from interpfer.results.counts import count_images
from interpfer.results.deferred import DeferredTable
from interpfer.results.folder import RunFolder
from interpfer.results.groups import group_facts, group_tables
from interpfer.results.image_rows import ImageRows
from interpfer.results.image_table import IMAGE_FILES
from interpfer.results.metric_facts import METRIC_FACTS, leaderboard_columns, record_metric_facts
from interpfer.results.occluded import EXAMPLES_FILE, OCCLUSION_FILE
from interpfer.results.pair_tables import PairTables
from interpfer.results.pictures import ReportContent, ReportData
from interpfer.results.published import PUBLISHED, compare_published
from interpfer.results.regions import REGIONS_FILE, region_table
from interpfer.results.run import (
    AU_RECALL_FILE,
    CLIPS_FILE,
    COMMAND,
    GROUPS,
    SHARD,
    TRUTH_NOUN,
    Run,
    describe_shard,
)
from interpfer.results.sources import SOURCES, collect_sources
from interpfer.results.tables import Tables
from interpfer.scoring.accounts import account_notes, no_labels, nothing_to_score
from interpfer.scoring.action_units import (
    NOT_DRAWN,
    classify_outputs,
    find_undrawn,
    name_missing_outputs,
    name_undrawn,
    open_pairs,
    recall_of,
    score_table,
)
from interpfer.scoring.class_match import class_notes, shared_facts
from interpfer.scoring.clips import describe_clips, find_clips
from interpfer.scoring.gallery import collect_report_data
from interpfer.scoring.occlusion_tables import finish_occlusions, measured_metrics
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.session import ScoreSession
from interpfer.scoring.spec import ScoreSpec
from interpfer.statistics.classification import Classification, classify, wrong_order
from interpfer.statistics.proportions import clustered_interval

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "pillow")
"""Whose versions the manifest names."""


def finish_run(
    session: ScoreSession,
    folder: RunFolder,
    options: ScoreOptions,
    content: ReportContent,
    started: float,
    sanity: dict[str, Any] | None,
    record: Mapping[str, Any] | None = None,
) -> tuple[Run, ReportData | None]:
    """Make the tables out of all batches, and write them; the manifest last.

    Args:
        session: what was scored.
        folder: where its batches lie.
        options: what the user asked for; the manifest keeps them.
        content: what the report may show.
        started: when the score began, in seconds of the monotonic clock.
        sanity: results of the sanity checks, if they were made.
        record: further entries of the manifest, of a shard or of a merged run.

    Returns:
        The run, and what its report shows.

    Raises:
        DataError: no image can be scored, and the run is no shard.
    """
    tables, record = _open_tables(session, folder), dict(record or {})
    if not tables.valid.any() and SHARD not in record:
        raise DataError(nothing_to_score(session, tables.missing))
    outputs, pairs = session.classifier.classes, open_pairs(session, folder, tables)
    labels = tables.labels if outputs else [""] * len(tables.labels)
    clips = find_clips(session, tables)
    classification = classify(labels, tables.predicted, session.dataset.classes, outputs, tables.confidence)
    classification = classification if clips is None else clips.classification
    groupings = {"true": tables.labels, "predicted": tables.predicted}
    profile = summarise_profiles(folder.profile_blocks(), groupings, session.columns, session.truth)
    report_data = collect_report_data(session, folder, tables, content) if content.maps else None
    manifest = _manifest(session, options, tables, pairs, classification, clips)
    manifest |= {"sanity": sanity} if sanity else {}
    manifest["timings"] = {"seconds": round(time.monotonic() - started, 3)}
    manifest |= record
    if SHARD in record:
        manifest["warnings"].insert(0, describe_shard(record[SHARD]))
    scores, images = score_table(session, tables, pairs), tables.image_rows()
    occluded = finish_occlusions(session, folder, tables, scores, manifest)
    deferred: Any = DeferredTable(images.frame)
    run = Run(
        scores, deferred, classification.confusion.rename_axis("true"), manifest, folder.path, profile,
        recall_of(session, tables, pairs), occluded, None if clips is None else clip_table(tables, clips),
    )  # fmt: skip
    written: dict[str, pd.DataFrame | ImageRows] = {**_own_tables(session, options, tables, run)}
    written["scores.csv"] = run.scores if occluded is None else occluded.scores
    written[IMAGE_FILES[options.tables]] = images if occluded is None else occluded.per_image
    others = {}
    if occluded is not None:
        written[OCCLUSION_FILE] = occluded.summary
        others = {EXAMPLES_FILE: occluded.examples_bytes()} if occluded.examples else {}
    folder.finish(written, manifest, None if report_data is None else report_data.to_bytes(), others)
    return run, report_data


def _open_tables(session: ScoreSession, folder: RunFolder) -> Tables:
    """Return the tables of the finished batches of the faces as they are."""
    return Tables(
        list(folder.parts()),
        folder.counts,
        session.dataset,
        session.classifier.classes,
        session.columns,
        session.metrics,
        session.spec.seed,
        session.spec.by,
        session.spec.least_group,
        folder.profiles,
    )


def _own_tables(session: ScoreSession, options: ScoreOptions, tables: Tables, run: Run) -> dict[str, pd.DataFrame]:
    """Return file -> table of what a run has beside the scores."""
    parts, regions = session.truth.parts, region_table(run)
    written = {"confusion.csv": run.confusion, **group_tables(run.manifest)}
    if parts.groups and run.au_profile is not None:
        written["au_profile.csv"] = run.au_profile
    if len(regions):
        written[REGIONS_FILE] = regions
    if run.au_recall is not None:
        written[AU_RECALL_FILE] = run.au_recall
    if run.clips is not None:
        written[CLIPS_FILE] = run.clips
    if options.au_shares and parts.groups:
        written[AU_SHARES_FILE] = au_share_table(tables, session.columns, parts.names)
    return written


def _manifest(
    session: ScoreSession,
    options: ScoreOptions,
    tables: Tables,
    pairs: PairTables,
    classification: Classification,
    clips: Clips | None,
) -> dict[str, Any]:
    """Return what was scored, how, and the results beside the tables."""
    spec, undrawn = session.spec, find_undrawn(session, tables, pairs)
    of_clips, notes = describe_clips(session, tables, clips)
    warnings = [
        *session.dataset.notes,
        *landmark_notes(session.stream.provider),
        *session.model.notes,
        *session.truth.notes(session.samples(session.spec.rows)),
        no_labels(session),
        *_ignored_notes(session),
        *class_notes(classification.confusion, session.classifier.classes),
        wrong_order(classification.confusion, session.classifier.classes),
        name_missing_outputs(session),
        name_undrawn(undrawn),
        *notes,
        *account_notes(tables, [name for name in session.model.classes if session.truth.expected_parts(name).any()]),
    ]
    shared = shared_facts(classification.confusion, session.classifier.classes)
    accuracy = classification.facts() | shared | _accuracy_interval(session, tables, clips)
    accuracy |= classify_outputs(session, tables)
    return {
        "arguments": spec.identity,
        "spec_digest": spec.digest,
        RUN_OPTIONS: options.to_dict(repeats_only=True),
        COMMAND: _command(options, spec, session.dataset.needs_root),
        TRUTH_NOUN: session.truth.noun,
        "seed": spec.seed,
        "device": str(session.model.device),
        "versions": {"interpfer": __version__} | {name: version(name) for name in PACKAGES},
        "checkpoint_sha256": spec.checkpoint,
        "dataset_digest": _digest(tables),
        "landmarks_digest": spec.landmarks_digest,
        "network": _network(session.model),
        "limit": len(spec.rows) if len(spec.rows) < len(session.dataset) else None,
        "conventions": conventions(spec.protocol),
        "counts": count_images(tables) | ({NOT_DRAWN: undrawn} if undrawn else {}),
        "classification": accuracy,
        **of_clips,
        **_published(session, accuracy),
        **({GROUPS: group_facts(tables)} if tables.by else {}),
        "intervals": "95 % bootstrap over " + tables.units,
        "subjects": _count_subjects(tables),
        "readings": leaderboard_columns(measured_metrics(session)),
        METRIC_FACTS: record_metric_facts(measured_metrics(session)),
        SOURCES: collect_sources(spec.maps, spec.metrics, session.truth),
        "warnings": list(dict.fromkeys(warning for warning in warnings if warning)),
        "same": {
            "@".join(key): "@".join(twin) for key, twin in session.probe.duplicates.items() if key not in tables.unlike
        },
        "refused": {"@".join(key): reason for key, reason in (session.probe.failed | tables.refused).items()},
    }


def _published(session: ScoreSession, accuracy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry on the published accuracy of a model; none where none is known."""
    spec, (low, high) = session.spec, accuracy["accuracy_ci"]
    known = session.model.card.published
    facts = compare_published(known, spec.dataset, spec.split, accuracy["accuracy"], (low, high))
    return {PUBLISHED: facts} if facts else {}


def _ignored_notes(session: ScoreSession) -> list[str]:
    """Return a sentence on the metrics that are undefined on images with pixels to ignore."""
    names = undefined_where_ignored(session.metrics) if session.truth.has_ignored else ()
    listed = ", ".join(names)
    return [f"undefined on images with pixels to ignore, of which they say nothing: {listed}"] if names else []


def _network(model: Model) -> dict[str, Any]:
    """Return architecture, number of parameters and lineage of a model, the address it comes from, and its texts."""
    arch = model.card.arch or type(model.module).__name__
    count = sum(parameter.numel() for parameter in model.module.parameters())
    facts = {"architecture": arch, "parameters": count, "lineage": model.card.lineage}
    texts = {} if model.card.prompts is None else {"prompts": model.card.prompts.to_dict()}
    return facts | ({"source": model.card.source} if model.card.source else {}) | texts


def _accuracy_interval(session: ScoreSession, tables: Tables, clips: Clips | None) -> dict[str, Any]:
    """Return the 95 % confidence interval of the accuracy, and what it is."""
    if not session.classifier.classes:
        return {"accuracy_ci": [float("nan"), float("nan")], "accuracy_interval": "the model has no classes"}
    if clips is not None:
        return accuracy_interval(clips)
    rows = tables.classes >= 0
    subjects = None if tables.subjects is None else tables.subjects[rows]
    ends = clustered_interval(tables.halves["correct"][rows], subjects)
    images = "images taken as independent" if subjects is None else "effective number of images, from subjects"
    return {"accuracy_ci": list(ends), "accuracy_interval": f"Wilson, {images}"}


def _count_subjects(tables: Tables) -> dict[str, Any]:
    """Return how many people there are, also among the scored images of each class; empty where none is known."""
    if tables.subjects is None or not any(tables.subject_names):
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
    for row, label, digest in zip(tables.rows, tables.labels, tables.digests, strict=True):
        content.update(f"{tables.dataset.samples[row].id},{label},{digest}\n".encode())
    return content.hexdigest()
