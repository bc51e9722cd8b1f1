"""Randomisation: does a map depend on the weights? After Adebayo et al. 2018 (arXiv 1810.03292)."""

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
        targets = predict_classes(model, images)
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
                similarity = rank_similarity(raw, before[name, layer]).nanmean().item()
                rows.append((stage, done / len(modules), name, layer, similarity))
    return pd.DataFrame(rows, columns=["stage", "shuffled", "map", "layer", "similarity"])


def predict_classes(model: Model, images: Float[Tensor, "n 3 h w"]) -> Tensor:
    """Return the predicted output of each image."""
    with hooked(model.module, {}), torch.no_grad():
        return model.logits(model.preprocess(images)).argmax(1)


def rank_similarity(a: Float[Tensor, "n h w"], b: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Return the Spearman correlation of each pair of raw maps; NaN where one is undefined."""
    return spearman(normalise(a)[0], normalise(b)[0])
