"""Faces on which a model can be tried, for metrics that ask it again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

TOGETHER, TOGETHER_AWAY = 32, 256
"""Images per forward, about: on a CPU, whose cache should hold what they become, and on an accelerator."""

Images = Float[Tensor, "n 3 s s"]


@dataclass(frozen=True)
class ModelProbe:
    """Faces on which a model can be tried.

    Attributes:
        probabilities: runs the model on images.
        images: (n, 3, s, s) RGB in [0, 1] at the model's input size.
        heat: (n, S, S) AU heatmaps, NaN where undefined.
        targets: (n,) class index that maps explain, -1 for none.
        rows: position of each face in the data set.
        seed: of everything random.
        known: what was asked for ``once``.
    """

    probabilities: Callable[[Images], Float[Tensor, "n k"]]
    images: Images
    heat: Float[Tensor, "n h w"]
    targets: Int[Tensor, " n"]
    rows: tuple[int, ...]
    seed: int
    known: dict[Any, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def together(self) -> int:
        """Images per forward, about."""
        return TOGETHER if self.images.device.type == "cpu" else TOGETHER_AWAY

    def once(self, function: Callable[["ModelProbe"], Tensor]) -> Tensor:
        """Return what a function makes of this trial, computed when first asked for: the same for all maps."""
        if function not in self.known:
            self.known[function] = function(self)
        return self.known[function]

    def probability(self, images: Images) -> Float[Tensor, " n"]:
        """Return the probability of each face's target for altered images: m variants of all n faces in turn."""
        repeats = len(images) // max(len(self.targets), 1)
        found = [self.probabilities(part) for part in torch.split(images, self.together)]
        chosen = self.targets.clamp(min=0).repeat(repeats)[:, None]
        return torch.cat(found).gather(1, chosen.to(images.device))[:, 0] if found else images.new_zeros(0)

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        """Return uniform noise per face that depends on the seed and its place in the data set alone."""
        drawn = [np.random.default_rng([abs(self.seed), row]).random(shape, np.float32) for row in self.rows]
        return torch.from_numpy(np.array(drawn).reshape(-1, *shape)).to(self.images)
