"""Similarity alignment: turn, scale and move a face so that eyes, nose and mouth lie where they usually do.

The template is the five-point one of ArcFace (Deng et al. 2019, arXiv 1801.07698), for a square crop.
"""

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

TEMPLATE_SIDE = 112
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Left eye, right eye, nose tip, left and right mouth corner, as seen in the picture."""


FACE_BOX = (0.8, 0.72)
"""Largest share of a crop's sides that the box around the 68 points takes; crops of FER data sets are like that."""

FACE_CENTRE = (0.5, 0.61)
"""Where the middle of that box lies in the crop."""


def five_points(points: Float[Tensor, "n 68 2"]) -> Float[Tensor, "n 5 2"]:
    """Return the centres of the eyes, the tip of the nose and the corners of the mouth."""
    eyes = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
    return torch.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], 1)


def similarity(points: Float[Tensor, "n 68 2"], size: int) -> Float[Tensor, "n 2 3"]:
    """Return the maps from pixels of the picture to pixels of the aligned ``size`` x ``size`` crop.

    Least squares over turn, scale and shift, without mirroring; NaN where a landmark is.
    """
    scale = size / TEMPLATE_SIDE
    source = torch.view_as_complex(five_points(points).double().contiguous())
    target = torch.view_as_complex(torch.tensor(TEMPLATE, dtype=torch.float64, device=points.device)) * scale
    centred, aim = source - source.mean(1, keepdim=True), target - target.mean()
    turn = (centred.conj() * aim).sum(1) / centred.abs().square().sum(1)
    shift = target.mean() - turn * source.mean(1)
    rows = [torch.stack([turn.real, -turn.imag, shift.real], -1), torch.stack([turn.imag, turn.real, shift.imag], -1)]
    return torch.stack(rows, 1)


def stretch(width: int, height: int, size: int) -> Float[Tensor, "2 3"]:
    """Return the map of a plain resize of a (width, height) picture to ``size`` x ``size``."""
    return torch.tensor([[size / width, 0, 0], [0, size / height, 0]], dtype=torch.float64)


def face_square(points: Float[Tensor, "n 68 2"], size: int) -> Float[Tensor, "n 2 3"]:
    """Return the maps from pixels of the picture to those of an upright ``size`` x ``size`` crop of the face.

    The crop is as FER data sets cut theirs; nothing is turned or distorted. NaN where a landmark is.
    """
    points = points.double()
    low, high = points.amin(1), points.amax(1)
    scale = size / ((high - low) / points.new_tensor(FACE_BOX)).amax(1)
    shift = points.new_tensor(FACE_CENTRE) * size - scale[:, None] * (low + high) / 2
    return torch.cat([torch.eye(2, dtype=torch.float64) * scale[:, None, None], shift[:, :, None]], 2)


def transform_points(points: Float[Tensor, "*n p 2"], transform: Float[Tensor, "*n 2 3"]) -> Float[Tensor, "*n p 2"]:
    """Carry points along a map."""
    return points @ transform[..., :2].mT.to(points.dtype) + transform[..., None, :, 2].to(points.dtype)


def inverse(transform: Float[Tensor, "*n 2 3"]) -> Float[Tensor, "*n 2 3"]:
    """Return the map back: from the crop to the picture, so that a map can be shown on the original."""
    back = torch.linalg.inv(transform[..., :2])
    return torch.cat([back, -back @ transform[..., 2:]], -1)


def warp(image: Image.Image, transform: Float[Tensor, "2 3"], size: int) -> Image.Image:
    """Cut the aligned crop out of a picture; black where it reaches outside. A shrunk picture is antialiased first."""
    scale = float(transform[:, :2].det().sqrt())
    if scale < 1:
        small = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        shrunk = torch.tensor([[image.width / small[0], 0.0], [0.0, image.height / small[1]]], dtype=torch.float64)
        transform = torch.cat([transform[:, :2] @ shrunk, transform[:, 2:]], 1)
        image = image.resize(small, Image.Resampling.BILINEAR)
    back = inverse(transform)
    return image.transform((size, size), Image.Transform.AFFINE, back.flatten().tolist(), Image.Resampling.BILINEAR)
