"""The data set `demo-clips`: synthetic faces whose expression grows from neutral to its apex, frame by frame."""

from itertools import cycle
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from interpfer.datasets.base import Dataset, require_split
from interpfer.datasets.clip_dataset import REPEAT
from interpfer.datasets.demo import DrawnLandmarks, moved_units
from interpfer.datasets.drawn.actions import AUS_OF
from interpfer.datasets.drawn.animation import Animation, onset
from interpfer.datasets.drawn.drawing import paint_face
from interpfer.datasets.drawn.person import Look
from interpfer.datasets.drawn.shape import FaceShape
from interpfer.datasets.sampling import Sampling
from interpfer.landmarks.base import LandmarkProvider
from interpfer.types import Sample

COUNTS = {"train": 70, "test": 42}
"""Split -> number of clips."""

LENGTH = 32
"""Frames of a clip, of which some are sampled."""

VISIBLE = 0.1
"""Smallest intensity of an action unit that is coded."""

VERSION = 1
"""Version of the clips; it increases when the same seed draws another one."""


class DemoClipsDataset(Dataset):
    """Clips of synthetic faces with exact landmarks and action units of every frame.

    Each person performs all seven expressions in turn, one per clip; light, background and the pose of the head stay as
    they are within a clip. A frame depends on the seed, the split, its clip, its place in the clip and the size only.

    Args:
        split: one of ``splits``.
        seed: random seed; another seed gives other people.
        clips: number of clips; None for that in ``COUNTS``.
        sampling: which of the ``LENGTH`` frames of each clip are scored.
        size: side of the square images in pixels.

    Attributes:
        sampling: which frames are scored.
    """

    name: ClassVar[str] = "demo-clips"
    needs_root: ClassVar[bool] = False
    has_clips: ClassVar[bool] = True
    action_units: ClassVar[str] = "as drawn, per frame"
    summary: ClassVar[str] = "clips of synthetic faces, from neutral to the apex; needs no download"

    def __init__(
        self,
        split: str = "test",
        seed: int = 0,
        clips: int | None = None,
        sampling: Sampling = Sampling(),  # noqa: B008
        size: int = 112,
    ) -> None:
        require_split(split, self.splits, f"data set {self.name}")
        self.seed, self.side = seed, size
        self._key = (seed, self.splits.index(split))
        count = COUNTS[split] if clips is None else clips
        self._animations: list[Animation] = []
        self._looks: list[Look] = []
        for clip, name in zip(range(count), cycle(AUS_OF)):
            person = np.random.default_rng([*self._key, 1, clip // len(AUS_OF)])
            rng = np.random.default_rng([*self._key, 2, clip])
            self._animations.append(Animation.sample(name, rng, size, person))
            self._looks.append(Look.sample(person))
        frames = sampling.choose(LENGTH)
        self._places = [(clip, frame) for clip in range(count) for frame in frames]
        repeats = [frames[:place].count(frame) + 1 for place, frame in enumerate(frames)]
        samples = [
            self._sample(split, clip, frame, repeats[row % len(frames)])
            for row, (clip, frame) in enumerate(self._places)
        ]
        super().__init__(samples, split)
        self.sampling = sampling
        self.notes = (f"frames of clips: {sampling}",)

    @classmethod
    def open(
        cls,
        root: str | Path | None = None,  # noqa: ARG003
        split: str = "test",
        seed: int = 0,
        sampling: Sampling | None = None,
    ) -> "DemoClipsDataset":
        """List the frames of a split, without drawing any.

        Args:
            root: not used.
            split: one of ``splits``.
            seed: random seed; another seed gives other people.
            sampling: which frames of each clip are scored; None for 16, evenly.

        Raises:
            SplitError: the split is unknown.
        """
        return cls(split, seed, sampling=sampling or Sampling())

    def image(self, index: int) -> Image.Image:
        """Draw frame ``index``."""
        clip, _ = self._places[index]
        scene = np.random.default_rng([*self._key, 3, clip])
        return paint_face(self.shape(index), scene, self._looks[clip])

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002
        """Return (width, height), which is the same for all images."""
        return self.side, self.side

    def shape(self, index: int) -> FaceShape:
        """Return the shape of frame ``index``, with its landmarks and action units, without painting it."""
        clip, frame = self._places[index]
        return self._animations[clip].shape(onset(frame / (LENGTH - 1)))

    def landmarks(self) -> LandmarkProvider:
        """Return the exact landmarks."""
        return DrawnLandmarks(self, VERSION)

    def _sample(self, split: str, clip: int, frame: int, repeat: int) -> Sample:
        animation, name = self._animations[clip], f"{split}_{clip + 1:03d}"
        shape = animation.shape(onset(frame / (LENGTH - 1)))
        return Sample(
            f"{name}/{frame + 1:02d}.png{f'{REPEAT}{repeat}' if repeat > 1 else ''}",
            animation.expression,
            subject=f"{split} person {clip // len(AUS_OF) + 1}",
            aus=moved_units(shape, VISIBLE),
            attributes=self._looks[clip].attributes,
            clip=name,
            frame=frame,
        )
