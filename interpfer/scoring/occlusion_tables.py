"""The tables of a finished score with occlusions."""

from typing import Any

import pandas as pd

from interpfer.metrics.hole import HOLE_METRICS
from interpfer.results.folder import RunFolder
from interpfer.results.occluded import OccludedTables
from interpfer.results.occlusion import Covered, occluded_tables, occlusion_facts
from interpfer.results.tables import Tables
from interpfer.scoring.session import ScoreSession

OCCLUSION = "occlusion"
"""Key of run.json: name of an occlusion -> classification of the covered faces, their number and the area hidden."""


def finish_occlusions(
    session: ScoreSession, folder: RunFolder, clean: Tables, scores: pd.DataFrame, manifest: dict[str, Any]
) -> OccludedTables | None:
    """Return the tables of all occlusions, and record in the manifest of a run how the covered faces are classified.

    Args:
        session: what was scored.
        folder: where its batches lie.
        clean: the finished batches of the faces as they are.
        scores: their rows of scores.csv.
        manifest: that of the run.
    """
    if not session.occlusions:
        return None
    covered = []
    for place, occlusion in enumerate(session.occlusions):
        own = folder.occluded(place)
        tables = Tables(
            list(own.parts()),
            own.counts,
            clean.dataset,
            clean.outputs,
            clean.columns,
            dict(clean.metrics) | HOLE_METRICS,
            clean.seed,
            clean.by,
            clean.least_group,
        )
        covered.append(Covered(occlusion, tables))
    manifest[OCCLUSION] = occlusion_facts(covered, clean.dataset.classes)
    return occluded_tables(clean, scores, covered)


def measured_metrics(session: ScoreSession) -> tuple[str, ...]:
    """Return the names of all metrics in the tables of a score."""
    return (*session.spec.metrics, *(HOLE_METRICS if session.occlusions else ()))
