"""Class-activation maps one image, one channel and one pixel at a time; resizing by the sampling formula."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def attention(a: Array, _: Array) -> Array:
    """Return the mean over channels of (c, h, w) activations."""
    result = np.zeros(a.shape[1:])
    for channel in a:
        result += channel / len(a)
    return result


def gradcam(a: Array, g: Array) -> Array:
    """Weigh each channel by its mean gradient."""
    result = np.zeros(a.shape[1:])
    for channel, slope in zip(a, g, strict=True):
        result += slope.mean() * channel
    return np.maximum(result, 0)


def gradcam_plus_plus(a: Array, g: Array) -> Array:
    """Weigh each channel by sum alpha ReLU(G), alpha = G^2 / (2 G^2 + G^3 sum A)."""
    result = np.zeros(a.shape[1:])
    for channel, slope in zip(a, g, strict=True):
        weight = 0.0
        for value in slope.ravel():
            below = 2 * value**2 + value**3 * channel.sum()
            if below != 0:
                weight += value**2 / below * max(value, 0)
        result += weight * channel
    return np.maximum(result, 0)


def layercam(a: Array, g: Array) -> Array:
    """Weigh each position by its own positive gradient."""
    result = np.zeros(a.shape[1:])
    for channel, slope in zip(a, g, strict=True):
        for position in np.ndindex(channel.shape):
            result[position] += max(slope[position], 0) * channel[position]
    return np.maximum(result, 0)


def bilinear(picture: Array, size: int) -> Array:
    """Enlarge bilinearly, pixel centres at half positions (align_corners false)."""
    h, w = picture.shape
    result = np.zeros((size, size))
    for row in range(size):
        y = min(max((row + 0.5) * h / size - 0.5, 0), h - 1)
        for column in range(size):
            x = min(max((column + 0.5) * w / size - 0.5, 0), w - 1)
            for i, j in np.ndindex(h, w):
                result[row, column] += max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j)) * picture[i, j]
    return result
