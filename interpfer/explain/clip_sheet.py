"""One picture of the explanation of a clip: frames above, truth and maps below, agreement over time as lines."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from interpfer.explain.captions import shorten
from interpfer.explain.clip import ClipExplanation
from interpfer.explain.explanation import ExplainedMap, Explanation
from interpfer.explain.facs import rules_text
from interpfer.explain.overlay import blend_map, face_pixels, grey_face
from interpfer.explain.sheet import DOTS
from interpfer.explain.sheet_file import write_sheet
from interpfer.reports.escape import plain
from interpfer.reports.style import SOFT

MOST_FRAMES = 10
"""Frames that are shown at most, evenly spaced; the lines are of all."""

SIDE, GAP, LABEL = 1.0, 0.05, 1.35
"""Inches of a frame's side, between frames, and of the column of names."""

TOP, LINES, FOOT = 0.75, 1.15, 0.75
"""Inches above the frames, of the lines, and below them."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
DASHES = ("-", "--", ":", "-.")


def clip_sheet(explanation: ClipExplanation, path: str | Path) -> None:
    """Draw the explanation of a clip.

    Args:
        explanation: result of ``interpfer.explain.clip.explain_clip``.
        path: the picture to write; its suffix is the format: .png, .svg or .pdf.

    Raises:
        RunError: the suffix is not one of these, or the file cannot be written.
    """
    write_sheet(path, lambda: _draw(explanation))


def _draw(explanation: ClipExplanation) -> Figure:
    total = len(explanation.frames)
    shown = np.linspace(0, total - 1, min(total, MOST_FRAMES)).round().astype(int).tolist()
    frames = [explanation.frames[place] for place in shown]
    maps = frames[0].maps
    rows = 2 + len(maps)
    width = LABEL + len(shown) * (SIDE + GAP) + 0.1
    height = TOP + rows * (SIDE + GAP) + LINES + FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)

    def add_axes(row: int, column: int) -> Axes:
        left, top = LABEL + column * (SIDE + GAP), height - TOP - row * (SIDE + GAP)
        return figure.add_axes((left / width, (top - SIDE) / height, SIDE / width, SIDE / height))

    names = ["frame", f"{'mask' if frames[0].has_masks else 'AUs'} of {explanation.explained}"]
    names += [f"{item.name}\nat {shorten(item.layer, 22)}" for item in maps]
    for row, name in enumerate(names):
        middle = height - TOP - row * (SIDE + GAP) - SIDE / 2
        figure.text(
            0.1 / width, middle / height, "\n".join(map(plain, name.split("\n"))), size=7, va="center", linespacing=1.4
        )
    for column, frame in enumerate(frames):
        for row in range(rows):
            _picture(add_axes(row, column), explanation, frame, row)
        figure.axes[-rows].set_title(f"{explanation.places[shown[column]]}", fontsize=7, fontweight="normal", pad=3)
    bottom = FOOT / height
    span = len(shown) * (SIDE + GAP) - GAP
    _lines(figure.add_axes((LABEL / width, bottom, span / width, (LINES - 0.2) / height)), explanation, shown)
    _texts(figure, explanation, width, height)
    return figure


def _picture(axis: Axes, explanation: ClipExplanation, frame: Explanation, row: int) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
    if row == 0:
        axis.imshow(face_pixels(frame.face), interpolation="bilinear")
        if frame.has_face:
            points = frame.points.numpy()
            axis.scatter(points[:, 0], points[:, 1], s=0.8, c=DOTS, linewidths=0)
            axis.set_xlim(-0.5, frame.face.shape[2] - 0.5)
            axis.set_ylim(frame.face.shape[1] - 0.5, -0.5)
        return
    values = frame.heat.get(explanation.explained) if row == 1 else frame.maps[row - 2].values
    ground = grey_face(frame.face)
    if values is None or not bool(values.isfinite().all()):
        axis.imshow(ground, interpolation="bilinear")
        why = "none" if row == 1 else "undefined"
        axis.text(0.5, 0.04, why, transform=axis.transAxes, fontsize=6, ha="center", color="white")
        return
    axis.imshow(blend_map(ground, values.numpy()), interpolation="bilinear")


def _lines(axis: Axes, explanation: ClipExplanation, shown: list[int]) -> None:
    """Draw the cosine of each map over time, and that of a uniform map."""
    places = np.arange(len(explanation.frames))
    maps = explanation.frames[0].maps
    drawn = False
    for index in range(len(maps)):
        values = [cosine_of(frame.maps[index], explanation.explained) for frame in explanation.frames]
        if np.isfinite(values).any():
            look: dict[str, Any] = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
            label = f"{maps[index].name} {np.nanmean(values):.2f}"
            axis.plot(places, values, marker="o", markersize=2, linewidth=1.2, label=label, **look)
            drawn = True
    uniform = [uniform_of(frame, explanation.explained) for frame in explanation.frames]
    if np.isfinite(uniform).any():
        label = f"uniform map {np.nanmean(uniform):.2f}"
        axis.plot(places, uniform, color=SOFT, linestyle=(0, (1, 2)), linewidth=1, label=label)
    edge = 0.5 * (SIDE / (SIDE + GAP)) * len(places) / len(shown)
    axis.set_xlim(-edge if len(places) == len(shown) else -0.5, len(places) - 1 + edge)
    axis.set_ylim(0, 1)
    axis.set_xticks([])
    axis.set_yticks([0, 0.5, 1])
    axis.tick_params(length=0, labelsize=6)
    axis.grid(axis="y", color="#e3e7eb", linewidth=0.6)
    axis.set_ylabel("cosine", fontsize=7)
    if drawn:
        axis.legend(loc="upper left", bbox_to_anchor=(0, -0.06), ncols=6, fontsize=6.5, frameon=False, handlelength=2.4)
    else:
        why = explanation.frames[0].missing or "no face found"
        axis.text(0.5, 0.5, f"no agreement: {why}", transform=axis.transAxes, ha="center", fontsize=7, color=SOFT)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def cosine_of(item: ExplainedMap, name: str) -> float:
    """Return the cosine of a map with the truth of a class; NaN where it has none."""
    return item.scores[name].cosine if name in item.scores else math.nan


def uniform_of(frame: Explanation, name: str) -> float:
    """Return the cosine of a uniform map with the truth of a class on a frame; NaN where it has none."""
    return next((item.scores[name].uniform for item in frame.maps if name in item.scores), math.nan)


def _texts(figure: Figure, explanation: ClipExplanation, width: float, height: float) -> None:
    chance = f"{100 * explanation.probabilities[explanation.predicted]:.0f} %"
    label = f", labelled {explanation.label}" if explanation.label else ""
    title = f"{shorten(explanation.clip, 60)}: {explanation.model} predicts {explanation.predicted} ({chance}){label}"
    figure.text(0.1 / width, 1 - 0.12 / height, plain(title), size=9.5, weight="bold", va="top")
    count = len(explanation.frames)
    what = (
        f"{count} frames, numbered as in the clip; prediction: mean of their logits; maps for {explanation.explained}"
    )
    figure.text(0.1 / width, 1 - 0.34 / height, plain(what), size=7, color=SOFT, va="top")
    rules = f"{rules_text(explanation.frames[0]).capitalize()}. Each map from its minimum to its maximum."
    figure.text(0.1 / width, 0.1 / height, plain(rules), size=6.3, color=SOFT, va="bottom")
