"""The pictures of the page as data: the script of the page draws them, all in one colour scale."""

import base64
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from interpfer.reports.page.scores import Scores
from interpfer.results.pictures import AU_HEATMAP, ReportData
from interpfer.results.run import Run

COLOURS = "inferno"
"""Even in lightness, so that it reads alike for all kinds of colour vision and in print."""

STOPS = 33
LEVELS = "levels"


@cache
def colour_stops() -> tuple[str, ...]:
    """Return the colours of the scale from 0 to 1."""
    colours = colormaps[COLOURS](np.linspace(0, 1, STOPS))[:, :3]
    return tuple("#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in colours)


def pictures(runs: Sequence[Run], exhibits: Sequence[ReportData | None], names: Sequence[str]) -> dict[str, Any] | None:
    """Return what the script needs: the faces that all runs show, each with the maps of every run.

    None where a run kept no pictures, or the runs have no face in common.
    """
    held = [exhibit for exhibit in exhibits if exhibit is not None]
    if len(held) < len(exhibits) or not held or not held[0].ids:
        return None
    places = [{key: i for i, key in enumerate(zip(one.ids, one.digests, strict=True))} for one in held]
    shared = [key for key in places[0] if all(key in other for other in places)]
    scored = [_scores(run, one) for run, one in zip(runs, held, strict=True)]
    faces = [
        _face(held, [where[key] for where in places], [found.get(key[0], []) for found in scored]) for key in shared
    ]
    return {
        "colours": list(colour_stops()),
        "runs": [_run(run, one, name) for run, one, name in zip(runs, held, names, strict=True)],
        "faces": faces,
        "means": _means(runs, held),
    }


def groups_of(exhibits: Sequence[ReportData | None]) -> list[str]:
    """Return the groups that faces are in, in a fixed order."""
    order = ("best", "worst", "misclassified", "typical", "random")
    found = {group for one in exhibits if one for groups in one.groups for group in groups}
    return [group for group in order if group in found]


def _run(run: Run, exhibit: ReportData, name: str) -> dict[str, Any]:
    layers = Scores(run).layers
    shown = {layer for _, layer in exhibit.columns}
    return {
        "name": name,
        "target": exhibit.target,
        "columns": [list(key) for key in exhibit.columns],
        LEVELS: [layer for layer in reversed(layers) if layer in shown],
    }


def _face(held: Sequence[ReportData], places: list[int], scores: list[list[float | None]]) -> dict[str, Any]:
    first, place = held[0], places[0]
    return {
        "id": first.ids[place],
        "label": first.labels[place],
        "groups": first.groups[place] if len(held) == 1 else [],
        "jpeg": _jpeg(first.faces, place),
        "points": _points(first.points[place]),
        "predicted": [one.predicted[at] for one, at in zip(held, places, strict=True)],
        "confidence": [_finite(one.confidence[at]) for one, at in zip(held, places, strict=True)],
        "maps": [_packed(one.maps[at]) for one, at in zip(held, places, strict=True)],
        "other": [
            _packed(one.other[at]) if one.other[at].any() else None for one, at in zip(held, places, strict=True)
        ],
        "scores": scores,
    }


def _means(runs: Sequence[Run], held: Sequence[ReportData]) -> list[dict[str, Any]]:
    scored = [Scores(run) for run in runs]
    names = [name for name in held[0].classes if all(name in one.classes for one in held)]
    found = []
    for name in names:
        places = [one.classes.index(name) for one in held]
        if not all(one.members[at] for one, at in zip(held, places, strict=True)):
            continue
        first, place = held[0], places[0]
        found.append({
            "label": name,
            "n": int(first.members[place]),
            "jpeg": _jpeg(first.mean_faces, place),
            "points": _points(first.mean_points[place]),
            "maps": [_packed(one.mean_maps[at]) for one, at in zip(held, places, strict=True)],
            "scores": [
                [_finite(scores.at(key, scores.primary, name).value) for key in one.columns]
                for scores, one in zip(scored, held, strict=True)
            ],
        })  # fmt: skip
    return found


def _scores(run: Run, exhibit: ReportData) -> dict[str, list[float | None]]:
    """Return the score of each map on each face, in the order of the exhibit's columns."""
    metric, table = Scores(run).primary, run.per_image
    if metric not in table:
        return {}
    table = table[table["image"].isin(set(exhibit.ids))]
    found = {
        (image, name, layer): value
        for image, name, layer, value in zip(table["image"], table["map"], table["layer"], table[metric], strict=True)
    }
    return {
        image: [
            None if key == AU_HEATMAP else _finite(float(found.get((image, *key), math.nan))) for key in exhibit.columns
        ]
        for image in exhibit.ids
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _packed(maps: NDArray[np.uint8]) -> str:
    return base64.b64encode(maps.tobytes()).decode()


def _jpeg(faces: Sequence[bytes], place: int) -> str:
    return base64.b64encode(faces[place]).decode() if place < len(faces) else ""


def _points(points: NDArray[np.float32]) -> list[list[int]]:
    return np.rint(points).astype(int).tolist() if np.isfinite(points).all() else []
