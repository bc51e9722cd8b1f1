"""The shape of a drawn face: 68 landmarks, moved by action units, turned and set into the image.

Everything is built in the frame of the head: the origin lies between the eyes, x to the image's right and y down, in
inter-ocular units (one unit is the distance of the eye centres of the average face). Nothing here paints.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.drawn.actions import (
    AUS_OF,
    DISPLACEMENT,
    HALF,
    HALLMARK,
    INTENSITY,
    LIDS,
    LIPS,
    MIRROR,
    MISSING,
    Points,
)


@dataclass(frozen=True)
class Identity:
    """The proportions of a person at rest; 1 is average for a factor, 0 for an offset (inter-ocular units)."""

    face_width: float = 1.0
    jaw_width: float = 1.0
    chin: float = 1.0
    eye_spacing: float = 0.0
    eye_width: float = 1.0
    eye_opening: float = 1.0
    eye_slant: float = 0.0
    brow_height: float = 0.0
    brow_slant: float = 0.0
    brow_arch: float = 1.0
    nose_width: float = 1.0
    nose_length: float = 1.0
    mouth_width: float = 1.0
    mouth_height: float = 0.0
    mouth_corners: float = 0.0
    lips: float = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Identity":
        """Draw a person."""
        return cls(
            face_width=rng.normal(1.0, 0.045),
            jaw_width=rng.normal(1.0, 0.05),
            chin=rng.normal(1.0, 0.035),
            eye_spacing=rng.normal(0.0, 0.02),
            eye_width=rng.uniform(0.9, 1.1),
            eye_opening=rng.uniform(0.8, 1.25),
            eye_slant=rng.normal(0.0, 0.02),
            brow_height=rng.normal(0.0, 0.025),
            brow_slant=rng.normal(0.0, 0.02),
            brow_arch=rng.uniform(0.6, 1.3),
            nose_width=rng.uniform(0.82, 1.25),
            nose_length=rng.normal(1.0, 0.04),
            mouth_width=rng.uniform(0.9, 1.12),
            mouth_height=rng.normal(0.0, 0.02),
            mouth_corners=rng.normal(0.0, 0.015),
            lips=rng.uniform(0.65, 1.4),
        )

    def landmarks(self) -> Points:
        """Return the (68, 2) landmarks of the face at rest, in the head's frame."""
        face = np.zeros((len(MIRROR), 2))
        face[list(HALF)] = list(HALF.values())

        jaw = face[:9]
        jaw[:, 0] *= self.face_width * np.interp(jaw[:, 1], (0.3, 1.3), (1.0, self.jaw_width))
        jaw[:, 1] *= self.chin

        brow = face[17:22]
        brow[:, 1] = -0.31 + (brow[:, 1] + 0.31) * self.brow_arch - self.brow_height
        brow[:, 1] += self.brow_slant * (brow[:, 0] + 0.56) / 0.34
        brow[:, 0] -= self.eye_spacing

        face[27:34] *= (self.nose_width, self.nose_length)

        eye, centre = face[36:42], np.array([-0.505, 0.0])
        eye[:] = (eye - centre) * (self.eye_width, self.eye_opening) + centre - (self.eye_spacing, 0.0)
        eye[:, 1] += self.eye_slant * (eye[:, 0] + 0.5) / 0.23

        mouth, parting = face[48:68], 1.05
        mouth[:, 1] = parting + (mouth[:, 1] - parting) * self.lips + self.mouth_height
        mouth[:, 1] -= self.mouth_corners * (np.abs(mouth[:, 0]) / 0.39) ** 2
        mouth[:, 0] *= self.mouth_width

        return np.where(np.isin(np.arange(len(MIRROR)), list(HALF))[:, None], face, face[MIRROR] * (-1, 1))


@dataclass(frozen=True)
class Pose:
    """How the head is held and where it lies in the image.

    Attributes:
        yaw: turn to the image's right, in radians.
        pitch: turn downwards, in radians.
        roll: clockwise tilt, in radians.
        scale: pixels per inter-ocular unit.
        origin: (x, y) pixels of the point between the eyes.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    origin: tuple[float, float]

    @classmethod
    def sample(cls, rng: np.random.Generator, size: int) -> "Pose":
        """Draw a pose for a square image of ``size`` pixels."""
        return cls(
            yaw=rng.uniform(-0.28, 0.28),
            pitch=rng.uniform(-0.10, 0.10),
            roll=np.deg2rad(np.clip(rng.normal(0.0, 5.0), -12.0, 12.0)),
            scale=size * rng.uniform(0.265, 0.315),
            origin=(size * rng.uniform(0.47, 0.53), size * rng.uniform(0.345, 0.385)),
        )

    def axes(self) -> NDArray[np.float64]:
        """Return the (2, 2) matrix whose rows are the head's right and down in pixels of the image."""
        c, s = np.cos(self.roll), np.sin(self.roll)
        return self.scale * np.array([[c, s], [-s, c]])

    def camera(self) -> NDArray[np.float64]:
        """Return the (3, 2) matrix that takes (x, y, depth) of the head to pixels from the origin."""
        turned = [[np.cos(self.yaw), 0.0], [0.0, np.cos(self.pitch)], [np.sin(self.yaw), np.sin(self.pitch)]]
        seen: NDArray[np.float64] = np.array(turned) @ self.axes()
        return seen

    def place(self, points: Points) -> Points:
        """Carry (k, 2) points on the surface of the head into the image, in pixels."""
        placed: Points = lift(points) @ self.camera() + self.origin
        return placed


@dataclass(frozen=True)
class FaceShape:
    """A face that is ready to be painted.

    Attributes:
        expression: canonical name.
        intensity: of each action unit that moves; its keys are ordered FACS numbers.
        head: (68, 2) landmarks in the head's frame, in inter-ocular units.
        points: (68, 2) the same in pixels of the image.
        pose: carries the one into the other.
        size: side of the square image in pixels.
    """

    expression: str
    intensity: Mapping[int, float]
    head: Points
    points: Points
    pose: Pose
    size: int

    @property
    def aus(self) -> tuple[int, ...]:
        """The action units that move."""
        return tuple(self.intensity)

    def strength(self, *aus: int) -> float:
        """Return the greatest intensity among ``aus``, 0 where none of them moves."""
        return max(self.intensity.get(au, 0.0) for au in aus)


def shape_face(
    expression: str, rng: np.random.Generator, size: int = 112, person: np.random.Generator | None = None
) -> FaceShape:
    """Make the shape of a face.

    Args:
        expression: one of ``AUS_OF``.
        rng: draws what changes from one picture of a person to the next: action units and pose.
        size: side of the image in pixels.
        person: draws the identity; ``rng`` where it is None.
    """
    identity = Identity.sample(rng if person is None else person)
    pose = Pose.sample(rng, size)
    intensity = sample_intensity(expression, rng)
    head = move(identity.landmarks(), intensity, uneven=rng.uniform(-0.15, 0.15))
    pose = keep_inside(pose, head, size)
    return FaceShape(expression, MappingProxyType(intensity), head, pose.place(head), pose, size)


def sample_intensity(expression: str, rng: np.random.Generator) -> dict[int, float]:
    """Draw how strongly each action unit of an expression moves; some of them stay at rest."""
    aus = AUS_OF[expression]
    drawn = rng.uniform(*INTENSITY, len(aus)).tolist()
    moves = (rng.random(len(aus)) >= MISSING).tolist()
    return {
        au: value for au, value, moved in zip(aus, drawn, moves, strict=True) if moved or au == HALLMARK[expression]
    }


def move(rest: Points, intensity: Mapping[int, float], uneven: float = 0.0) -> Points:
    """Let action units act on (68, 2) landmarks of the head's frame.

    Args:
        rest: the face at rest.
        intensity: of each action unit; 1 is full.
        uneven: how much stronger the image's left side moves.
    """
    side = 1.0 - uneven * np.sign(np.round(rest[:, :1], 6))
    moved = rest + side * sum((value * DISPLACEMENT[au] for au, value in intensity.items()), np.zeros_like(rest))
    _keep_apart(moved, LIDS, 0.05)
    _keep_apart(moved, LIPS, 0.004)
    return moved


def lift(points: Points) -> NDArray[np.float64]:
    """Return (k, 2) points of the head's frame as (k, 3), with how far they stand out towards the viewer."""
    x, y = points[:, 0], points[:, 1]
    surface = np.empty((len(points), 3))
    surface[:, :2] = points
    skull = -0.55 * np.minimum((x / 1.1) ** 2, 1.3) - 0.12 * ((y - 0.5) / 1.2) ** 2
    surface[:, 2] = skull + 0.36 * np.exp(-((x / 0.22) ** 2) - ((y - 0.55) / 0.28) ** 2)
    return surface


def keep_inside(pose: Pose, head: Points, size: int, margin: float = 0.025) -> Pose:
    """Shift, and where need be shrink, a pose until all landmarks lie inside the image."""
    room = size * (1 - 2 * margin) - 1
    points = pose.place(head)
    extent = float(np.ptp(points, axis=0).max())
    if extent > room:
        pose = _replaced(pose, pose.origin, pose.scale * room / extent)
        points = pose.place(head)
    low, high = size * margin, size * (1 - margin) - 1
    shift = np.maximum(low - points.min(0), 0) - np.maximum(points.max(0) - high, 0)
    return _replaced(pose, (pose.origin[0] + shift[0], pose.origin[1] + shift[1]), pose.scale)


def _replaced(pose: Pose, origin: tuple[float, float], scale: float) -> Pose:
    return Pose(pose.yaw, pose.pitch, pose.roll, scale, origin)


def _keep_apart(points: Points, pairs: tuple[tuple[int, int], ...], gap: float) -> None:
    upper, lower = np.array(pairs).T
    missing = np.maximum(gap - (points[lower, 1] - points[upper, 1]), 0) / 2
    points[upper, 1] -= missing
    points[lower, 1] += missing
