"""Faces on which metrics run the model again, with altered pixels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.models.input import InputSpec

CPU_IMAGES, ACCELERATOR_IMAGES = 32, 256
"""Images per forward, about: few on a CPU, whose cache should hold their activations."""

Images = Float[Tensor, "n 3 s s"]


def zero_color(spec: InputSpec) -> tuple[float, float, float]:
    """Return red, green and blue, in [0, 1], of the colour that a model's normalisation turns into 0.

    Examples:
        >>> zero_color(InputSpec(224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)))
        (0.485, 0.456, 0.406)
        >>> zero_color(InputSpec(48, "gray", scale=255.0, mean=(127.5,)))
        (0.5, 0.5, 0.5)
    """
    values = [value / spec.scale for value in spec.mean]
    red, green, blue = values * 3 if len(values) == 1 else values[:: -1 if spec.color == "bgr" else 1]
    return red, green, blue


@dataclass(frozen=True)
class ModelProbe:
    """Faces on which a model can be run with altered pixels.

    Attributes:
        probabilities: function from (n, 3, s, s) images to (n, k) class probabilities.
        images: (n, 3, s, s) RGB in [0, 1] at the model's input size.
        heat: (n, S, S) AU heatmaps, NaN where undefined.
        targets: (n,) class index that maps explain, -1 for none.
        rows: position of each face in the data set.
        seed: random seed.
        zero: red, green and blue, in [0, 1], of the colour that is 0 in the model's normalised input.
        ignore: (n, S, S) pixels of the heatmaps that count neither way; None for none.
        again: function from altered images to their maps of the same kind, (n, S, S) in [0, 1], for the same targets;
            None for a map that does not depend on the picture.
        results: results of ``once``, by function.

    Examples:
        A model whose probability of the first class is the mean brightness:

        >>> def probabilities(images):
        ...     bright = images.mean((1, 2, 3))
        ...     return torch.stack([bright, 1 - bright], 1)
        >>> probe = ModelProbe(
        ...     probabilities, torch.ones(2, 3, 8, 8), torch.ones(2, 8, 8), torch.tensor([0, 1]), (0, 1), 0
        ... )
        >>> probe.probability(probe.images).tolist()
        [1.0, 0.0]
    """

    probabilities: Callable[[Images], Float[Tensor, "n k"]]
    images: Images
    heat: Float[Tensor, "n h w"]
    targets: Int[Tensor, " n"]
    rows: tuple[int, ...]
    seed: int
    zero: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ignore: Bool[Tensor, "n h w"] | None = None
    again: Callable[[Images], Float[Tensor, "n h w"]] | None = field(default=None, repr=False, compare=False)
    results: dict[Any, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def images_per_forward(self) -> int:
        """Images per forward, about."""
        return CPU_IMAGES if self.images.device.type == "cpu" else ACCELERATOR_IMAGES

    def once(self, function: Callable[["ModelProbe"], Tensor]) -> Tensor:
        """Return a function's result for this probe, computed once and the same for all maps."""
        if function not in self.results:
            self.results[function] = function(self)
        return self.results[function]

    def probability(self, images: Images) -> Float[Tensor, " n"]:
        """Return the probability of each face's target for altered images.

        Args:
            images: (m n, 3, s, s): all n faces in a first variant, then all in the next.

        Returns:
            (m n,) probabilities in the same order.
        """
        repeats = len(images) // max(len(self.targets), 1)
        batches = [self.probabilities(part) for part in torch.split(images, self.images_per_forward)]
        chosen = self.targets.clamp(min=0).repeat(repeats)[:, None]
        return torch.cat(batches).gather(1, chosen.to(images.device))[:, 0] if batches else images.new_zeros(0)

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        """Return uniform noise in [0, 1) per face that depends only on the seed and its position in the data set."""
        noise = [np.random.default_rng([abs(self.seed), row]).random(shape, np.float32) for row in self.rows]
        return torch.from_numpy(np.array(noise).reshape(-1, *shape)).to(self.images)
