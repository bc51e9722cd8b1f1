"""One picture of an explanation: face, probabilities, AU heatmaps, maps with scores, evidence, and a sentence."""

import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from PIL import Image
from torch import Tensor

from interpfer.au.names import spell
from interpfer.errors import RunError
from interpfer.explain.explanation import Explanation, ShownMap
from interpfer.explain.facs import sentence
from interpfer.labels import NEUTRAL
from interpfer.landmarks.alignment import inverse, transform_points
from interpfer.reports.escape import plain
from interpfer.reports.style import ACCENT, INK, LOW, SOFT
from interpfer.reports.style import MAPS as COLOURS
from interpfer.types import CANVAS

SUFFIXES = (".png", ".svg", ".pdf")

COLUMNS = 4
PANEL, SIDE = 1.85, 1.64
"""Inches from panel to panel, and of a picture's side."""

HEAD, LINE = 0.27, 0.125
"""Inches of a panel's title, and of a line below it."""

OPACITY = 0.6
PALE = "#b3bcc5"
TRACK = "#eef1f4"
DOTS = "#56b4e9"

Panel = Callable[[Axes], None]

DETAIL = 900
"""Longest side in pixels at which a picture is shown."""

STYLE: dict[Any, Any] = {
    "font.size": 7.5,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlepad": 5,
    "svg.fonttype": "path",
    "svg.hashsalt": "interpfer",
    "pdf.fonttype": 42,
    "text.parse_math": False,
}


def explanation_sheet(told: Explanation, path: Path) -> None:
    """Draw an explanation.

    Args:
        told: out of ``interpfer.explain_image``.
        path: the picture to write; its suffix is the format: .png, .svg or .pdf.

    Raises:
        RunError: the suffix is none of these, or the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise RunError(f"{path}: a picture ends in {', '.join(SUFFIXES)}.")
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a letter of a file's name that the font lacks
        figure = _draw(told)
        dated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
        try:
            figure.savefig(path, dpi=200, metadata=dated)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error}.") from error


def _draw(told: Explanation) -> Figure:
    first = _first_row(told)
    columns = max(COLUMNS, len(first))
    rows = [first, *([_map_panel(told, shown) for shown in row] for row in _rows(told.maps, columns))]
    main = told.main if told.main is not None and told.main.regions else None
    foot = 0.85 + 0.15 * len(main.regions) if main else 1.2
    below = 0.12 + LINE * max((_scores(told, shown).count("\n") + 1 for shown in told.maps), default=1)
    width, height = columns * PANEL, len(rows) * (HEAD + SIDE + below) + foot + 0.14
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
    left = 0.15 / width
    if main:
        _evidence(
            figure.add_axes((1.75 / width, 0.5 / height, 1.9 / width, (foot - 0.75) / height)), main, told.expected
        )
        left = 3.95 / width
    _words(figure, told, left, foot)
    return figure


def _rows(maps: Sequence[ShownMap], columns: int) -> Iterator[Sequence[ShownMap]]:
    """Break maps into rows; of several layers, every map begins a row of its own."""
    layers: dict[str, list[ShownMap]] = {}
    for shown in maps:
        layers.setdefault(shown.name, []).append(shown)
    alone = all(len(row) == 1 for row in layers.values())
    for row in [maps] if alone else layers.values():
        yield from (row[start : start + columns] for start in range(0, len(row), columns))


def _words(figure: Figure, told: Explanation, left: float, foot: float) -> None:
    """Write the sentence, the rules and the scale of colours."""
    width, height = figure.get_size_inches()
    letters = int((1 - left) * width * 15.5)
    text = "\n".join(textwrap.wrap(plain(_kept_together(sentence(told))), letters))
    figure.text(left, (foot - 0.1) / height, "In FACS terms", weight="bold", size=8, va="top")
    figure.text(left, (foot - 0.3) / height, text, va="top", size=7.5, linespacing=1.4)
    rules = f"Protocol {told.rules['protocol']}, codebook {told.rules['codebook']}, geometry {told.rules['geometry']}."
    note = textwrap.wrap(plain(f"{rules} A score says that a map lies where the codebook says, no more."), letters)
    figure.text(left, 0.32 / height, "\n".join(note), size=6.3, color=SOFT, va="bottom", linespacing=1.4)
    figure.text(left, 0.12 / height, "Each map from its least to its largest value:", size=6.3, color=SOFT, va="bottom")
    bar = figure.add_axes((left + 2.05 / width, 0.135 / height, 0.8 / width, 0.07 / height))
    figure.colorbar(ScalarMappable(cmap=COLOURS), cax=bar, orientation="horizontal", ticks=[]).outline.set_visible(
        False
    )


def _kept_together(text: str) -> str:
    """Keep a number and its word on one line."""
    return text.replace("AU ", "AU\N{NO-BREAK SPACE}").replace(" %", "\N{NO-BREAK SPACE}%")


def _first_row(told: Explanation) -> list[Panel]:
    expressions = list(dict.fromkeys([told.predicted, *([told.label] if told.label else [])]))
    return [
        lambda axis: _scene(axis, told),
        lambda axis: _face(axis, told),
        lambda axis: _chances(axis, told),
        *(_heat_panel(told, name) for name in expressions),
    ]


def _heat_panel(told: Explanation, name: str) -> Panel:
    roles = [role for role, who in (("prediction", told.predicted), ("label", told.label)) if name == who]
    why = (
        "no face found"
        if not told.found
        else f"{name} has no action units"
        if name == NEUTRAL
        else "not in the codebook"
    )
    plane = told.heat.get(name)
    return lambda axis: _map(axis, told, plane, f"AUs of {name}", f"the {' and the '.join(roles)}", why)


def _map_panel(told: Explanation, shown: ShownMap) -> Panel:
    values = shown.values if bool(shown.values.isfinite().all()) else None
    why = "undefined: constant, zero or not finite"
    return lambda axis: _map(axis, told, values, shown.name, _scores(told, shown), why)


def _bare(axis: Axes, title: str, below: str = "") -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(plain(title))
    axis.set_xlabel(below, fontsize=6.8, color=SOFT, linespacing=1.3, labelpad=4)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _pixels(face: Float[Tensor, "3 s s"]) -> Any:
    return face.permute(1, 2, 0).clamp(0, 1).numpy()


def _blend(ground: Any, values: Any) -> Any:
    """Lay a map in [0, 1] over a picture; done here, since file formats blend each in their own way."""
    return (1 - OPACITY) * ground + OPACITY * mpl.colormaps[COLOURS](values)[..., :3]


def _face(axis: Axes, told: Explanation) -> None:
    axis.imshow(_pixels(told.face), interpolation="bilinear")
    if told.found:
        points = told.points.numpy()
        axis.scatter(points[:, 0], points[:, 1], s=3.2, c=DOTS, edgecolors="black", linewidths=0.25)
    axis.set_xlim(-0.5, CANVAS - 0.5)
    axis.set_ylim(CANVAS - 0.5, -0.5)
    _bare(axis, "what the model is shown", "with 68 landmarks" if told.found else "no face found")


def _scene(axis: Axes, told: Explanation) -> None:
    """Show the whole picture; where the face was cut out of it, with the square and the main map laid back on it."""
    ratio = min(DETAIL / max(told.picture.size), 1)
    size = (max(round(told.picture.width * ratio), 1), max(round(told.picture.height * ratio), 1))
    picture = told.picture.resize(size, Image.Resampling.LANCZOS)
    shown = np.asarray(picture) / 255
    below = "the picture"
    if told.cropped and told.main is not None:
        values, seen = told.on_picture(told.main.values)
        scaled = [np.asarray(Image.fromarray(x.float().numpy()).resize(size)) for x in (values, seen)]
        shown = np.where(scaled[1][..., None] > 0.5, _blend(shown, scaled[0]), shown)
        below = f"{told.main.name}, laid back on the picture"
    axis.imshow(shown, extent=(0, told.picture.width, told.picture.height, 0))
    if told.cropped:
        corners = told.points.new_tensor([[0, 0], [CANVAS, 0], [CANVAS, CANVAS], [0, CANVAS]]).double()
        square = transform_points(corners, inverse(told.transform)).numpy()
        axis.add_patch(Polygon(square, closed=True, fill=False, edgecolor="white", linewidth=1.6))
        axis.add_patch(Polygon(square, closed=True, fill=False, edgecolor=ACCENT, linewidth=0.9))
    axis.set_xlim(0, told.picture.width)
    axis.set_ylim(told.picture.height, 0)
    axis.set_anchor("N")
    _bare(axis, _short(told.image), below)


def _chances(axis: Axes, told: Explanation) -> None:
    names = list(told.probabilities)
    values = [told.probabilities[name] for name in names]
    colours = [ACCENT if name == told.predicted else PALE for name in names]
    places = np.arange(len(names))
    axis.barh(places + 0.2, [1] * len(names), color=TRACK, height=0.3)
    axis.barh(places + 0.2, values, color=colours, height=0.3)
    for place, name, value in zip(places, names, values, strict=True):
        bold = "bold" if name == told.predicted else "normal"
        mark = " (label)" if name == told.label else ""
        axis.text(0, place + 0.02, f"{name}{mark}", fontsize=6.5, weight=bold, va="bottom")
        axis.text(
            1.0, place + 0.02, f"{100 * value:.0f} %", fontsize=6.5, weight=bold, ha="right", va="bottom", color=INK
        )
    axis.set_xlim(0, 1)
    axis.set_ylim(len(names) - 0.4, -0.75)
    axis.set_box_aspect(1)
    _bare(axis, "what the model says", plain(_short(told.model)))


def _map(axis: Axes, told: Explanation, values: Float[Tensor, "s s"] | None, title: str, below: str, why: str) -> None:
    grey = np.repeat(_pixels(told.face).mean(2, keepdims=True), 3, 2)
    axis.imshow(grey if values is None else _blend(grey, values.numpy()), interpolation="bilinear")
    _bare(axis, title, below if values is not None else why)


def _scores(told: Explanation, shown: ShownMap) -> str:
    if len(shown.scores) == 1:
        name, score = next(iter(shown.scores.items()))
        whom = "" if name == told.predicted else f" with {name}"
        skill = f"{round(score.skill, 2) + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}")
        return f"cosine{whom} {score.cosine:.2f} (uniform {score.uniform:.2f})\nskill {skill}, at {shown.layer}"
    pairs = [f"{name} {score.cosine:.2f} (uniform {score.uniform:.2f})" for name, score in shown.scores.items()]
    return "\n".join([f"at {shown.layer}, cosine with" if pairs else f"at {shown.layer}", *pairs])


def _evidence(axis: Axes, shown: ShownMap, expected: str) -> None:
    """Draw the share of the map's energy per region, a tick where a uniform map would be."""
    regions = sorted(shown.regions, key=lambda region: (not region.asked, -region.share))
    places = np.arange(len(regions))
    colours = [PALE if not region.asked else ACCENT if region.used else LOW for region in regions]
    axis.barh(places, [100 * region.share for region in regions], color=colours, height=0.66)
    axis.vlines([100 * region.uniform for region in regions], places - 0.42, places + 0.42, color=INK, linewidth=1)
    axis.set_yticks(
        places, [textwrap.shorten(spell(region.asked or region.aus), 40) for region in regions], fontsize=6.3
    )
    for label, region in zip(axis.get_yticklabels(), regions, strict=True):
        label.set_fontweight("bold" if region.asked else "normal")
    axis.set_ylim(len(regions) - 0.4, -0.6)
    axis.tick_params(length=0, labelsize=6.3)
    axis.set_xlabel(
        "% of the map's energy; tick: uniform map;\nblue: expected and used, orange: expected and missed",
        fontsize=6.3,
        labelpad=2,
    )
    whom = f", bold: expected of {expected}" if expected else ""
    axis.set_title(f"{shown.name} per action unit{whom}", loc="right", fontsize=7.5)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _short(name: str, length: int = 26) -> str:
    return name if len(name) <= length else f"{name[: length // 2 - 1]}…{name[-length // 2 + 1 :]}"
