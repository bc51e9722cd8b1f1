"""Pictures of the page as JSON data; the script of the page draws them, all in one colour scale."""

import base64
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from interpfer.reports.page.scores import Scores
from interpfer.reports.words import words_of
from interpfer.results.pictures import AU_HEATMAP, ReportData
from interpfer.results.run import Run

COLOURS = "inferno"
"""Colour map with even steps of lightness, readable in greyscale and with colour-vision deficiency."""

STOPS = 33
GROUPS = ("best", "worst", "misclassified", "typical", "random")
"""Groups of the gallery, in order."""


@cache
def colour_stops() -> tuple[str, ...]:
    """Return the colours of the scale from 0 to 1."""
    colours = colormaps[COLOURS](np.linspace(0, 1, STOPS))[:, :3]
    return tuple("#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in colours)


def picture_data(
    runs: Sequence[Run], report_data: Sequence[ReportData | None], names: Sequence[str]
) -> dict[str, Any] | None:
    """Return the data of the script: the faces that all runs have, each with the maps of every run.

    Args:
        runs: finished runs.
        report_data: pictures of each run.
        names: name of each run.

    Returns:
        None where a run has no pictures, or the runs have no face in common.
    """
    words = words_of(runs[0].truth, runs[0].noun)
    data = [each for each in report_data if each is not None]
    if len(data) < len(report_data) or not data or not data[0].ids:
        return None
    positions = [{key: i for i, key in enumerate(zip(each.ids, each.digests, strict=True))} for each in data]
    shared = [key for key in positions[0] if all(key in other for other in positions)]
    scores = [_scores_by_face(run, each) for run, each in zip(runs, data, strict=True)]
    faces = [
        _face(data, [index[key] for index in positions], [by_face.get(key[0], []) for by_face in scores])
        for key in shared
    ]
    return {
        "colours": list(colour_stops()),
        "words": {name: getattr(words, name) for name in ("noun", "one", "many", "nothing", "bare")},
        "runs": [_run(run, each, name) for run, each, name in zip(runs, data, names, strict=True)],
        "faces": faces,
        "means": _means(runs, data),
    }


def gallery_groups(report_data: ReportData | None) -> list[str]:
    """Return the groups of the faces in a gallery, in the order of ``GROUPS``."""
    present = {group for groups in report_data.groups for group in groups} if report_data else set()
    return [group for group in GROUPS if group in present]


def _run(run: Run, data: ReportData, name: str) -> dict[str, Any]:
    present = {layer for _, layer in data.columns}
    return {
        "name": name,
        "target": data.target,
        "columns": [[run.noun, "-"] if key == AU_HEATMAP else list(key) for key in data.columns],
        "layers": [layer for layer in reversed(Scores(run).layers) if layer in present],
    }


def _face(data: Sequence[ReportData], rows: list[int], scores: list[list[float | None]]) -> dict[str, Any]:
    first, row = data[0], rows[0]
    pairs = list(zip(data, rows, strict=True))
    return {
        "id": first.ids[row],
        "label": first.labels[row],
        "groups": first.groups[row] if len(data) == 1 else [],
        "jpeg": _jpeg(first.faces, row),
        "points": _points(first.points[row]),
        "predicted": [each.predicted[i] for each, i in pairs],
        "confidence": [_finite(each.confidence[i]) for each, i in pairs],
        "maps": [_packed(each.maps[i]) for each, i in pairs],
        "other": [_packed(each.other[i]) if each.other[i].any() else None for each, i in pairs],
        "scores": scores,
    }


def _means(runs: Sequence[Run], data: Sequence[ReportData]) -> list[dict[str, Any]]:
    scores = [Scores(run) for run in runs]
    names = [name for name in data[0].classes if all(name in each.classes for each in data)]
    means = []
    for name in names:
        rows = [each.classes.index(name) for each in data]
        if not all(each.members[i] for each, i in zip(data, rows, strict=True)):
            continue
        first, row = data[0], rows[0]
        means.append({
            "label": name,
            "n": int(first.members[row]),
            "jpeg": _jpeg(first.mean_faces, row),
            "points": _points(first.mean_points[row]),
            "maps": [_packed(each.mean_maps[i]) for each, i in zip(data, rows, strict=True)],
            "scores": [
                [_finite(own.at(key, own.primary, name).value) for key in each.columns]
                for own, each in zip(scores, data, strict=True)
            ],
        })  # fmt: skip
    return means


def _scores_by_face(run: Run, data: ReportData) -> dict[str, list[float | None]]:
    """Return the score of each column of the pictures per face."""
    metric, table = Scores(run).primary, run.per_image
    if metric not in table:
        return {}
    table = table[table["image"].isin(set(data.ids))]
    scores = {
        (image, name, layer): value
        for image, name, layer, value in zip(table["image"], table["map"], table["layer"], table[metric], strict=True)
    }
    return {
        image: [
            None if key == AU_HEATMAP else _finite(float(scores.get((image, *key), math.nan))) for key in data.columns
        ]
        for image in data.ids
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _packed(maps: NDArray[np.uint8]) -> str:
    return base64.b64encode(maps.tobytes()).decode()


def _jpeg(faces: Sequence[bytes], row: int) -> str:
    return base64.b64encode(faces[row]).decode() if row < len(faces) else ""


def _points(points: NDArray[np.float32]) -> list[list[int]]:
    return np.rint(points).astype(int).tolist() if np.isfinite(points).all() else []
