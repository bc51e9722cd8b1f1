"""What a truth is: the value ``Truth`` of a batch, and the provider that draws it.

Scoring, baselines, metrics, reports, ``explain`` and the guide of fine-tuning ask a ``TruthProvider`` and know no other
source. A new truth (coded action units, masks of the user's) defines:

1. ``draw``: maps on the canvas out of samples and landmarks, with which of them are valid;
2. ``parts`` and ``shares``: the named regions that it is made of, over which the energy of a map is divided, and
   ``expected_parts``, which of them belong to a label (none, where nothing but one mask is known);
3. ``settings``: what decides its maps, as text: recorded in run.json, compared by ``--resume`` and the leaderboard;
4. ``create``: itself out of the options of a verb.

It is added by one file, a line in ``interpfer.truth.TRUTHS`` or an entry point of the group ``interpfer.truths``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.truth.options import AU_HEATMAP, TruthOptions
from interpfer.truth.planes import Planes
from interpfer.types import CodedAUs, Landmarks, Sample

GRID = 28
"""Side of the grid over whose cells the energy of a map is divided."""

BACKGROUND = "background"
"""Name of what no part covers."""


@dataclass(frozen=True)
class Truth:
    """What the maps of n faces are compared with.

    Attributes:
        maps: (n, S, S) in [0, 1]; NaN all over where undefined.
        valid: (n,) whether each face has one.
        ignore: (n, S, S) pixels that count neither way, where the maps are 0; None for none.
    """

    maps: Float[Tensor, "n S S"]
    valid: Bool[Tensor, " n"]
    ignore: Bool[Tensor, "n S S"] | None = None

    def __post_init__(self) -> None:
        if len(self.maps) != len(self.valid):
            raise ValueError(f"{len(self.maps)} maps and {len(self.valid)} validities differ")

    def __getitem__(self, rows: slice | Tensor) -> "Truth":
        ignore = None if self.ignore is None else self.ignore[rows]
        return Truth(self.maps[rows], self.valid[rows], ignore)


class Parts(NamedTuple):
    """The named regions that the energy of a map is divided over.

    Attributes:
        groups: FACS numbers of each region; those that cannot be told apart share one.
        names: of each region, such as "12+15"; ``BACKGROUND`` last.
    """

    groups: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]


class TruthProvider(ABC):
    """Draws the truth of faces.

    Attributes:
        name: as typed after ``--truth``.
        summary: one line for ``interpfer ls truths``.
        by_part: whether maps are also scored for each part that was seen on a face.
        has_planes: whether ``planes`` returns the action units that it is made of.
        same_region: FACS number that is in none of ``parts`` -> the one whose region it has.
        noun: what it is called on pages, in the singular.
        needs_landmarks: whether it is drawn at landmarks; else none are looked for unless another option needs them.
        parts: the regions that it is made of.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    by_part: ClassVar[bool] = False
    has_planes: ClassVar[bool] = False
    same_region: ClassVar[Mapping[int, int]] = {}
    noun: ClassVar[str] = AU_HEATMAP
    needs_landmarks: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def create(cls, options: TruthOptions) -> "TruthProvider":
        """Return the truth that the options of a verb describe.

        Raises:
            InterpferError: an option cannot be met; the message says which.
        """

    @property
    @abstractmethod
    def settings(self) -> dict[str, str]:
        """What decides the maps: option or digest -> text."""

    @property
    @abstractmethod
    def parts(self) -> Parts:
        """The regions that it is made of."""

    def check(self, samples: Sequence[Sample]) -> None:  # noqa: ARG002
        """Check the truth against all samples of a data set, before any is drawn.

        Raises:
            InterpferError: it cannot be theirs.
        """
        return

    @abstractmethod
    def draw(
        self, samples: Sequence[Sample], landmarks: Landmarks, mirrored: Bool[Tensor, " n"] | None = None
    ) -> Truth:
        """Draw the truth of n faces, on the device of the landmarks.

        Args:
            samples: n samples.
            landmarks: on the canvas; with ``placement``, where each picture lies on it.
            mirrored: which faces are shown mirrored, so that their left and right have changed places.
        """

    def planes(
        self,
        samples: Sequence[Sample],  # noqa: ARG002
        landmarks: Landmarks,  # noqa: ARG002
        mirrored: Bool[Tensor, " n"] | None = None,  # noqa: ARG002
    ) -> Planes | None:
        """Return the planes that the truths of n faces are unions of; None where a truth has no such parts.

        Args:
            samples: n samples.
            landmarks: on the canvas.
            mirrored: as for ``draw``.
        """
        return None

    def coded(self, sample: Sample) -> CodedAUs | None:  # noqa: ARG002
        """Return what was seen on the face of a sample; None where nobody coded it."""
        return None

    @property
    def has_ignored(self) -> bool:
        """Whether anything that it has drawn has pixels to ignore."""
        return False

    @abstractmethod
    def shares(self, landmarks: Landmarks) -> Float[Tensor, "n g 28 28"]:
        """Return per cell of a 28 x 28 grid the share of each of the g parts; NaN for a face without landmarks."""

    @abstractmethod
    def expected_parts(self, label: str) -> NDArray[np.bool_]:
        """Return which of the g parts belong to a label; never the background."""

    def expected_aus(self, label: str) -> tuple[int, ...]:
        """Return the FACS numbers that belong to a label; none where the truth knows none."""
        expected = self.expected_parts(label)
        return tuple(au for group, wanted in zip(self.parts.groups, expected, strict=False) if wanted for au in group)

    @abstractmethod
    def missing_reason(self, sample: Sample) -> str:
        """Return why a labelled sample with landmarks has no truth, in a few words that follow a count."""

    def fault(self, sample: Sample) -> str:  # noqa: ARG002
        """Return why a sample that was drawn shows nothing, "kind: detail", for a truth without landmarks; else ""."""
        return ""

    def notes(self, samples: Sequence[Sample]) -> tuple[str, ...]:  # noqa: ARG002
        """Return what a reader of the scores of these samples has to know, a line each."""
        return ()

    def sources(self) -> Mapping[str, str]:
        """Return what to cite: name -> reference."""
        return {}
