"""Robustness: is a map stable under a little noise?

After the maximal sensitivity of Yeh et al. 2019 (arXiv 1901.09392), which is the largest norm of the difference of two
maps for inputs within a ball; here it is the largest 1 - rank correlation under normal noise.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.maps.compute import compute_maps
from interpfer.metrics.randomisation import predict_classes, rank_similarity
from interpfer.models.model import Model

NOISE = 0.02
"""Standard deviation of input noise, for images in [0, 1]."""


def noise_sensitivity(
    model: Model,
    images: Float[Tensor, "n 3 h w"],
    maps: str | Sequence[str] = ("attention", "gradcam"),
    layers: str | Sequence[str] = "last",
    targets: Tensor | Sequence[int | str] | None = None,
    noise: float = NOISE,
    draws: int = 4,
    seed: int = 0,
) -> dict[tuple[str, str], Float[Tensor, " n"]]:
    """Return per (map, layer) and image how much the map changes under a little noise: the largest 1 - Spearman.

    Args:
        model: the classifier.
        images: RGB in [0, 1], any size.
        maps: names or groups.
        layers: "last", "all", or names.
        targets: as for ``interpfer.compute_maps``; by default the class predicted without noise.
        noise: standard deviation, for images in [0, 1].
        draws: number of noisy copies of each image.
        seed: random seed of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    if targets is None:
        targets = predict_classes(model, images)
    before = compute_maps(model, images, maps, layers, targets)
    largest = {key: torch.zeros(len(images), device=raw.device) for key, raw in before.items()}
    for _ in range(draws):
        change = torch.randn(images.shape, generator=generator).to(images) * noise
        after = compute_maps(model, (images + change).clamp(0, 1), maps, layers, targets)
        for key, raw in after.items():
            largest[key] = torch.maximum(largest[key], 1 - rank_similarity(raw, before[key]))
    return largest
