"""The scores of METHOD sections 2 and 6, one image and one threshold at a time."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.floating]


def cosine(picture: Picture, heat: Picture) -> float:
    """Return the cosine of two pictures as vectors; NaN where one has no length or is undefined."""
    a, b = picture.astype(np.float64).ravel(), heat.astype(np.float64).ravel()
    lengths = math.sqrt((a * a).sum()) * math.sqrt((b * b).sum())
    return float((a * b).sum() / lengths) if lengths > 0 else math.nan


def pxap(pictures: Sequence[Picture], masks: Sequence[NDArray[np.bool_]]) -> float:
    """Return the pixel average precision in percent over all pictures, 1000 thresholds, histograms by numpy."""
    edges = np.append(np.arange(1001) / 1000, 2.0)
    inside, outside = np.zeros(1001), np.zeros(1001)
    for picture, mask in zip(pictures, masks, strict=True):
        inside += np.histogram(picture[mask], edges)[0]
        outside += np.histogram(picture[~mask], edges)[0]
    total = inside.sum()
    score, before = 0.0, 0.0
    for threshold in reversed(range(1001)):
        hits, misses = inside[threshold:].sum(), outside[threshold:].sum()
        recall = hits / total
        if hits + misses:
            score += hits / (hits + misses) * (recall - before)
        before = recall
    return 100 * float(score)
