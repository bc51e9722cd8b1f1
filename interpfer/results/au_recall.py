"""How well the regions that a map uses agree with the action units that were coded on each face.

A map uses a region where it has at least ``USED`` times the energy of a uniform map there. A region counts as present
where any of its action units is coded as present, as absent where all of them are coded and none is, and else neither
way.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.metrics.au_profile import USED
from interpfer.statistics.bootstrap import Rows
from interpfer.statistics.proportions import clustered_interval
from interpfer.statistics.summary import Summary, summarise_table
from interpfer.truth.base import Parts
from interpfer.truth.planes import plane_name
from interpfer.types import CodedAUs

ALL = "all"
"""Name of the row over all action units: the mean of the values of single faces."""

COLUMNS = ["map", "layer", "au", "n", "recall", "recall_low", "recall_high",
           "n_used", "precision", "precision_low", "precision_high"]  # fmt: skip

Values = NDArray[np.float64]


def recall_table(
    profiles: Values,
    coded: Sequence[CodedAUs | None],
    parts: Parts,
    columns: Sequence[tuple[str, str]],
    seed: int,
    subjects: Rows | None = None,
    drawn: Sequence[set[int]] | None = None,
    same_region: Mapping[int, int] | None = None,
) -> pd.DataFrame:
    """Compare the regions that maps use with the action units that were coded on each face.

    Args:
        profiles: (faces, maps + 2, g) shares of energy, NaN where undefined; the last two are those of a uniform map
            and of the truth.
        coded: what was seen on each face; None where nobody coded it.
        parts: the g regions, the background last.
        columns: (map, layer) pairs.
        seed: random seed of the bootstrap.
        subjects: number of the person on each face, where known.
        drawn: action units of each face that have a place on its picture; None for all. One that is coded and not
            drawn counts neither way.
        same_region: FACS number -> the one in ``parts`` whose region it has.

    Returns:
        One row per map, layer and action unit that was seen: ``recall``, the share of the ``n`` faces with it whose map
        uses its region; ``precision``, the share of the ``n_used`` faces whose map uses its region, and on which it is
        known, that show an action unit of the region; with 95 % intervals (Wilson, with the effective number of
        faces where people are known). In the rows ``all`` both are means over
        faces: of their present regions the share that is used, and of their used regions the share that is present;
        their intervals are a bootstrap, as in scores.csv.
    """
    shown = [{unit.au for unit in face.active} if face else set[int]() for face in coded]
    shown = shown if drawn is None else [own & seen for own, seen in zip(shown, drawn, strict=True)]
    faces = zip(coded, shown, strict=True)
    state = np.array([_states(face, own, parts, same_region or {}) for face, own in faces])
    state = state.reshape(len(coded), len(parts.groups))
    region_of = {au: place for place, group in enumerate(parts.groups) for au in group}
    region_of |= {au: region_of[twin] for au, twin in (same_region or {}).items() if twin in region_of}
    seen = sorted({au for face in shown for au in face if au in region_of})
    has_au = {au: np.array([au in face for face in shown], bool) for au in seen}
    rows: list[list[object]] = []
    for column, key in enumerate(columns):
        known = np.array([row.all() for row in np.isfinite(profiles[:, column])], np.bool_)
        used = profiles[:, column, :-1] >= USED * profiles[:, -2, :-1]
        over_faces = np.stack(_of_faces(used, state, known), 1)
        both = summarise_table(over_faces, np.zeros(len(used), np.intp), (ALL,), seed, subjects)
        rows.append([*key, ALL, *(value for each in both for value in _within(each[2]))])
        for au in seen:
            region = region_of[au]
            asked = (known & has_au[au], known & used[:, region] & np.isfinite(state[:, region]))
            hits = (used[:, region], state[:, region] == 1)
            pairs = zip(hits, asked, strict=True)
            shares = (_share(hit[rows_asked], subjects, rows_asked) for hit, rows_asked in pairs)
            rows.append([*key, plane_name(au), *(value for share in shares for value in share)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _within(summary: Summary) -> tuple[int, float, float, float]:
    low, high = np.clip([summary.low, summary.high], 0, 1).tolist()
    return summary.n, summary.value, low, high


def _share(hit: NDArray[np.bool_], subjects: Rows | None, asked: NDArray[np.bool_]) -> tuple[int, float, float, float]:
    """Return number, share and 95 % interval of yes-or-no answers."""
    if not len(hit):
        return 0, np.nan, np.nan, np.nan
    low, high = clustered_interval(hit, None if subjects is None else subjects[asked])
    return len(hit), float(hit.mean()), low, high


def _states(face: CodedAUs | None, shown: set[int], parts: Parts, same_region: Mapping[int, int]) -> list[float]:
    """Return per region whether it is present, 1 or 0; NaN where that is not known."""
    if face is None:
        return [np.nan] * len(parts.groups)
    states = []
    for group in parts.groups:
        members = [*group, *(au for au, twin in same_region.items() if twin in group)]
        is_absent = not any(face.is_present(au) for au in members) and None not in map(face.is_present, group)
        states.append(1.0 if shown.intersection(members) else 0.0 if is_absent else np.nan)
    return states


def _of_faces(used: NDArray[np.bool_], state: Values, known: NDArray[np.bool_]) -> tuple[Values, Values]:
    """Return recall and precision of each face over its regions; NaN where there is nothing to be found, or used."""
    present, certain = np.equal(state, 1), np.isfinite(state)
    hits = (used & present).sum(1)
    with np.errstate(invalid="ignore"):
        recall = np.where(known & present.any(1), hits / present.sum(1), np.nan)
        precision = np.where(known & (used & certain).any(1), hits / (used & certain).sum(1), np.nan)
    return recall, precision
