"""Masks in pixels of a picture, moved to the canvas by the transform of the picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interpfer.types import CANVAS

Plane = NDArray[np.uint8]


def place_on_canvas(mask: Plane, transform: NDArray[np.float64]) -> Plane:
    """Return what the canvas shows of a mask; 0 outside of the picture.

    A mask that is shrunk is antialiased; of a plain resize this is the resize of the picture itself.

    Args:
        mask: (h, w) from 0 to 255.
        transform: (2, 3) from pixels (x, y) of the mask to pixels of the canvas.

    Examples:
        >>> half = np.array([[0, 255]], np.uint8)
        >>> placed = place_on_canvas(half, np.array([[112.0, 0, 0], [0, 224, 0]]))
        >>> placed[0, 0].item(), placed[0, 223].item()
        (0, 255)
    """
    height, width = mask.shape
    image = Image.fromarray(mask)
    if np.allclose(transform, [[CANVAS / width, 0, 0], [0, CANVAS / height, 0]], atol=1e-9):
        return np.asarray(image.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR))
    zoom = np.sqrt(np.square(transform[:, :2]).sum(0))  # of the columns and of the rows of the mask
    small = [max(round(side * min(scale, 1.0)), 1) for side, scale in zip((width, height), zoom.tolist(), strict=True)]
    if small != [width, height]:
        image = image.resize((small[0], small[1]), Image.Resampling.BILINEAR)
    own = transform[:, :2] * (np.array([width, height]) / small)
    back = np.linalg.inv(own)
    matrix = np.concatenate([back, -back @ transform[:, 2:]], 1)
    placed = image.transform(
        (CANVAS, CANVAS), Image.Transform.AFFINE, tuple(matrix.flatten().tolist()), Image.Resampling.BILINEAR
    )
    return np.asarray(placed)
