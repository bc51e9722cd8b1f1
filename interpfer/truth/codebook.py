"""The truth that a label stands for: the action units that a codebook lists for it, drawn at the face's landmarks."""

import hashlib
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.au.codebook import ActionUnit, Codebook, current_name, load_codebook
from interpfer.au.drawing import au_heatmaps, au_planes
from interpfer.au.geometry import load_geometry
from interpfer.choices import PROTOCOL_TRUTH
from interpfer.truth.base import BACKGROUND, GRID, Parts, Truth, TruthProvider
from interpfer.truth.options import TruthOptions
from interpfer.truth.planes import Planes, draw_planes
from interpfer.types import CANVAS, Landmarks, Sample


class CodebookTruth(TruthProvider):
    """The AU heatmap of a label, by a codebook and a geometry.

    Args:
        codebook: name or file.
        geometry: name.
        normalise: divide the plane of each AU by its largest value before the union.
    """

    name = "codebook"
    summary = "AU heatmap of the label: the action units that a codebook lists for it, drawn at the landmarks"
    has_planes = True

    def __init__(self, codebook: str = "belharbi2024", geometry: str = "reference", normalise: bool = False) -> None:
        self._name, self._geometry, self._normalise = current_name(codebook), geometry, normalise
        self._codebook = load_codebook(codebook)
        load_geometry(geometry)

    @classmethod
    def create(cls, options: TruthOptions) -> "CodebookTruth":
        """Return the codebook and geometry of the options, else of their protocol; planes as the protocol has them."""
        codebook, geometry = PROTOCOL_TRUTH[options.protocol]
        return cls(options.codebook or codebook, options.geometry or geometry, options.protocol == "corrected")

    @property
    def settings(self) -> dict[str, str]:
        """Codebook, its content and the geometry; the planes where they are not those of the reference."""
        digest = hashlib.sha256(repr(self._codebook).encode()).hexdigest()
        settings = {"codebook": self._name, "codebook_digest": digest, "geometry": self._geometry}
        return settings | ({"au_planes": "normalised"} if self._normalise else {})

    @cached_property
    def parts(self) -> Parts:
        """The distinct regions of all action units of the codebook, in order of their first number."""
        groups: dict[int, list[int]] = {}
        aus, shared = _shared_planes(self._geometry)
        for au in self._codebook.aus():
            groups.setdefault(shared[aus.index(au)], []).append(au)
        regions = tuple(tuple(group) for group in groups.values())
        return Parts(regions, (*("+".join(str(au) for au in group) for group in regions), BACKGROUND))

    def draw(
        self, samples: Sequence[Sample], landmarks: Landmarks, mirrored: Bool[Tensor, " n"] | None = None
    ) -> Truth:
        """Draw the heatmaps of the samples' labels; one-sided action units of a mirrored face change sides."""
        points, labels = landmarks.points, [sample.label for sample in samples]
        maps, valid = self._heatmaps(points, labels, self._codebook)
        if mirrored is not None and self._is_sided and bool(mirrored.any()):
            rows = mirrored.nonzero()[:, 0]
            names = [labels[row] for row in rows.tolist()]
            maps[rows], valid[rows] = self._heatmaps(points[rows], names, self._codebook.mirrored())
        return Truth(maps, valid)

    def _heatmaps(
        self, points: Float[Tensor, "n 68 2"], labels: Sequence[str], codebook: Codebook
    ) -> tuple[Float[Tensor, "n S S"], Bool[Tensor, " n"]]:
        return au_heatmaps(points, labels, CANVAS, codebook, self._geometry, self._normalise)

    def planes(
        self, samples: Sequence[Sample], landmarks: Landmarks, mirrored: Bool[Tensor, " n"] | None = None
    ) -> Planes:
        """Return one plane per action unit that the codebook lists for each sample's label."""
        turned = [False] * len(samples) if mirrored is None else mirrored.tolist()
        books = {False: self._codebook, True: self._codebook.mirrored()}
        units: list[dict[int, tuple[ActionUnit, ...]]] = []
        for sample, flip in zip(samples, turned, strict=True):
            of_number: dict[int, tuple[ActionUnit, ...]] = {}
            for unit in books[flip].units(sample.label) if sample.label else ():
                of_number[unit.au] = (*of_number.get(unit.au, ()), unit)
            units.append(of_number)
        return draw_planes(landmarks, units, self._geometry, self._normalise)

    @property
    def _is_sided(self) -> bool:
        return any(unit.side for units in self._codebook.classes.values() for unit in units)

    def shares(self, landmarks: Landmarks) -> Float[Tensor, "n g 28 28"]:
        """Divide each cell over the action units that cover it, the rest going to the background."""
        return divide_cells(landmarks, [group[0] for group in self.parts.groups], self._geometry)

    def expected_parts(self, label: str) -> NDArray[np.bool_]:
        """Return the regions of the action units that the codebook lists for a label."""
        aus = {unit.au for unit in self._codebook.units(label)}
        return np.array([*(not aus.isdisjoint(group) for group in self.parts.groups), False])

    def expected_aus(self, label: str) -> tuple[int, ...]:
        """Return the action units that the codebook lists for a label."""
        return tuple(sorted({unit.au for unit in self._codebook.units(label)}))

    def missing_reason(self, sample: Sample) -> str:
        """Say that there is no label, or that it has no action units in the codebook."""
        return f"with no action units in {self._name}" if sample.label else "without a label, which a codebook needs"

    def sources(self) -> dict[str, str]:
        """Return the codebook's citation."""
        return {f"codebook {self._codebook.name}": self._codebook.citation}


def divide_cells(landmarks: Landmarks, aus: Sequence[int], geometry: str) -> Float[Tensor, "n g 28 28"]:
    """Divide each cell of a 28 x 28 grid over the action units that cover it; the rest is the background, the last.

    Args:
        landmarks: on the canvas.
        aus: FACS number of each region.
        geometry: name.

    Returns:
        Shares that add up to 1 in each cell; NaN for a face without landmarks.
    """
    points = landmarks.points
    maps = au_planes(points * (GRID / CANVAS), aus, GRID, geometry).maps.nan_to_num(0)
    covered = maps.amax(1, keepdim=True)
    total = maps.sum(1, keepdim=True)
    divided = torch.cat([maps * (covered / total.where(total > 0, 1)), 1 - covered], 1)
    found = points.isfinite().flatten(1).all(1)
    return torch.where(found[:, None, None, None], divided, torch.nan)


@cache
def _shared_planes(geometry: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the action units of a geometry, and for each the first one that draws the same plane."""
    regions = load_geometry(geometry)(torch.zeros(1, 68, 2, dtype=torch.float64))
    return regions.aus, regions.shared
