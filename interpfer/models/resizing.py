"""The one way in which a picture is brought to the square that a network or the canvas wants."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def to_square(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c {size} {size}"]:
    """Resize to ``size`` x ``size``: bilinear, antialiased, without align_corners; the right size is left as it is."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
