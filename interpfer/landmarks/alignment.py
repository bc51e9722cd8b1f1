"""Similarity alignment: rotation, scaling and translation of a face to a template of eyes, nose and mouth.

The template is the five-point one of ArcFace (Deng et al. 2019, arXiv 1801.07698), for a square crop. A transform is a
(2, 3) matrix that maps pixels (x, y) of the picture to pixels of a crop.
"""

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

TEMPLATE_SIDE = 112
"""Side in pixels of the crop that the template is for."""

TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""(x, y) of left eye, right eye, nose tip, left and right mouth corner, as seen in the picture."""

FACE_BOX = (0.8, 0.72)
"""Largest width and height of the box around the 68 points, as shares of the crop's side; typical of FER data sets."""

FACE_CENTRE = (0.5, 0.61)
"""Centre (x, y) of that box, as shares of the crop's side."""


def five_points(points: Float[Tensor, "n 68 2"]) -> Float[Tensor, "n 5 2"]:
    """Return the centres of the eyes, the tip of the nose and the corners of the mouth, ordered as ``TEMPLATE``."""
    eyes = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
    return torch.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], 1)


def similarity_transform(points: Float[Tensor, "n 68 2"], size: int) -> Float[Tensor, "n 2 3"]:
    """Return the transforms from pictures to aligned ``size`` x ``size`` crops.

    They are the least-squares fit of rotation, scale and shift, without mirroring; NaN if a landmark is NaN.
    """
    scale = size / TEMPLATE_SIDE
    source = torch.view_as_complex(five_points(points).double().contiguous())
    target = torch.view_as_complex(torch.tensor(TEMPLATE, dtype=torch.float64, device=points.device)) * scale
    centred, aim = source - source.mean(1, keepdim=True), target - target.mean()
    turn = (centred.conj() * aim).sum(1) / centred.abs().square().sum(1)
    shift = target.mean() - turn * source.mean(1)
    rows = [torch.stack([turn.real, -turn.imag, shift.real], -1), torch.stack([turn.imag, turn.real, shift.imag], -1)]
    return torch.stack(rows, 1)


def resize_transform(width: int, height: int, size: int) -> Float[Tensor, "2 3"]:
    """Return the transform of a plain resize of a (width, height) picture to ``size`` x ``size``."""
    return torch.tensor([[size / width, 0, 0], [0, size / height, 0]], dtype=torch.float64)


def face_crop_transform(points: Float[Tensor, "n 68 2"], size: int) -> Float[Tensor, "n 2 3"]:
    """Return the transforms from pictures to upright ``size`` x ``size`` crops of the face.

    The crop is typical of FER data sets, without rotation or distortion; NaN if a landmark is NaN.
    """
    points = points.double()
    low, high = points.amin(1), points.amax(1)
    scale = size / ((high - low) / points.new_tensor(FACE_BOX)).amax(1)
    shift = points.new_tensor(FACE_CENTRE) * size - scale[:, None] * (low + high) / 2
    return torch.cat([torch.eye(2, dtype=torch.float64) * scale[:, None, None], shift[:, :, None]], 2)


def transform_points(points: Float[Tensor, "*n p 2"], transform: Float[Tensor, "*n 2 3"]) -> Float[Tensor, "*n p 2"]:
    """Apply a transform to points."""
    return points @ transform[..., :2].mT.to(points.dtype) + transform[..., None, :, 2].to(points.dtype)


def invert_transform(transform: Float[Tensor, "*n 2 3"]) -> Float[Tensor, "*n 2 3"]:
    """Return the inverse transform, from the crop to the picture."""
    back = torch.linalg.inv(transform[..., :2])
    return torch.cat([back, -back @ transform[..., 2:]], -1)


def compose_transforms(outer: Float[Tensor, "*m 2 3"], inner: Float[Tensor, "*n 2 3"]) -> Float[Tensor, "*n 2 3"]:
    """Return the transform that applies ``inner``, then ``outer``.

    Examples:
        >>> half, shifted = torch.tensor([[[0.5, 0, 0], [0, 0.5, 0]], [[1.0, 0, 2], [0, 1, 4]]])
        >>> compose_transforms(half, shifted).tolist()
        [[0.5, 0.0, 1.0], [0.0, 0.5, 2.0]]
    """
    linear = outer[..., :2].to(inner) @ inner
    return linear + torch.cat([torch.zeros_like(outer[..., :2]), outer[..., 2:]], -1).to(inner)


def warp_image(image: Image.Image, transform: Float[Tensor, "2 3"], size: int) -> Image.Image:
    """Cut a ``size`` x ``size`` crop out of a picture, black outside it; a picture that is shrunk is antialiased."""
    scale = float(transform[:, :2].det().sqrt())
    if scale < 1:
        small = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        shrunk = torch.tensor([[image.width / small[0], 0.0], [0.0, image.height / small[1]]], dtype=torch.float64)
        transform = torch.cat([transform[:, :2] @ shrunk, transform[:, 2:]], 1)
        image = image.resize(small, Image.Resampling.BILINEAR)
    back = invert_transform(transform)
    return image.transform((size, size), Image.Transform.AFFINE, back.flatten().tolist(), Image.Resampling.BILINEAR)
