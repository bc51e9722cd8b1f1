"""Sanity checks of a map: does it depend on the weights, and is it stable under a little noise?

After Adebayo et al. 2018 (arXiv 1810.03292) and Yeh et al. 2019 (arXiv 1901.09392).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.maps.canvas import normalise
from interpfer.maps.compute import compute_maps
from interpfer.metrics.ranking import spearman
from interpfer.models.hooks import hooked
from interpfer.models.model import Model

NOISE = 0.02
"""Standard deviation of input noise, for images in [0, 1]."""


@contextmanager
def weights_restored(module: nn.Module) -> Iterator[None]:
    """Restore all weights at the end, also when something raises."""
    original = {name: value.detach().clone() for name, value in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(original)


def shuffle_weights(module: nn.Module, generator: torch.Generator) -> None:
    """Permute the entries of each own parameter of a module in place: the distribution stays, their order is lost."""
    for parameter in module.parameters(recurse=False):
        order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
        parameter.data = parameter.data.flatten()[order].view_as(parameter)


@contextmanager
def shuffled(model: Model, seed: int = 0) -> Iterator[None]:
    """Shuffle all weights of a model within a ``with`` block."""
    generator = torch.Generator().manual_seed(seed)
    with weights_restored(model.module):
        for module in _parametrised(model):
            shuffle_weights(module, generator)
        yield


def _parametrised(model: Model) -> list[nn.Module]:
    """Return the modules that have weights of their own, from the output to the input."""
    modules = [item for item in model.module.modules() if next(item.parameters(recurse=False), None) is not None]
    return modules[::-1]


def cascading_randomisation(
    model: Model,
    images: Float[Tensor, "n 3 h w"],
    maps: str | Sequence[str] = ("attention", "gradcam"),
    layers: str | Sequence[str] = "last",
    targets: Tensor | Sequence[int | str] | None = None,
    stages: int = 8,
    seed: int = 0,
) -> pd.DataFrame:
    """Shuffle the weights from the output down to the input, and measure how similar each map stays.

    Args:
        model: the classifier; restored afterwards.
        images: RGB in [0, 1], any size.
        maps: names or groups.
        layers: "last", "all", or names.
        targets: as for ``interpfer.compute_maps``; by default the class that the intact model predicts.
        stages: largest number of steps.
        seed: random seed of the shuffling.

    Returns:
        One row per stage, map and layer: ``shuffled``, the share of modules with shuffled weights; ``similarity``,
        the mean Spearman correlation with the map of the intact model, NaN where a map is undefined. The similarity of
        a map that depends on the weights falls towards 0.
    """
    modules = _parametrised(model)
    generator = torch.Generator().manual_seed(seed)
    if targets is None:
        targets = _predicted(model, images)
    before = compute_maps(model, images, maps, layers, targets)
    rows = []
    with weights_restored(model.module):
        done = 0
        for stage in range(stages + 1):
            upto = round(len(modules) * stage / stages)
            for module in modules[done:upto]:
                shuffle_weights(module, generator)
            if stage and upto == done:
                continue
            done = upto
            after = compute_maps(model, images, maps, layers, targets)
            for (name, layer), raw in after.items():
                similarity = _similarity(raw, before[name, layer]).nanmean().item()
                rows.append((stage, done / len(modules), name, layer, similarity))
    return pd.DataFrame(rows, columns=["stage", "shuffled", "map", "layer", "similarity"])


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
        targets = _predicted(model, images)
    before = compute_maps(model, images, maps, layers, targets)
    largest = {key: torch.zeros(len(images), device=raw.device) for key, raw in before.items()}
    for _ in range(draws):
        change = torch.randn(images.shape, generator=generator).to(images) * noise
        after = compute_maps(model, (images + change).clamp(0, 1), maps, layers, targets)
        for key, raw in after.items():
            largest[key] = torch.maximum(largest[key], 1 - _similarity(raw, before[key]))
    return largest


def _predicted(model: Model, images: Float[Tensor, "n 3 h w"]) -> Tensor:
    with hooked(model.module, {}), torch.no_grad():
        return model.logits(model.preprocess(images)).argmax(1)


def _similarity(a: Float[Tensor, "n h w"], b: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    return spearman(normalise(a)[0], normalise(b)[0])
