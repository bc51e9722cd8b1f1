"""One picture of an explanation: face, probabilities, AU heatmaps, maps with scores, energy per region, a sentence."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from PIL import Image
from torch import Tensor

from interpfer.au.names import format_aus
from interpfer.explain.captions import CAPTION, PANEL, fit_title, map_caption, shorten, shown_classes, wrap_caption
from interpfer.explain.explanation import ExplainedMap, Explanation
from interpfer.explain.facs import rules_text, sentence
from interpfer.explain.overlay import blend_map, face_pixels, grey_face
from interpfer.explain.sheet_file import PALE, write_sheet
from interpfer.labels import NEUTRAL
from interpfer.landmarks.alignment import invert_transform, transform_points
from interpfer.metrics.au_profile import USED
from interpfer.reports.escape import plain
from interpfer.reports.style import ACCENT, INK, LOW, SOFT
from interpfer.reports.style import MAPS as COLOURS
from interpfer.types import CANVAS

COLUMNS = 4
SIDE = 1.64
"""Inches of a picture's side."""

HEAD, LINE = 0.27, 0.125
"""Inches of a panel's title, and of a line below it."""

SENTENCE = 0.148
"""Inches of a line of the sentence."""

TRACK = "#eef1f4"
DOTS = "#56b4e9"

Panel = Callable[[Axes], None]

DETAIL = 900
"""Longest side in pixels at which a picture is shown."""


def explanation_sheet(explanation: Explanation, path: str | Path) -> None:
    """Draw an explanation.

    Args:
        explanation: result of ``interpfer.explain_image``.
        path: the picture to write; its suffix is the format: .png, .svg or .pdf.

    Raises:
        RunError: the suffix is not one of these, or the file cannot be written.
    """
    write_sheet(path, lambda: _draw(explanation))


def _draw(explanation: Explanation) -> Figure:
    first = _first_row(explanation)
    columns = max(COLUMNS, len(first))
    rows = [first, *([_map_panel(explanation, item) for item in row] for row in _rows(explanation.maps, columns))]
    main = explanation.main if explanation.main is not None and explanation.main.regions else None
    width = columns * PANEL
    left = 3.95 if main else 0.15
    words = _lines(sentence(explanation), width - left)
    foot = max(1.0 + 0.15 * len(main.regions) if main else 1.4, 1.1 + SENTENCE * len(words))
    lines = max((len(wrap_caption(map_caption(explanation, item))) for item in explanation.maps), default=1)
    below = 0.12 + LINE * lines
    height = len(rows) * (HEAD + SIDE + below) + foot + 0.14
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    side = (PANEL - SIDE) / 2 / width
    grid = figure.add_gridspec(
        len(rows), columns, left=side, right=1 - side, top=1 - HEAD / height, bottom=(foot + 0.14 + below) / height,
        wspace=PANEL / SIDE - 1, hspace=(HEAD + below) / SIDE,
    )  # fmt: skip
    for row, panels in enumerate(rows):
        for column, draw in enumerate(panels):
            draw(figure.add_subplot(grid[row, column]))
    if main:
        box = (1.75 / width, 0.6 / height, 1.9 / width, (foot - 0.85) / height)
        _energy_per_region(figure.add_axes(box), main, explanation.expected)
    _words(figure, explanation, words, left, foot)
    return figure


def _rows(maps: Sequence[ExplainedMap], columns: int) -> Iterator[Sequence[ExplainedMap]]:
    """Break maps into rows; of several layers, every map begins a row of its own."""
    layers: dict[str, list[ExplainedMap]] = {}
    for item in maps:
        layers.setdefault(item.name, []).append(item)
    alone = all(len(row) == 1 for row in layers.values())
    for row in [maps] if alone else layers.values():
        yield from (row[start : start + columns] for start in range(0, len(row), columns))


def _lines(text: str, width: float) -> list[str]:
    """Break a text into lines of at most a width in inches."""
    return textwrap.wrap(plain(_kept_together(text)), int(width * 15.5))


def _words(figure: Figure, explanation: Explanation, words: Sequence[str], left: float, foot: float) -> None:
    """Write the sentence, the rules and the scale of colours."""
    width, height = figure.get_size_inches()
    note_width, left = width - left, left / width
    title = "In words" if explanation.has_masks else "In FACS terms"
    figure.text(left, (foot - 0.1) / height, title, weight="bold", size=8, va="top")
    figure.text(left, (foot - 0.3) / height, "\n".join(words), va="top", size=7.5, linespacing=1.4)
    where = "where the mask is" if explanation.has_masks else "where the codebook says"
    rules = f"{rules_text(explanation).capitalize()}. A high score means that a map lies {where}, no more."
    note = _lines(rules, note_width)
    figure.text(left, 0.32 / height, "\n".join(note), size=6.3, color=SOFT, va="bottom", linespacing=1.4)
    figure.text(left, 0.12 / height, "Each map, minimum to maximum:", size=6.3, color=SOFT, va="bottom")
    bar = figure.add_axes((left + 2.05 / width, 0.135 / height, 0.8 / width, 0.07 / height))
    figure.colorbar(ScalarMappable(cmap=COLOURS), cax=bar, orientation="horizontal", ticks=[]).outline.set_visible(
        False
    )


def _kept_together(text: str) -> str:
    """Keep a number and its word on one line."""
    return text.replace("AU ", "AU\N{NO-BREAK SPACE}").replace(" %", "\N{NO-BREAK SPACE}%")


def _first_row(explanation: Explanation) -> list[Panel]:
    expressions = list(dict.fromkeys([explanation.predicted, *([explanation.label] if explanation.label else [])]))
    return [
        lambda axis: _scene(axis, explanation),
        lambda axis: _face(axis, explanation),
        lambda axis: _chances(axis, explanation),
        *(_heat_panel(explanation, name) for name in expressions),
    ]


def _heat_panel(explanation: Explanation, name: str) -> Panel:
    roles = [role for role, who in (("prediction", explanation.predicted), ("label", explanation.label)) if name == who]
    why = f"{name} has no action units" if name == NEUTRAL else "not in the codebook"
    why = why if explanation.has_face else "no face found"
    why = "the picture has none" if explanation.has_masks else why
    plane, what = explanation.heat.get(name), "mask" if explanation.has_masks else "AUs"
    return lambda axis: _map(axis, explanation, plane, f"{what} of {name}", f"the {' and the '.join(roles)}", why)


def _map_panel(explanation: Explanation, item: ExplainedMap) -> Panel:
    values = item.values if bool(item.values.isfinite().all()) else None
    why = "undefined: constant, zero or not finite"
    return lambda axis: _map(axis, explanation, values, item.name, map_caption(explanation, item), why)


def _bare(axis: Axes, title: str, below: str = "") -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(fit_title(title))
    axis.set_xlabel(
        "\n".join(wrap_caption(below)), fontsize=CAPTION.get_size(), color=SOFT, linespacing=1.3, labelpad=4
    )
    for spine in axis.spines.values():
        spine.set_visible(False)


def _face(axis: Axes, explanation: Explanation) -> None:
    axis.imshow(face_pixels(explanation.face), interpolation="bilinear")
    if explanation.has_face:
        points = explanation.points.numpy()
        axis.scatter(points[:, 0], points[:, 1], s=3.2, c=DOTS, edgecolors="black", linewidths=0.25)
    axis.set_xlim(-0.5, CANVAS - 0.5)
    axis.set_ylim(CANVAS - 0.5, -0.5)
    absent = "" if explanation.has_masks else "no face found"
    _bare(axis, "model input", "with 68 landmarks" if explanation.has_face else absent)


def _scene(axis: Axes, explanation: Explanation) -> None:
    """Show the whole picture; if the face was cropped, with its square and the main map."""
    ratio = min(DETAIL / max(explanation.picture.size), 1)
    size = (max(round(explanation.picture.width * ratio), 1), max(round(explanation.picture.height * ratio), 1))
    picture = explanation.picture.resize(size, Image.Resampling.LANCZOS)
    pixels = np.asarray(picture) / 255
    below = "the picture"
    if explanation.cropped and explanation.main is not None:
        values, seen = explanation.on_picture(explanation.main.values)
        scaled = [np.asarray(Image.fromarray(x.float().numpy()).resize(size)) for x in (values, seen)]
        pixels = np.where(scaled[1][..., None] > 0.5, blend_map(pixels, scaled[0]), pixels)
        below = f"{explanation.main.name}, on the picture"
    axis.imshow(pixels, extent=(0, explanation.picture.width, explanation.picture.height, 0))
    if explanation.cropped:
        corners = explanation.points.new_tensor([[0, 0], [CANVAS, 0], [CANVAS, CANVAS], [0, CANVAS]]).double()
        square = transform_points(corners, invert_transform(explanation.transform)).numpy()
        axis.add_patch(Polygon(square, closed=True, fill=False, edgecolor="white", linewidth=1.6))
        axis.add_patch(Polygon(square, closed=True, fill=False, edgecolor=ACCENT, linewidth=0.9))
    axis.set_xlim(0, explanation.picture.width)
    axis.set_ylim(explanation.picture.height, 0)
    axis.set_anchor("N")
    _bare(axis, shorten(explanation.image), below)


def _chances(axis: Axes, explanation: Explanation) -> None:
    names = shown_classes(explanation)
    values = [explanation.probabilities[name] for name in names]
    colours = [ACCENT if name == explanation.predicted else PALE for name in names]
    places = np.arange(len(names))
    axis.barh(places + 0.2, [1] * len(names), color=TRACK, height=0.3)
    axis.barh(places + 0.2, values, color=colours, height=0.3)
    for place, name, value in zip(places, names, values, strict=True):
        bold = "bold" if name == explanation.predicted else "normal"
        mark = " (label)" if name == explanation.label else ""
        axis.text(0, place + 0.02, f"{name}{mark}", fontsize=6.5, weight=bold, va="bottom")
        axis.text(
            1.0, place + 0.02, f"{100 * value:.0f} %", fontsize=6.5, weight=bold, ha="right", va="bottom", color=INK
        )
    axis.set_xlim(0, 1)
    axis.set_ylim(len(names) - 0.4, -0.75)
    axis.set_box_aspect(1)
    count = len(explanation.probabilities)
    what = f"prediction, {len(names)} of {count} classes" if len(names) < count else "prediction"
    _bare(axis, what, plain(shorten(explanation.model)))


def _map(
    axis: Axes, explanation: Explanation, values: Float[Tensor, "s s"] | None, title: str, below: str, why: str
) -> None:
    grey = grey_face(explanation.face)
    axis.imshow(grey if values is None else blend_map(grey, values.numpy()), interpolation="bilinear")
    _bare(axis, title, below if values is not None else why)


def _energy_per_region(axis: Axes, item: ExplainedMap, expected: str) -> None:
    """Draw the share of the map's energy per region, a tick where a uniform map would be."""
    regions = sorted(item.regions, key=lambda region: (not region.expected_aus, -region.share))
    places = np.arange(len(regions))
    colours = [PALE if not region.expected_aus else ACCENT if region.is_covered else LOW for region in regions]
    axis.barh(places, [100 * region.share for region in regions], color=colours, height=0.66)
    axis.vlines([100 * region.uniform for region in regions], places - 0.42, places + 0.42, color=INK, linewidth=1)
    axis.set_yticks(
        places,
        [textwrap.shorten(format_aus(region.expected_aus or region.aus), 40) for region in regions],
        fontsize=6.3,
    )
    for label, region in zip(axis.get_yticklabels(), regions, strict=True):
        label.set_fontweight("bold" if region.expected_aus else "normal")
    axis.set_ylim(len(regions) - 0.4, -0.6)
    axis.tick_params(length=0, labelsize=6.3)
    judged = f"\nblue: expected, at least {USED:g} x uniform\norange: expected, missed (less than {USED:g} x uniform)"
    axis.set_xlabel(
        "% of the map's energy; tick: uniform map" + (judged if expected else ""),
        fontsize=6.3,
        labelpad=2,
    )
    whom = f", bold: expected for {expected}" if expected else ""
    axis.set_title(f"{item.name} per action unit{whom}", loc="right", fontsize=7.5)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
