"""The shape of a synthetic face: 68 landmarks, moved by action units, rotated and placed in the image.

The head's frame has its origin between the eyes, x to the image's right and y down, in inter-ocular units (1 is the
distance between the eye centres of the average face).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    ONE_SIDED,
    SIDED,
    Points,
)


@dataclass(frozen=True)
class Identity:
    """Proportions of a neutral face; the average is 1 for a factor and 0 for an offset (in inter-ocular units)."""

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
        """Sample a random person."""
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
        """Return the (68, 2) landmarks of the neutral face, in the head's frame."""
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
    """Rotation of the head and its position in the image.

    Attributes:
        yaw: rotation to the image's right, in radians.
        pitch: rotation downwards, in radians.
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
        """Sample a random pose for a square image of ``size`` pixels."""
        return cls(
            yaw=rng.uniform(-0.28, 0.28),
            pitch=rng.uniform(-0.10, 0.10),
            roll=np.deg2rad(np.clip(rng.normal(0.0, 5.0), -12.0, 12.0)),
            scale=size * rng.uniform(0.265, 0.315),
            origin=(size * rng.uniform(0.47, 0.53), size * rng.uniform(0.345, 0.385)),
        )

    def axes(self) -> NDArray[np.float64]:
        """Return the (2, 2) matrix whose rows are the head's x and y axes in pixels of the image."""
        c, s = np.cos(self.roll), np.sin(self.roll)
        return self.scale * np.array([[c, s], [-s, c]])

    def camera(self) -> NDArray[np.float64]:
        """Return the (3, 2) matrix that maps (x, y, depth) of the head to pixels relative to the origin."""
        rotation = [[np.cos(self.yaw), 0.0], [0.0, np.cos(self.pitch)], [np.sin(self.yaw), np.sin(self.pitch)]]
        matrix: NDArray[np.float64] = np.array(rotation) @ self.axes()
        return matrix

    def place(self, points: Points) -> Points:
        """Project (k, 2) points on the surface of the head into the image, in pixels."""
        pixels: Points = lift(points) @ self.camera() + self.origin
        return pixels


@dataclass(frozen=True)
class FaceShape:
    """A face to paint.

    Attributes:
        expression: canonical name.
        intensity: FACS number, in ascending order -> intensity of each action unit that is moved.
        head: (68, 2) landmarks in the head's frame, in inter-ocular units.
        points: (68, 2) landmarks in pixels of the image.
        pose: pose of the head in the image.
        size: side of the square image in pixels.
        sides: FACS number -> side of the picture ("left" or "right") of each action unit that moves on one side only.
    """

    expression: str
    intensity: Mapping[int, float]
    head: Points
    points: Points
    pose: Pose
    size: int
    sides: Mapping[int, str] = field(default_factory=dict)

    @property
    def aus(self) -> tuple[int, ...]:
        """Action units that are moved."""
        return tuple(self.intensity)

    def strength(self, *aus: int, side: str | None = None) -> float:
        """Return the largest intensity among some action units, on one side or anywhere; 0 if none is moved there."""
        moved = (au for au in aus if side is None or self.sides.get(au, side) == side)
        return max((self.intensity.get(au, 0.0) for au in moved), default=0.0)


def shape_face(
    expression: str, rng: np.random.Generator, size: int = 112, person: np.random.Generator | None = None
) -> FaceShape:
    """Sample the random shape of a face.

    Args:
        expression: one of ``AUS_OF``.
        rng: generator of the action units and the pose, which differ between pictures of a person.
        size: side of the image in pixels.
        person: generator of the identity; None to use ``rng``.
    """
    identity = Identity.sample(rng if person is None else person)
    pose = Pose.sample(rng, size)
    intensity = sample_intensity(expression, rng)
    sides = sample_sides(intensity, rng.spawn(1)[0])
    head = move(identity.landmarks(), intensity, rng.uniform(-0.15, 0.15), sides)
    pose = keep_inside(pose, head, size)
    return FaceShape(expression, MappingProxyType(intensity), head, pose.place(head), pose, size, sides)


def sample_intensity(expression: str, rng: np.random.Generator) -> dict[int, float]:
    """Sample the intensity of each action unit of an expression, some of which are left out."""
    aus = AUS_OF[expression]
    intensities = rng.uniform(*INTENSITY, len(aus)).tolist()
    moves = (rng.random(len(aus)) >= MISSING).tolist()
    return {
        au: intensity
        for au, intensity, is_moved in zip(aus, intensities, moves, strict=True)
        if is_moved or au == HALLMARK[expression]
    }


def sample_sides(aus: Iterable[int], rng: np.random.Generator) -> dict[int, str]:
    """Sample which action units of a face move on one side only: most often none."""
    is_one_sided, is_left = rng.random(2) < (ONE_SIDED, 0.5)
    side = "left" if is_left else "right"
    return {au: side for au in aus if au in SIDED} if is_one_sided else {}


def move(
    neutral: Points, intensity: Mapping[int, float], asymmetry: float = 0.0, sides: Mapping[int, str] | None = None
) -> Points:
    """Return the landmarks of a face after its action units have moved.

    Args:
        neutral: (68, 2) landmarks of the neutral face in the head's frame.
        intensity: FACS number -> intensity; 1 is full.
        asymmetry: additional share by which the image's left side moves, and the right side less.
        sides: FACS number -> side of the picture of each action unit that moves on one side only; points in the middle
            move by half.
    """
    across = np.sign(np.round(neutral[:, :1], 6))
    shares = {None: np.ones_like(across), "left": (1 - across) / 2, "right": (1 + across) / 2}
    displacement = np.zeros_like(neutral)
    for au, value in intensity.items():
        displacement += value * shares[(sides or {}).get(au)] * DISPLACEMENT[au]
    points = neutral + (1.0 - asymmetry * across) * displacement
    _keep_apart(points, LIDS, 0.05)
    _keep_apart(points, LIPS, 0.004)
    return points


def lift(points: Points) -> NDArray[np.float64]:
    """Return (k, 2) points of the head's frame as (k, 3), with their depth towards the viewer."""
    x, y = points[:, 0], points[:, 1]
    surface = np.empty((len(points), 3))
    surface[:, :2] = points
    skull = -0.55 * np.minimum((x / 1.1) ** 2, 1.3) - 0.12 * ((y - 0.5) / 1.2) ** 2
    surface[:, 2] = skull + 0.36 * np.exp(-((x / 0.22) ** 2) - ((y - 0.55) / 0.28) ** 2)
    return surface


def keep_inside(pose: Pose, head: Points, size: int, margin: float = 0.025) -> Pose:
    """Return the pose shifted, and scaled down if necessary, so that all landmarks lie inside the image."""
    limit = size * (1 - 2 * margin) - 1
    points = pose.place(head)
    extent = float(np.ptp(points, axis=0).max())
    if extent > limit:
        pose = replace(pose, scale=pose.scale * limit / extent)
        points = pose.place(head)
    low, high = size * margin, size * (1 - margin) - 1
    shift = np.maximum(low - points.min(0), 0) - np.maximum(points.max(0) - high, 0)
    return replace(pose, origin=(pose.origin[0] + shift[0], pose.origin[1] + shift[1]))


def _keep_apart(points: Points, pairs: tuple[tuple[int, int], ...], gap: float) -> None:
    """Move the upper and the lower point of each pair apart in place, to at least ``gap``."""
    upper, lower = np.array(pairs).T
    missing = np.maximum(gap - (points[lower, 1] - points[upper, 1]), 0) / 2
    points[upper, 1] -= missing
    points[lower, 1] += missing
