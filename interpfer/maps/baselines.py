"""Maps that know nothing of the model. A score means nothing without them beside it."""

import torch

from interpfer.maps.base import RawMap, Surroundings, baseline


@baseline()
def uniform(around: Surroundings) -> RawMap:
    """The same value everywhere."""
    return torch.ones_like(around.heat)


@baseline(heatmaps=True)
def mean_au(around: Surroundings) -> RawMap:
    """Mean AU heatmap of all other images: one map for everybody."""
    assert around.others is not None
    return around.others


@baseline(heatmaps=True)
def class_mean_au(around: Surroundings) -> RawMap:
    """Mean AU heatmap of the other images of the same class: what knowing the label alone is worth."""
    assert around.classmates is not None
    return around.classmates
