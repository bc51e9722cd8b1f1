"""What a classifier sees of a picture with a face: the part that is cut out, at its input size and on the canvas."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from interpfer.explain.covering import cover_views
from interpfer.explain.options import ExplainOptions
from interpfer.faces.stream import view_transform
from interpfer.landmarks.alignment import (
    compose_transforms,
    face_crop_transform,
    resize_transform,
    similarity_transform,
    transform_points,
    warp_image,
)
from interpfer.models.input import InputSpec
from interpfer.models.preparation import prepare_pixels
from interpfer.types import CANVAS, Landmarks

SMALL = 0.5
"""A face whose landmarks span less than this share of a side of the picture is cut out."""


@dataclass(frozen=True)
class View:
    """What a classifier sees of a picture.

    Attributes:
        image: (1, 3, s, s) at its input size, RGB in [0, 1].
        face: (1, 3, S, S) the same on the canvas.
        points: (1, 68, 2) landmarks on the canvas; NaN where no face was found.
        transform: (2, 3) from pixels of the picture to pixels of the canvas.
        cropped: whether it is a part of the picture.
    """

    image: Float[Tensor, "1 3 h w"]
    face: Float[Tensor, "1 3 S S"]
    points: Float[Tensor, "1 68 2"]
    transform: Float[Tensor, "2 3"]
    cropped: bool

    @classmethod
    def of(
        cls,
        name: str,
        picture: Image.Image,
        landmarks: Landmarks,
        spec: InputSpec,
        options: ExplainOptions,
        around: Landmarks | None = None,
    ) -> "View":
        """Return what a classifier sees of a picture.

        Args:
            name: of the picture, on which a cover depends.
            picture: RGB.
            landmarks: of its face, in its pixels.
            spec: input of the classifier.
            options: what is cut out, and what covers the face.
            around: landmarks around which the face is cut out; None for its own.

        Raises:
            InterpferError: the occluder needs a truth or a map.
            DataError: no face was found to draw the occluder on.
        """
        transform, cropped = place_face(around or landmarks, picture.size, options.crop)
        image, face = (_cut(picture, transform, cropped, each)[None] for each in (spec, spec.at(CANVAS)))
        if not spec.is_whole:
            transform, cropped = _seen(picture, transform, cropped, spec), True
        points = transform_points(landmarks.points.double(), transform[None])
        image, face = cover_views(options, name, (image, face), points)
        return cls(image, face, points, transform, cropped)


def place_face(landmarks: Landmarks, size: tuple[int, int], crop: str) -> tuple[Float[Tensor, "2 3"], bool]:
    """Return the transform from a picture to the canvas, and whether it cuts something out.

    Args:
        landmarks: of one face, in pixels of the picture.
        size: (width, height) of the picture.
        crop: "auto", "face", "aligned" or "whole".
    """
    whole = resize_transform(*size, CANVAS)
    if crop == "whole" or not bool(landmarks.found[0]):
        return whole, False
    points = landmarks.points.double()
    if crop == "aligned":
        return similarity_transform(points, CANVAS)[0], True
    span = (points.amax(1) - points.amin(1))[0] / points.new_tensor(size)
    small = crop == "face" or float(span.min()) < SMALL
    return (face_crop_transform(points, CANVAS)[0], True) if small else (whole, False)


def _cut(
    picture: Image.Image, transform: Float[Tensor, "2 3"], cropped: bool, spec: InputSpec
) -> Float[Tensor, "3 s s"]:
    side = spec.picture_size
    face = warp_image(picture, transform * (side / CANVAS), side) if cropped else picture
    return prepare_pixels(np.array(face), spec)


def _seen(
    picture: Image.Image, transform: Float[Tensor, "2 3"], cropped: bool, spec: InputSpec
) -> Float[Tensor, "2 3"]:
    """Return the transform from the picture to what the network sees of it, or of the face cut out of it."""
    if not cropped:
        return view_transform(spec, *picture.size)
    side = spec.picture_size
    return compose_transforms(view_transform(spec, side, side), transform * (side / CANVAS))


def median_face(landmarks: Landmarks) -> Landmarks:
    """Return the median points of the faces that were found, as one face; none if none was found."""
    points = landmarks.points[landmarks.found]
    if not len(points):
        return landmarks[:1]
    return Landmarks.of(points.median(0, keepdim=True).values)


def stack_images(views: list[View]) -> Float[Tensor, "n 3 h w"]:
    """Return what the classifier is given of several pictures."""
    return torch.cat([view.image for view in views])
