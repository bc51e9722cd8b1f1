"""What a finished score says about single action units: rows of scores.csv, au_recall.csv, and F1 of an AU output."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.choices import AU
from interpfer.metrics.base import DatasetMetric
from interpfer.results.au_recall import recall_table
from interpfer.results.folder import RunFolder
from interpfer.results.pair_tables import PairTables
from interpfer.results.tables import Tables
from interpfer.scoring.planes import metrics_of_planes
from interpfer.scoring.session import ScoreSession
from interpfer.truth.planes import plane_au, plane_name
from interpfer.types import CodedAU, CodedAUs

THRESHOLD = {"logits": "0", "probabilities": "0.5"}
"""What the network returns for action units -> the value above which one counts as reported."""

NOT_DRAWN = "not_drawn"
"""Key of the counts in run.json: name of an action unit -> faces that show it, on which it could not be drawn."""

MAX_NAMED = 3
"""Faces that a note names at most of each action unit."""


def open_pairs(session: ScoreSession, folder: RunFolder, tables: Tables) -> PairTables:
    """Return the tables by action unit of the batches of a run."""
    has_own_maps = session.spec.target == AU
    return PairTables(
        tables.parts,
        folder.counts,
        session.dataset,
        session.model.classes,
        session.columns,
        session.metrics if has_own_maps else metrics_of_planes(session.metrics),
        session.spec.seed,
        all_metrics=tuple(name for name, each in session.metrics.items() if not isinstance(each, DatasetMetric)),
        has_own_maps=has_own_maps,
    )


def score_table(session: ScoreSession, tables: Tables, pairs: PairTables) -> pd.DataFrame:
    """Return scores.csv: the groups of faces, then the action units that were seen on them.

    With the target ``au`` all groups are of (face, action unit) pairs.
    """
    if session.spec.target == AU:
        return pairs.scores()
    if not pairs.labels:
        return tables.scores()
    table = pd.concat([tables.scores(), pairs.groups()], ignore_index=True)
    maps = {key: place for place, key in enumerate(session.columns)}
    metrics = {name: place for place, name in enumerate(session.metrics)}
    keys = zip(table["map"], table["layer"], table["metric"], strict=True)
    rank = [(maps[name, layer], metrics[metric]) for name, layer, metric in keys]
    return table.iloc[sorted(range(len(table)), key=rank.__getitem__)].reset_index(drop=True)


def recall_of(session: ScoreSession, tables: Tables, pairs: PairTables) -> pd.DataFrame | None:
    """Return au_recall.csv; None where no action units are coded.

    With the target ``au``, every map explains one action unit, and no other region is expected of it.
    """
    truth, of_plane = session.truth, session.spec.target == AU
    coded: list[CodedAUs | None]
    if of_plane:
        coded = [CodedAUs((CodedAU(plane_au(name)),)) for name in pairs.labels]
    else:
        coded = [truth.coded(sample) for sample in session.samples(tables.rows)]
    if not any(face is not None for face in coded) or not truth.parts.groups:
        return None  # before the profiles of all images are read
    drawn: list[set[int]] | None = None
    if of_plane:
        profiles, subjects = pairs.pair_profiles, pairs.subjects
    else:
        profiles, subjects, drawn = tables.profiles, tables.subjects, [set[int]() for _ in coded]
        for face, name in zip(pairs.face.tolist(), pairs.labels, strict=True):
            drawn[face].add(plane_au(name))
    seed = session.spec.seed
    return recall_table(profiles, coded, truth.parts, session.columns, seed, subjects, drawn, truth.same_region)


def classify_outputs(session: ScoreSession, tables: Tables) -> dict[str, Any]:
    """Return the entries of run.json on how well the model reports the action units that were coded.

    Faces on which an action unit is not coded count neither way. F1 of one that is coded on some face and seen on none
    is undefined, and left out of the mean.
    """
    logits = [part.au_logits for part in tables.parts if part.au_logits is not None]
    if not logits:
        return {}
    reported = np.concatenate(logits) > 0
    coded = [session.truth.coded(sample) for sample in session.samples(tables.rows)]
    kind = session.model.output_kind or "logits"
    facts: dict[str, Any] = {"output": kind, "threshold": THRESHOLD[kind], "f1": {}, "present": {}, "coded": {}}
    for place, name in enumerate(session.model.outputs):
        seen = [None if face is None else face.is_present(plane_au(name)) for face in coded]
        known = np.array([state is not None for state in seen], bool)
        present = np.array([bool(state) for state in seen], bool)
        facts["f1"][name] = f1(reported[known, place], present[known])
        facts["present"][name], facts["coded"][name] = int(present.sum()), int(known.sum())
    values = [value for value in facts["f1"].values() if np.isfinite(value)]
    return {"aus": facts | {"mean_f1": float(np.mean(values)) if values else float("nan")}}


def f1(reported: NDArray[np.bool_], present: NDArray[np.bool_]) -> float:
    """Return the F1 of reports of one action unit; NaN where it is present on no face.

    Examples:
        >>> f1(np.array([True, True, False]), np.array([True, False, True]))
        0.5
    """
    if not present.any():
        return float("nan")
    return float(2 * (reported & present).sum() / (reported.sum() + present.sum()))


def name_missing_outputs(session: ScoreSession) -> str | None:
    """Return a note on action units that are coded and that the model has no output for, None where there are none."""
    if session.spec.target != AU:
        return None
    known = set(session.model.outputs)
    counts: dict[int, int] = {}
    for sample in session.samples(session.spec.rows):
        codes = session.truth.coded(sample)
        for au in {unit.au for unit in codes.active} if codes else ():
            counts[au] = counts.get(au, 0) + 1
    missing = {au: count for au, count in sorted(counts.items()) if f"AU{au}" not in known}
    if not missing:
        return None
    listed = ", ".join(f"AU {au} ({count} faces)" for au, count in missing.items())
    return f"the model has no output for, so no map of: {listed}"


def find_undrawn(session: ScoreSession, tables: Tables, pairs: PairTables) -> dict[str, list[str]]:
    """Return the faces with landmarks that have no plane of an action unit that has a region and is expected of them.

    Args:
        session: what was scored; of a model with outputs for action units, only those count.
        tables: its tables by face.
        pairs: its tables by action unit.

    Returns:
        Name of the action unit, such as "AU4", by number -> names of the images.
    """
    truth, by_au = session.truth, session.spec.target == AU
    if not (by_au or truth.by_part):
        return {}
    known = {au for group in truth.parts.groups for au in group} | truth.same_region.keys()
    if by_au:
        known &= {plane_au(name) for name in session.model.outputs}
    drawn = set(zip(pairs.face.tolist(), pairs.labels, strict=True))
    undrawn: dict[int, list[str]] = {}
    for face, row in enumerate(tables.rows):
        if row in tables.missing:
            continue
        sample = session.dataset.samples[row]
        codes = truth.coded(sample)
        expected = {unit.au for unit in codes.active} if codes else set(truth.expected_aus(sample.label))
        for au in expected & known:
            if (face, plane_name(au)) not in drawn:
                undrawn.setdefault(au, []).append(sample.id)
    return {plane_name(au): undrawn[au] for au in sorted(undrawn)}


def name_undrawn(undrawn: Mapping[str, Sequence[str]]) -> str | None:
    """Return a note on what ``find_undrawn`` found, None where it found nothing.

    Examples:
        >>> name_undrawn({"AU4": ["a.png"]})
        'not drawn: AU 4 on 1 face (a.png): the region is off the picture, or too thin for the grid of 28 x 28 cells'
    """
    if not undrawn:
        return None
    listed = ", ".join(
        f"AU {plane_au(name)} on {len(faces)} face{'s' if len(faces) > 1 else ''} "
        f"({', '.join(faces[:MAX_NAMED])}{', ...' if len(faces) > MAX_NAMED else ''})"
        for name, faces in undrawn.items()
    )
    return f"not drawn: {listed}: the region is off the picture, or too thin for the grid of 28 x 28 cells"
