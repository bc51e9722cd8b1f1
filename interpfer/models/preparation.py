"""Prepares a picture for a model, in this order: pad to a square, resize, crop of the centre, resize to the input size.

What the network sees of a picture is its field of view. The canvas is the field of view, so that maps of the network,
landmarks and truth stay registered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from interpfer.choices import COLORS, INTERPOLATIONS
from interpfer.models.input import LUMA, InputSpec

PILLOW_FILTERS = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}
"""Interpolation -> filter of Pillow."""

MODES = {"nearest": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}
"""Interpolation -> mode of torch; all sample at the centres of pixels, as Pillow does."""


@dataclass(frozen=True)
class FieldOfView:
    """Part of a picture that a network sees: a picture with a border, resized, and a square or all of it.

    Attributes:
        border: (left, top) width of the border in pixels of the picture.
        padded: (width, height) with the border.
        resized: (width, height) before the crop.
        corner: (left, top) corner of the crop in the resized picture; negative where it is smaller than the crop.
        shape: (width, height) of the crop.
    """

    border: tuple[int, int]
    padded: tuple[int, int]
    resized: tuple[int, int]
    corner: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def of(cls, spec: InputSpec, width: int, height: int) -> "FieldOfView":
        """Return the field of view of a (width, height) picture.

        Examples:
            >>> view = FieldOfView.of(InputSpec(224, resize=256, crop=224), 300, 600)
            >>> view.resized, view.corner
            ((256, 512), (16, 144))
        """
        border = (0, 0)
        if spec.pad is not None:
            side = max(width, height)
            border = ((side - width) // 2, (side - height) // 2)
            width = height = side
        resized = _resized(spec, width, height)
        if spec.crop is None:
            return cls(border, (width, height), resized, (0, 0), resized)
        crop = spec.crop
        start = round if spec.crop_corner == "round" else int
        left, top = (start((side - crop) / 2) if side >= crop else -((crop - side) // 2) for side in resized)
        return cls(border, (width, height), resized, (left, top), (crop, crop))

    def transform(self, size: int) -> Float[Tensor, "2 3"]:
        """Return the transform from pixels of the picture to pixels of the field of view at ``size`` x ``size``.

        Examples:
            >>> FieldOfView.of(InputSpec(224, resize=256, crop=224), 512, 512).transform(224).tolist()
            [[0.5, 0.0, -16.0], [0.0, 0.5, -16.0]]
        """
        rows = []
        for axis in (0, 1):
            scale = self.resized[axis] / self.padded[axis]
            shift = self.border[axis] * scale - self.corner[axis]
            zoom = size / self.shape[axis]
            row = [0.0, 0.0, shift * zoom]
            row[axis] = scale * zoom
            rows.append(row)
        return torch.tensor(rows, dtype=torch.float64)


def prepare(images: Float[Tensor, "n 3 h w"], spec: InputSpec) -> Float[Tensor, "n 3 {spec.size} {spec.size}"]:
    """Return what the network sees of pictures, at its input size, before normalisation.

    Args:
        images: (n, 3, h, w) RGB in [0, 1].
        spec: input of the model.
    """
    if spec.is_plain:
        return to_square(images, spec.size)
    height, width = images.shape[-2:]
    view = FieldOfView.of(spec, width, height)
    x: Tensor = (images * 255).round().clamp(0, 255).to("cpu", torch.uint8) if spec.rounded else images
    if spec.pad is not None:
        x = _with_border(x, view, spec.pad)
    x = _resample(x, view.resized, spec)
    if spec.crop is not None:
        x = _crop(x, view)
    x = _resample(x, (spec.size, spec.size), spec)
    return (x.float() / 255).to(images) if spec.rounded else x


def prepare_pixels(pixels: np.ndarray, spec: InputSpec) -> Float[Tensor, "3 {spec.size} {spec.size}"]:
    """Return what the network sees of a picture; ``pixels`` are (h, w, 3) bytes of RGB."""
    return prepare(torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255), spec)[0]


def normalise(images: Float[Tensor, "n 3 h w"], spec: InputSpec) -> Float[Tensor, "n c h w"]:
    """Return prepared images in a model's channels and range.

    Examples:
        >>> normalise(torch.tensor([1.0, 0.5, 0.0])[None, :, None, None], InputSpec(1, "bgr", 2.0, (1.0,))).flatten()
        tensor([-1.,  0.,  1.])
    """
    x = images
    if spec.color == "bgr":
        x = x.flip(1)
    elif spec.color in ("gray", "gray3"):
        x = (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True).expand(-1, COLORS[spec.color], -1, -1)
    mean, std = (x.new_tensor(value)[:, None, None] for value in (spec.mean, spec.std))
    return (x * spec.scale - mean) / std


def to_square(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c {size} {size}"]:
    """Resize images to ``size`` x ``size``: bilinear, antialiased, ``align_corners=False``.

    This is the resize of a plain input and of the canvas. Images of that size are returned as they are.
    """
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def _resized(spec: InputSpec, width: int, height: int) -> tuple[int, int]:
    """Return (width, height) before the crop; a shorter side alone keeps the ratio, rounded down as in torchvision."""
    if spec.resize is None:
        return (width, height) if spec.crop is not None else (spec.size, spec.size)
    if isinstance(spec.resize, tuple):
        return spec.resize[1], spec.resize[0]
    short = spec.resize
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short


def _with_border(images: Tensor, view: FieldOfView, color: Sequence[int]) -> Tensor:
    width, height = view.padded
    left, top = view.border
    level = images.new_tensor(color) if images.dtype == torch.uint8 else images.new_tensor(color) / 255
    padded = level[None, :, None, None].repeat(len(images), 1, height, width)
    padded[:, :, top : top + images.shape[2], left : left + images.shape[3]] = images
    return padded


def _crop(images: Tensor, view: FieldOfView) -> Tensor:
    """Cut the crop out, black where it is larger than the picture."""
    (left, top), (width, height) = view.corner, view.shape
    rows, columns = images.shape[-2:]
    outside = (max(-left, 0), max(left + width - columns, 0), max(-top, 0), max(top + height - rows, 0))
    if any(outside):
        images = F.pad(images, outside)
    left, top = max(left, 0), max(top, 0)
    return images[..., top : top + height, left : left + width]


def _resample(images: Tensor, shape: tuple[int, int], spec: InputSpec) -> Tensor:
    """Resize to (width, height); bytes stay bytes. An image of that size is returned as it is."""
    width, height = shape
    if images.shape[-2:] == (height, width):
        return images
    if spec.rounded == "pillow" and spec.antialias:
        return _resample_with_pillow(images, shape, spec.interpolation)
    mode = _torch_modes().get(spec.interpolation)
    if mode is None:
        return _resample_with_pillow(images, shape, spec.interpolation)
    if spec.interpolation == "nearest":
        return F.interpolate(images, size=(height, width), mode=mode)
    if images.dtype == torch.uint8 and not spec.antialias:
        smooth = F.interpolate(images.float(), size=(height, width), mode=mode, align_corners=False)
        return smooth.round().clamp(0, 255).to(torch.uint8)
    result = F.interpolate(images, size=(height, width), mode=mode, align_corners=False, antialias=spec.antialias)
    return result.clamp(0, 1) if result.is_floating_point() else result


@cache
def _torch_modes() -> dict[str, str]:
    """Return the interpolations that the installed torch has; Pillow makes the others."""
    try:
        F.interpolate(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), size=(3, 3), mode="lanczos", antialias=True)
    except (NotImplementedError, ValueError, RuntimeError):
        return MODES
    return MODES | {"lanczos": "lanczos"}


def _resample_with_pillow(images: Tensor, shape: tuple[int, int], interpolation: str) -> Tensor:
    width, height = shape
    planes = []
    for plane in images.detach().cpu().flatten(0, 1):
        resized = Image.fromarray(plane.numpy()).resize(shape, PILLOW_FILTERS[interpolation])
        planes.append(torch.from_numpy(np.array(resized)))
    result: Tensor = torch.stack(planes).view(*images.shape[:2], height, width).to(images)
    return result.clamp(0, 1) if result.is_floating_point() else result
