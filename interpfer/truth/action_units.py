"""The truth that was seen on a face: its coded action units, drawn at its landmarks."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.au.codebook import ActionUnit
from interpfer.au.drawing import draw_units
from interpfer.au.files import AUTable, read_aus
from interpfer.au.geometry import OWN_PLACES, TABLE, load_geometry
from interpfer.choices import PROTOCOL_TRUTH
from interpfer.errors import DataError
from interpfer.truth.base import BACKGROUND, Parts, Truth, TruthProvider
from interpfer.truth.codebook import divide_cells
from interpfer.truth.options import TruthOptions
from interpfer.truth.planes import Planes, draw_planes
from interpfer.types import CANVAS, CodedAUs, Landmarks, Sample

SAME_REGION = {
    au: next(other for other, known in TABLE.items() if known is place)
    for au, place in OWN_PLACES.items()
    if any(known is place for known in TABLE.values())
}
"""AU -> the one whose region it has: a blink is where closed eyes are, a pucker where lips are pressed."""


class ActionUnitTruth(TruthProvider):
    """The heatmap of the action units that were coded on each face.

    Args:
        geometry: name.
        normalise: divide the plane of each AU by its largest value before the union.
        file: action units by image, in place of those of the data set; None for those of the data set.
        weights: "present" draws each unit alike, "intensity" by its grade (1 where it has none).
        threshold: smallest intensity of a unit that counts as present; 0 for any.
        sides: whose left and right codes name: "subject" or "picture".
    """

    name = "aus"
    summary = "AU heatmap of the action units that were coded on each face (column aus, or --aus FILE)"
    by_part = True
    has_planes = True
    same_region = SAME_REGION

    def __init__(
        self,
        geometry: str = "reference",
        normalise: bool = False,
        file: str | Path | None = None,
        weights: str = "present",
        threshold: float = 0.0,
        sides: str = "subject",
    ) -> None:
        self._geometry, self._normalise, self._weights = geometry, normalise, weights
        self._threshold, self._sides = threshold, sides
        self._regions = load_geometry(geometry)(torch.zeros(1, 68, 2, dtype=torch.float64))
        self._file = None if file is None else Path(file)
        self._table = AUTable({}) if self._file is None else read_aus(self._file, threshold)

    @classmethod
    def create(cls, options: TruthOptions) -> "ActionUnitTruth":
        """Return the truth of the options, with the geometry of the protocol and planes as it has them."""
        if options.codebook is not None:
            raise DataError("--codebook belongs to --truth codebook; leave it out with --truth aus.")
        return cls(
            options.geometry or PROTOCOL_TRUTH[options.protocol][1],
            options.protocol == "corrected",
            options.aus,
            options.au_weights,
            options.au_threshold,
            options.au_sides,
        )

    @cached_property
    def settings(self) -> dict[str, str]:
        """Geometry, planes, and how codes are read; of a file its name and content."""
        settings = {"geometry": self._geometry, "au_planes": "normalised" if self._normalise else "as drawn"}
        settings |= {"au_weights": self._weights, "au_threshold": f"{self._threshold:g}", "au_sides": self._sides}
        if self._file is not None:
            within = self._file.rglob("*") if self._file.is_dir() else [self._file]
            files = sorted(each for each in within if each.is_file())
            digest = hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()
            settings |= {"aus": self._file.name, "aus_digest": digest}
            settings |= {"aus_program": self._table.program, "aus_present": self._table.rule}
        return settings

    @cached_property
    def parts(self) -> Parts:
        """The distinct regions, in order of their first number; action units of ``same_region`` are not named."""
        groups: dict[int, list[int]] = {}
        for au, shared in zip(self._regions.aus, self._regions.shared, strict=True):
            if au not in SAME_REGION:
                groups.setdefault(shared, []).append(au)
        regions = tuple(tuple(group) for group in groups.values())
        return Parts(regions, (*("+".join(map(str, group)) for group in regions), BACKGROUND))

    def coded(self, sample: Sample) -> CodedAUs | None:
        """Return the action units of a sample as sides of the picture, without weak ones; None if not coded."""
        codes = sample.aus if self._file is None else self._table.find(sample.id)
        if codes is None:
            return None
        codes = codes.at_least(self._threshold)
        return codes.mirrored() if self._sides == "picture" else codes

    def draw(
        self, samples: Sequence[Sample], landmarks: Landmarks, mirrored: Bool[Tensor, " n"] | None = None
    ) -> Truth:
        """Draw the action units of each face; one-sided ones of a mirrored face change sides."""
        turned = [False] * len(samples) if mirrored is None else mirrored.tolist()
        units = [self._units(sample, flip) for sample, flip in zip(samples, turned, strict=True)]
        return Truth(*draw_units(landmarks.points, units, CANVAS, self._geometry, self._normalise))

    def planes(
        self, samples: Sequence[Sample], landmarks: Landmarks, mirrored: Bool[Tensor, " n"] | None = None
    ) -> Planes:
        """Return one plane per action unit that is coded as present and has a region."""
        turned = [False] * len(samples) if mirrored is None else mirrored.tolist()
        units = [self._units_by_number(sample, flip) for sample, flip in zip(samples, turned, strict=True)]
        return draw_planes(landmarks, units, self._geometry, self._normalise)

    def _units_by_number(self, sample: Sample, is_mirrored: bool) -> dict[int, tuple[ActionUnit, ...]]:
        codes = self.coded(sample)
        numbers = [unit.au for unit in codes.active] if codes else []
        of_number: dict[int, tuple[ActionUnit, ...]] = {}
        for au, unit in zip(numbers, self._units(sample, is_mirrored), strict=True):
            if unit.au in self._regions.aus:
                first = self._regions.aus[self._regions.shared[self._regions.aus.index(unit.au)]]
                of_number[au] = (*of_number.get(au, ()), replace(unit, au=first))
        single = {au: (replace(units[0], weight=1.0),) for au, units in of_number.items() if len(units) == 1}
        return of_number | single

    def _units(self, sample: Sample, is_mirrored: bool) -> tuple[ActionUnit, ...]:
        codes = self.coded(sample)
        if codes is None:
            return ()
        active = (codes.mirrored() if is_mirrored else codes).active
        graded = self._weights == "intensity"
        return tuple(
            ActionUnit(
                SAME_REGION.get(unit.au, unit.au),
                unit.intensity if graded and unit.intensity == unit.intensity else 1.0,
                unit.side,
            )
            for unit in active
        )

    def shares(self, landmarks: Landmarks) -> Float[Tensor, "n g 28 28"]:
        """Divide each cell over the action units that cover it, the rest going to the background."""
        return divide_cells(landmarks, [group[0] for group in self.parts.groups], self._geometry)

    def expected_parts(self, label: str) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return no part: what is expected differs from face to face."""
        return np.zeros(len(self.parts.names), np.bool_)

    def missing_reason(self, sample: Sample) -> str:
        """Say that the face is not coded, shows no action unit, or only such as have no region."""
        codes = self.coded(sample)
        if codes is None:
            return "whose action units are not coded"
        return "with no action unit that has a region" if codes.active else "coded without action units"

    def check(self, samples: Sequence[Sample]) -> None:
        """Check that the file lists an image of the data set.

        Raises:
            DataError: it lists none.
        """
        if self._file is not None and samples and len(self._unlisted(samples)) == len(samples):
            raise DataError(
                f"{self._file} lists no image of the data set, such as {samples[0].id}; it has names such as "
                f"{next(iter(self._table.codes))}."
            )

    def _unlisted(self, samples: Sequence[Sample]) -> list[str]:
        return [] if self._file is None else self._table.unlisted(sample.id for sample in samples)

    def notes(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        """Return what is said of the file, the images that it does not list, and action units without a region."""
        notes = list(self._table.notes)
        if self._file is not None and (unlisted := self._unlisted(samples)):
            notes.append(
                f"{len(unlisted)} of {len(samples)} images are not in {self._file.name} and count as not coded, such "
                f"as {unlisted[0]}"
            )
        counts: Counter[int] = Counter()
        for sample in samples:
            codes = self.coded(sample)
            counts.update({unit.au for unit in codes.active} if codes else ())
        unknown = {au: n for au, n in counts.items() if SAME_REGION.get(au, au) not in self._regions.aus}
        if unknown:
            listed = ", ".join(f"AU {au} ({unknown[au]} faces)" for au in sorted(unknown))
            notes.append(f"without a region on the face, so not drawn: {listed}")
        return tuple(notes)
