"""The part of the page on clips: frames above, truth and maps below, agreement over time as a line."""

import base64
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interpfer.reports.page.pictures import colour_stops
from interpfer.reports.page.scores import UNIFORM, Scores
from interpfer.reports.words import words_of
from interpfer.results.pictures import AU_HEATMAP, ReportData
from interpfer.results.run import Run
from interpfer.results.strips import Strip, Strips

SIDE = 96
"""Side of a frame, in pixels."""

SHOWN = 0.55
"""How much of a map is seen over its frame."""

WIDTH, HEIGHT = 800.0, 120.0
"""Size of the line's drawing, in its own units."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Colours of lines that differ for every kind of colour vision (Okabe and Ito)."""

DASHES = ("none", "9 5", "3 4", "12 4 3 4")
"""Dashes of lines, so that lines on top of one another are seen."""

UNIFORM_LINE = ("var(--soft)", "1 5")
"""Colour and dashes of the line of a uniform map."""


class Curve(NamedTuple):
    """Agreement of a map over a clip.

    Attributes:
        name: of the map.
        layer: its layer.
        colour: of the line.
        dash: its dashes, as SVG writes them.
        paths: points of each unbroken piece of the line, as SVG writes them.
        dots: (x, y) of frames without defined neighbours.
        mean: mean over the frames on which it is defined, as text.
    """

    name: str
    layer: str
    colour: str
    dash: str
    paths: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    mean: str


class StripSheet(NamedTuple):
    """A clip on the page.

    Attributes:
        clip: its name.
        facts: label, prediction and group, as text.
        is_correct: whether the prediction is the label; None where one of them is not known.
        frames: place of each shown frame, counted from 1.
        rows: (name, detail, pictures) per row of pictures.
        curves: agreement of each map.
        ticks: x of the shown frames in the drawing of the lines.
        total: number of frames.
        note: on frames without agreement; "" for none.
        ends: lowest and highest value of the drawing, as text.
    """

    clip: str
    facts: str
    is_correct: bool | None
    frames: tuple[int, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    curves: tuple[Curve, ...]
    ticks: tuple[float, ...]
    total: int
    note: str
    ends: tuple[str, str]


def strip_sheets(run: Run, data: ReportData | None) -> list[StripSheet]:
    """Return the clips of a run that its page shows; none where it has none, or keeps no pictures."""
    if data is None or data.strips is None:
        return []
    strips, scores = data.strips, _scores_by_frame(run, data.strips)
    finite = [value for value in scores.values() if math.isfinite(value)]
    ends = min([0.0, *finite]), max([1.0, *finite])
    sheets, start = [], 0
    for strip in strips.strips:
        end = start + len(strip.shown)
        sheets.append(_sheet(run, strips, strip, slice(start, end), scores, ends))
        start = end
    return sheets


def _sheet(
    run: Run,
    strips: Strips,
    strip: Strip,
    own: slice,
    scores: dict[tuple[str, str, str], float],
    ends: tuple[float, float],
) -> StripSheet:
    grey = [_frame(strips, index) for index in range(own.start, own.stop)]
    noun = words_of(run.truth, run.noun).noun
    rows = [("frame", "", tuple(_address(pixels) for pixels in grey))] if strips.faces else []
    order = [len(strips.columns) - 1, *range(len(strips.columns) - 1)]
    for column in order:
        name, layer = strips.columns[column]
        title = (noun, "") if (name, layer) == AU_HEATMAP else (name, f"at {layer}")
        pictures = tuple(
            _address(_blend(pixels, plane)) for pixels, plane in zip(grey, strips.maps[own, column], strict=True)
        )
        rows.append((*title, pictures))
    count = len(strip.ids)
    curves, undefined = [], 0
    looks = [*zip(COLOURS, DASHES, strict=True)][: len(strips.columns) - 1]
    for (name, layer), look in zip([*strips.columns[:-1], UNIFORM], [*looks, UNIFORM_LINE], strict=True):
        values = [scores.get((each, name, layer), math.nan) for each in strip.ids]
        if (name, layer) != UNIFORM:
            undefined = max(undefined, sum(not math.isfinite(value) for value in values))
        elif not any(map(math.isfinite, values)):
            continue
        curves.append(_curve(name, layer, look, values, ends))
    known = bool(strip.label and strip.predicted)
    facts = ", ".join(
        filter(None, (strip.label, strip.predicted and f"predicted {strip.predicted}", f"{strip.group} of its class"))
    )
    note = f"{undefined} of {count} frames have no {noun} or no defined map, so no agreement." if undefined else ""
    return StripSheet(
        clip=strip.clip,
        facts=facts,
        is_correct=strip.label == strip.predicted if known else None,
        frames=tuple(place + 1 for place in strip.shown),
        rows=tuple(rows),
        curves=tuple(curves),
        ticks=tuple(_x(place, count) for place in strip.shown),
        total=count,
        note=note,
        ends=(f"{ends[0]:.3g}", f"{ends[1]:.3g}"),
    )


def _curve(name: str, layer: str, look: tuple[str, str], values: Sequence[float], ends: tuple[float, float]) -> Curve:
    low, high = ends
    paths, dots, piece = list[str](), list[tuple[float, float]](), list[tuple[float, float]]()
    for place, value in enumerate([*values, math.nan]):
        if math.isfinite(value):
            piece.append((_x(place, len(values)), round(HEIGHT * (high - value) / (high - low), 1)))
        elif piece:
            if len(piece) > 1:
                paths.append(" ".join(f"{x},{y}" for x, y in piece))
            else:
                dots.append(piece[0])
            piece = []
    finite = [value for value in values if math.isfinite(value)]
    mean = f"{sum(finite) / len(finite):.3f}" if finite else "undefined"
    return Curve(name, layer, *look, tuple(paths), tuple(dots), mean)


def _x(place: int, count: int) -> float:
    return round(WIDTH * (place + 0.5) / count, 1)


def _scores_by_frame(run: Run, strips: Strips) -> dict[tuple[str, str, str], float]:
    """Return (frame, map, layer) -> its agreement."""
    metric, table = Scores(run).primary, run.per_image
    if metric not in table:
        return {}
    wanted = {name for strip in strips.strips for name in strip.ids}
    table = table[table["image"].isin(wanted)]
    keys = zip(table["image"], table["map"], table["layer"], strict=True)
    return dict(zip(keys, table[metric].astype(float), strict=True))


def _frame(strips: Strips, index: int) -> NDArray[np.float64]:
    """Return a frame as (SIDE, SIDE, 3); without photographs its landmarks on white."""
    if index < len(strips.faces) and strips.faces[index]:
        with Image.open(io.BytesIO(strips.faces[index])) as picture:
            return np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), dtype=np.float64)
    pixels = np.full((SIDE, SIDE, 3), 245.0)
    points = strips.points[index]
    if np.isfinite(points).all():
        x, y = (points * (SIDE / 224)).round().astype(int).clip(0, SIDE - 1).T
        pixels[y, x] = 90
    return pixels


def _blend(pixels: NDArray[np.float64], plane: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Lay a map over a grey frame; the frame alone where the map is zero everywhere, as an undefined one is."""
    grey = np.repeat(pixels.mean(2, keepdims=True), 3, 2)
    if not plane.any():
        return grey
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in colour_stops()], np.float64)
    large = np.asarray(Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float64)
    at = large / 255 * (len(stops) - 1)
    below = np.clip(at.astype(int), 0, len(stops) - 2)
    share = (at - below)[..., None]
    blended: NDArray[np.float64] = (1 - SHOWN) * grey + SHOWN * (stops[below] * (1 - share) + stops[below + 1] * share)
    return blended


def _address(pixels: NDArray[np.float64]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
