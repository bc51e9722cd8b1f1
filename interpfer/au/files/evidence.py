"""From what a program says of an action unit to present, absent or not coded."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from interpfer.types import CodedAU, CodedAUs

NO_CODE = (-1, 9, 999)
"""Numbers that say "not coded" where presence or a score from 0 to 1 is expected: ABAW, BP4D, EmotioNet."""


class Evidence(NamedTuple):
    """What a program says of an action unit of a face.

    Attributes:
        au: FACS number.
        presence: 1 or 0; NaN where it gives none.
        grade: intensity or score in [0, 1]; NaN where it gives none.
        least: smallest grade of a present unit, where there is no presence.
        side: side of the picture; None for both.
    """

    au: int
    presence: float = math.nan
    grade: float = math.nan
    least: float = 0.5
    side: str | None = None


@dataclass
class Decider:
    """Decides which action units are present.

    Presence, where a program gives it, decides; else the grade. A unit whose sides are given, too, is present on the
    sides that are; on both where only the whole face is.

    Attributes:
        threshold: smallest grade of a present unit, in place of presence; 0 for the rule of the program.
        compared: number of units with presence and a grade.
        contradictions: number of these where the two disagree.
    """

    threshold: float = 0.0
    compared: int = field(default=0, init=False)
    contradictions: int = field(default=0, init=False)

    def __call__(self, evidence: Iterable[Evidence]) -> CodedAUs | None:
        """Return the action units of a face; None where none is coded."""
        by_unit: dict[int, list[Evidence]] = {}
        for each in evidence:
            if not (math.isnan(each.presence) and math.isnan(each.grade)):
                by_unit.setdefault(each.au, []).append(each)
        active = [unit for au in sorted(by_unit) for unit in self._units(au, by_unit[au])]
        return CodedAUs(tuple(active), frozenset(by_unit)) if by_unit else None

    def _units(self, au: int, evidence: Sequence[Evidence]) -> list[CodedAU]:
        """Return the unit as it is present: once for both sides, for one side, or not at all."""
        whole = [each for each in evidence if each.side is None]
        sides = {each.side for each in evidence if each.side is not None and self._is_present([each])}
        if len(sides) == 1:
            (side,) = sides
            return [CodedAU(au, _grade([each for each in evidence if each.side == side]), side)]
        if sides or (whole and self._is_present(whole)):
            return [CodedAU(au, _grade(whole or evidence))]
        return []

    def _is_present(self, evidence: Sequence[Evidence]) -> bool:
        presence = [each.presence for each in evidence if not math.isnan(each.presence)]
        grade, least = _grade(evidence), min(each.least for each in evidence)
        if presence and not math.isnan(grade):
            self.compared += 1
            self.contradictions += (max(presence) >= 1) != (grade >= least)
        if self.threshold > 0 and not math.isnan(grade):
            return grade >= self.threshold
        return max(presence) >= 1 if presence else grade >= least


def _grade(evidence: Sequence[Evidence]) -> float:
    """Return the largest grade; NaN where there is none."""
    return max((each.grade for each in evidence if not math.isnan(each.grade)), default=math.nan)
