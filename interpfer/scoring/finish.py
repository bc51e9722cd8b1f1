"""What a finished score leaves: its tables, its manifest, the pictures of its report."""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from interpfer import __version__
from interpfer.errors import DataError
from interpfer.labels import NEUTRAL
from interpfer.landmarks.base import NO_FACE, UNREADABLE
from interpfer.maps.canvas import conventions
from interpfer.metrics.au_profile import summarise_profiles
from interpfer.results.folder import RunFolder
from interpfer.results.metric_facts import write_readings
from interpfer.results.pictures import ReportContent, ReportData
from interpfer.results.run import Run
from interpfer.results.tables import Tables
from interpfer.scoring.gallery import gather
from interpfer.scoring.spec import Plan
from interpfer.statistics.classification import Classification, classify, wrong_order

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "pillow")
"""Whose versions the manifest names."""


def conclude(
    plan: Plan, folder: RunFolder, keep: ReportContent, started: float, sanity: dict[str, Any] | None
) -> tuple[Run, ReportData | None]:
    """Make the tables out of all batches, and write them; the manifest last.

    Args:
        plan: what was scored.
        folder: where its batches lie.
        keep: what the report may show.
        started: when the score began, in seconds of the monotonic clock.
        sanity: what the checks of the maps found, if they were made.

    Returns:
        The run, and what its report shows.

    Raises:
        DataError: no image can be scored.
    """
    tables = Tables(
        list(folder.parts()),
        folder.counts,
        plan.dataset,
        plan.model.classes,
        plan.columns,
        plan.metrics,
        plan.seed,
    )
    if not tables.heat.any():
        raise DataError(nothing_to_score(plan, tables.missing))
    classification = classify(
        tables.labels, tables.predicted, plan.dataset.classes, plan.model.classes, tables.confidence
    )
    groupings = {"true": tables.labels, "predicted": tables.predicted}
    evidence = summarise_profiles(tables.profiles, groupings, plan.columns, plan.evidence, plan.book)
    shown = gather(plan, folder, tables, keep) if keep.maps else None
    manifest = _manifest(plan, tables, classification) | ({"sanity": sanity} if sanity else {})
    manifest["timings"] = {"seconds": round(time.monotonic() - started, 3)}
    confusion = classification.confusion.rename_axis("true")
    run = Run(tables.scores(), tables.per_image(), confusion, manifest, folder.path, evidence)
    written = {
        "scores.csv": run.scores,
        "per_image.csv": run.per_image,
        "confusion.csv": run.confusion,
        "au_profile.csv": evidence,
    }
    folder.finish(written, manifest, None if shown is None else shown.to_bytes())
    return run, shown


def _manifest(plan: Plan, tables: Tables, classification: Classification) -> dict[str, Any]:
    """Say what was scored, how, and what came of it beside the tables."""
    warnings = [*plan.dataset.remarks, *plan.model.notes, wrong_order(classification.confusion, plan.model.classes)]
    return {
        "arguments": plan.facts,
        "seed": plan.seed,
        "device": str(plan.model.device),
        "versions": {"interpfer": __version__} | {name: version(name) for name in PACKAGES},
        "checkpoint_sha256": plan.facts["checkpoint"],
        "dataset_digest": _digest(tables),
        "landmarks_digest": plan.provider.digest,
        "limit": len(plan.rows) if len(plan.rows) < len(plan.dataset) else None,
        "conventions": conventions(plan.protocol),
        "counts": tables.counts(),
        "classification": classification.facts(),
        "intervals": "95 % bootstrap over " + ("images" if tables.subjects is None else "subjects"),
        "readings": write_readings(list(plan.metrics)),
        "warnings": [warning for warning in warnings if warning],
        "same": {"@".join(key): "@".join(twin) for key, twin in plan.same.items() if key not in tables.unlike},
        "refused": {"@".join(key): reason for key, reason in (plan.refused | tables.refused).items()},
    }


def _digest(tables: Tables) -> str:
    """Hash the names, labels and pixels of the images that were read."""
    content = hashlib.sha256()
    digests = [digest for part in tables.parts for digest in part.digests]
    for row, label, digest in zip(tables.rows, tables.labels, digests, strict=True):
        content.update(f"{tables.dataset.samples[row].id},{label},{digest}\n".encode())
    return content.hexdigest()


def nothing_to_score(plan: Plan, missing: Mapping[int, str]) -> str:
    """Say what became of every image; ``missing`` tells why one has no landmarks."""

    def fate(row: int, label: str) -> str:
        if missing.get(row, "").startswith(UNREADABLE):
            return "unreadable"
        if label in ("", NEUTRAL):
            return label or "without a label"
        return "without landmarks" if row in missing else f"with no action units in {plan.codebook}"

    fates = {row: fate(row, label) for row, label in zip(plan.rows, plan.labels(plan.rows), strict=True)}
    counts = ", ".join(f"{count} {what}" for what, count in Counter(fates.values()).most_common())
    first = next((row for row, what in fates.items() if what in ("without landmarks", "unreadable")), None)
    example = "" if first is None else f" {plan.dataset.samples[first].id}: {missing[first] or NO_FACE}."
    return f"no image of the data set {plan.dataset.name} can be scored: of {len(fates)}, {counts}.{example}"
