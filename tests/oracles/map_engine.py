"""Slow, plain re-statements of the maps of the engine, one image and one channel at a time."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def relu(picture: Array) -> Array:
    return np.maximum(picture, 0)


def _sum_of_channels(weights: list[float], a: Array) -> Array:
    total = np.zeros(a.shape[1:])
    for weight, channel in zip(weights, a, strict=True):
        total += weight * channel
    return relu(total)


def gradcam_compat(a: Array, g: Array) -> Array:
    return _sum_of_channels([float((gk**2 * relu(gk)).sum()) for gk in g], a)


def xgradcam(a: Array, g: Array) -> Array:
    return _sum_of_channels(
        [float((gk * ak).sum() / ak.sum()) if ak.sum() else 0.0 for ak, gk in zip(a, g, strict=True)], a
    )


def hirescam(a: Array, g: Array) -> Array:
    return relu(sum(ak * gk for ak, gk in zip(a, g, strict=True)))


def gradcam_elementwise(a: Array, g: Array) -> Array:
    return np.asarray(sum(relu(ak * gk) for ak, gk in zip(a, g, strict=True)))


def first_projection(features: Array, centred: bool) -> Array:
    """Project on the first right singular vector of a full SVD, the larger absolute extreme positive."""
    points = features.reshape(len(features), -1).T
    if centred:
        points = points - points.mean(0)
    direction = np.linalg.svd(points, full_matrices=False)[2][0]
    projected = points @ direction
    if -projected.min() > projected.max():
        projected = -projected
    return projected.reshape(features.shape[1:])


def cam(a: Array, weight: Array) -> Array:
    cells = a.shape[1] * a.shape[2]
    return np.asarray(sum(w * ak for w, ak in zip(weight, a, strict=True))) / cells


def rollout(blocks: list[Array], side: int, prefix: int) -> Array:
    """Abnar and Zuidema: (heads, t, t) probabilities per block to the class token's row."""
    rolled = np.eye(blocks[0].shape[-1])
    for block in blocks:
        mixed = 0.5 * block.mean(0) + 0.5 * np.eye(len(rolled))
        rolled = (mixed / mixed.sum(1, keepdims=True)) @ rolled
    return rolled[0, prefix:].reshape(side, side)


def ts_cam(blocks: list[Array], tokens: Array, weight: Array, side: int, prefix: int) -> Array:
    """Gao et al.: (heads, t, t) probabilities per block, (t, c) last tokens, (c,) weights of the class."""
    result = np.zeros((side, side))
    for place in range(side * side):
        looked = [head[0, prefix + place] for block in blocks for head in block]
        speaks = sum(w * t for w, t in zip(weight, tokens[prefix + place], strict=True))
        result[divmod(place, side)] = np.mean(looked) * speaks
    return result


def bilateral_mean(picture: Array, spatial: float, value: float) -> float:
    total = 0.0
    for (i, j), here in np.ndenumerate(picture):
        above = below = 0.0
        for (y, x), there in np.ndenumerate(picture):
            near = np.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * spatial**2) - (here - there) ** 2 / (2 * value**2))
            above, below = above + near * there, below + near
        total += above / below
    return total / picture.size
