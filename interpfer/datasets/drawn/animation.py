"""Animation of a synthetic face: one person whose expression grows from neutral to its apex."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from interpfer.datasets.drawn.actions import Points
from interpfer.datasets.drawn.shape import (
    FaceShape,
    Identity,
    Pose,
    keep_inside,
    move,
    sample_intensity,
    sample_sides,
)


@dataclass(frozen=True)
class Animation:
    """An expression that a person performs, with the head still.

    Attributes:
        expression: canonical name.
        neutral: (68, 2) landmarks of the neutral face in the head's frame, in inter-ocular units.
        intensity: FACS number -> intensity of each action unit at the apex.
        asymmetry: additional share by which the image's left side moves.
        pose: pose of the head, in which the landmarks of all frames lie inside the image.
        size: side of the square images in pixels.
        sides: FACS number -> side of the picture of each action unit that moves on one side only.
    """

    expression: str
    neutral: Points
    intensity: Mapping[int, float]
    asymmetry: float
    pose: Pose
    size: int
    sides: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def sample(cls, expression: str, rng: np.random.Generator, size: int, person: np.random.Generator) -> "Animation":
        """Sample an animation.

        Args:
            expression: one of ``AUS_OF``.
            rng: generator of the action units and the pose.
            size: side of the images in pixels.
            person: generator of the identity.
        """
        neutral = Identity.sample(person).landmarks()
        pose = Pose.sample(rng, size)
        intensity = sample_intensity(expression, rng)
        sides = sample_sides(intensity, rng.spawn(1)[0])
        asymmetry = rng.uniform(-0.15, 0.15)
        apex = move(neutral, intensity, asymmetry, sides)
        pose = keep_inside(pose, np.concatenate([neutral, apex]), size)
        return cls(expression, neutral, MappingProxyType(intensity), asymmetry, pose, size, sides)

    def shape(self, share: float) -> FaceShape:
        """Return the face when its action units have a share of their intensity at the apex, in [0, 1]."""
        intensity = {au: share * value for au, value in self.intensity.items()} if share > 0 else {}
        head = move(self.neutral, intensity, self.asymmetry, self.sides)
        shown = MappingProxyType(intensity)
        return FaceShape(self.expression, shown, head, self.pose.place(head), self.pose, self.size, self.sides)


def onset(position: float) -> float:
    """Return the share of the apex's intensity at a position in a clip, from 0 to 1: slow, fast, slow.

    Examples:
        >>> [onset(position) for position in (0.0, 0.25, 0.5, 1.0)]
        [0.0, 0.15625, 0.5, 1.0]
    """
    return position * position * (3 - 2 * position)
