"""Maps moved from the canvas, which is what the network sees, back to the picture."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from interpfer.types import CANVAS


def place_on_picture(
    values: Float[Tensor, "s s"], transform: Float[Tensor, "2 3"], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return what a map on the canvas says of each pixel of the picture; 0 where the network does not see it.

    Args:
        values: the map.
        transform: from pixels (x, y) of the picture to pixels of the canvas.
        size: (width, height) of the picture.

    Examples:
        >>> import torch
        >>> half = torch.zeros(224, 224)
        >>> half[:, 112:] = 1
        >>> place_on_picture(half, torch.tensor([[56.0, 0, 0], [0, 112, 0]]), (4, 2)).tolist()
        [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    """
    picture = Image.fromarray(values.cpu().float().numpy())
    if size == (CANVAS, CANVAS) and np.allclose(transform, np.eye(2, 3)):
        return np.asarray(picture)
    coefficients = tuple(transform.double().flatten().tolist())
    placed = picture.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    result: NDArray[np.float32] = np.asarray(placed)
    return result
