"""The part of the page on occlusion: a table, and a covered face with its map before and after for each kind."""

import base64
import io
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

from interpfer.reports.page.pictures import colour_stops
from interpfer.reports.page.tables import Cell, Line, Sheet
from interpfer.results.occluded import occlusion_lines
from interpfer.results.run import Run

SHOWN = 0.55
"""How much of a map is seen over its face."""


class Example(NamedTuple):
    """A covered face.

    Attributes:
        name: what covers it.
        picture: three views side by side, as a data address: the face, its map before and after.
    """

    name: str
    picture: str


def occlusion_sheets(run: Run) -> list[Sheet]:
    """Return the table of the occlusions of a run; none without."""
    if run.occluded is None:
        return []
    columns, lines, note = occlusion_lines(run.occluded)
    body = [Line(line[0], [Cell(text, _value(text)) for text in line[1:]]) for line in lines]
    return [Sheet({}, "accuracy and maps under occlusion", columns[0], columns[1:], body, note)]


def occlusion_examples(run: Run) -> list[Example]:
    """Return a picture of each occlusion of a run; none where the run keeps no pictures."""
    if run.occluded is None:
        return []
    return [Example(name, _address(planes)) for name, planes in run.occluded.examples.items()]


def _value(text: str) -> float:
    try:
        return float(text.partition(" ")[0])
    except ValueError:
        return float("nan")


def _address(planes: UInt8[NDArray[np.uint8], "5 side side"]) -> str:
    face = planes[:3].transpose(1, 2, 0).astype(np.float64)
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in colour_stops()], np.float64)
    views = [face]
    for plane in planes[3:]:
        at = plane / 255 * (len(stops) - 1)
        below = np.clip(at.astype(int), 0, len(stops) - 2)
        share = (at - below)[..., None]
        views.append((1 - SHOWN) * face + SHOWN * (stops[below] * (1 - share) + stops[below + 1] * share))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(views, 1).round().astype(np.uint8)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
