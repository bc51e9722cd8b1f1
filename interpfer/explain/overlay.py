"""Maps over faces, in one pair of colours and opacity for all pictures of an explanation."""

from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from torch import Tensor

from interpfer.reports.style import MAPS as COLOURS

OPACITY = 0.6


def face_pixels(face: Float[Tensor, "3 s s"]) -> Any:
    """Return a face as (s, s, 3) values in [0, 1]."""
    return face.permute(1, 2, 0).clamp(0, 1).numpy()


def grey_face(face: Float[Tensor, "3 s s"]) -> Any:
    """Return a face without its colours, as (s, s, 3) values in [0, 1]."""
    return np.repeat(face_pixels(face).mean(2, keepdims=True), 3, 2)


def blend_map(ground: Any, values: Any) -> Any:
    """Overlay a map in [0, 1] on a picture; done here, since file formats blend differently."""
    return (1 - OPACITY) * ground + OPACITY * mpl.colormaps[COLOURS](values)[..., :3]
