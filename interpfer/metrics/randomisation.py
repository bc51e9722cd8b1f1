"""Randomisation: does a map depend on the weights? After Adebayo et al. 2018 (arXiv 1810.03292)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.canvas import normalise
from interpfer.maps.compute import compute_maps
from interpfer.maps.engine import Key
from interpfer.metrics.ranking import spearman
from interpfer.models.hooks import hooked
from interpfer.models.model import Model

NETWORKS = 5
"""Number of independent random networks; they form 10 pairs."""

LEVEL = 0.95
"""Quantile of the correlations between random networks that is the threshold."""

RESETS = ("reset_parameters", "_reset_parameters")
"""Methods with which modules of torch draw their initial parameters, and batch normalisation its statistics."""


@contextmanager
def weights_restored(module: nn.Module) -> Iterator[None]:
    """Restore all weights and buffers at the end, also when something raises."""
    original = {name: value.detach().clone() for name, value in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(original)


def reinitialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the own parameters of a module anew, from the distribution of its initialiser.

    Running statistics of batch normalisation return to mean 0 and variance 1, its weight to 1 and its bias to 0. Of a
    module that cannot reset itself, as one with bare parameters, the entries of each parameter are permuted instead.

    Args:
        module: the module; its children are left alone.
        generator: source of randomness; the global generators are left as they were.

    Examples:
        >>> norm = nn.BatchNorm2d(1)
        >>> _ = norm.running_mean.fill_(7)
        >>> reinitialise(norm, torch.Generator().manual_seed(0))
        >>> norm.running_mean
        tensor([0.])
    """
    reset = _find_reset(module)
    if reset is None:
        for parameter in module.parameters(recurse=False):
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.data = parameter.data.flatten()[order].view_as(parameter)
        return
    seed = int(torch.randint(2**62, (), generator=generator))
    devices = {value.device.index for value in module.parameters(recurse=False) if value.is_cuda}
    with torch.random.fork_rng([device for device in devices if device is not None]), torch.no_grad():
        torch.manual_seed(seed)
        reset()


def permuted_modules(model: Model) -> tuple[str, ...]:
    """Return the names of the modules whose parameters are permuted, since they cannot be drawn anew."""
    names = {module: name for name, module in model.module.named_modules()}
    return tuple(names[each] or type(each).__name__ for each in _own_weights(model) if _find_reset(each) is None)


@contextmanager
def randomised(model: Model, seed: int = 0) -> Iterator[None]:
    """Reinitialise all weights of a model within a ``with`` block."""
    generator = torch.Generator().manual_seed(seed)
    with weights_restored(model.module):
        for module in _own_weights(model):
            reinitialise(module, generator)
        yield


def _find_reset(module: nn.Module) -> Any:
    return next((getattr(module, name) for name in RESETS if callable(getattr(module, name, None))), None)


def _own_weights(model: Model) -> list[nn.Module]:
    """Return the modules that have weights or running statistics of their own, from the output to the input.

    Raises:
        ModelError: there are none.
    """
    modules = [
        item
        for item in model.module.modules()
        if next(item.parameters(recurse=False), None) is not None or getattr(item, "running_mean", None) is not None
    ]
    if not modules:
        raise ModelError(f"model {model.name} has no accessible weights to randomise; leave out --sanity.")
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
    """Reinitialise the weights from the output down to the input, and measure how similar each map stays.

    Args:
        model: the classifier; restored afterwards.
        images: RGB in [0, 1], any size.
        maps: names or groups.
        layers: "last", "all", or names.
        targets: as for ``interpfer.compute_maps``; by default the class that the intact model predicts.
        stages: largest number of steps.
        seed: random seed of the new weights.

    Returns:
        One row per stage, map and layer: ``randomised``, the share of modules with new weights; ``similarity``, the
        mean Spearman correlation with the map of the intact model, NaN where a map is undefined. The similarity of a
        map that depends on the weights falls to that of two independent random networks.

    Raises:
        ModelError: the model has no accessible weights.
    """
    modules = _own_weights(model)
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
                reinitialise(module, generator)
            if stage and upto == done:
                continue
            done = upto
            after = compute_maps(model, images, maps, layers, targets)
            for (name, layer), raw in after.items():
                similarity = rank_similarity(raw, before[name, layer]).nanmean().item()
                rows.append((stage, done / len(modules), name, layer, similarity))
    return pd.DataFrame(rows, columns=["stage", "randomised", "map", "layer", "similarity"])


class RandomComparison(NamedTuple):
    """How a map of the trained network resembles those of random networks, on the same images and classes.

    Attributes:
        similarity: mean Spearman correlation with the maps of the random networks; NaN where undefined.
        pairs: mean correlation over the images of each pair of random networks, without undefined ones.
    """

    similarity: float
    pairs: tuple[float, ...]

    @property
    def threshold(self) -> float:
        """The ``LEVEL`` quantile of the pairs; NaN without any."""
        return float(np.quantile(self.pairs, LEVEL)) if self.pairs else float("nan")


def compute_random_maps(
    model: Model,
    images: Float[Tensor, "n 3 h w"],
    maps: str | Sequence[str],
    layers: str | Sequence[str],
    targets: Tensor | Sequence[int | str] | None,
    networks: int = NETWORKS,
    seed: int = 0,
) -> list[dict[Key, Float[Tensor, "n gh gw"]]]:
    """Return the maps of independently reinitialised networks; the seeds of their weights count up from ``seed``.

    Arguments are those of ``cascading_randomisation``.
    """
    if targets is None:
        targets = predict_classes(model, images)
    drawn = []
    for network in range(networks):
        with randomised(model, seed + network):
            drawn.append(compute_maps(model, images, maps, layers, targets, seed=seed))
    return drawn


def compare_random_maps(
    trained: Mapping[Key, Tensor], drawn: Sequence[Mapping[Key, Tensor]]
) -> dict[Key, RandomComparison]:
    """Compare the maps of a trained network with those of random networks, and those with each other.

    Args:
        trained: (map, layer) -> (n, gh, gw) maps.
        drawn: the same of each random network.

    Examples:
        >>> slope = torch.arange(9.0).reshape(1, 3, 3)
        >>> one, two, three = ({("gradcam", "last"): each} for each in (slope, -slope, slope.mT))
        >>> comparison = compare_random_maps(one, [two, three])["gradcam", "last"]
        >>> round(comparison.similarity, 4), round(comparison.threshold, 4)  # -1 and 0.6; -0.6
        (-0.2, -0.6)
    """
    comparisons = {}
    for key, raw in trained.items():
        similarities = [_mean_similarity(raw, other[key]) for other in drawn if key in other]
        pairs = [_mean_similarity(a[key], b[key]) for a, b in combinations(drawn, 2) if key in a and key in b]
        comparisons[key] = RandomComparison(
            float(np.nanmean(similarities)) if np.isfinite(similarities).any() else float("nan"),
            tuple(value for value in pairs if np.isfinite(value)),
        )
    return comparisons


def _mean_similarity(a: Tensor, b: Tensor) -> float:
    return float(rank_similarity(a, b).double().nanmean())


def predict_classes(model: Model, images: Float[Tensor, "n 3 h w"]) -> Tensor:
    """Return the predicted output of each image."""
    with hooked(model.module, {}), torch.no_grad():
        return model.logits(model.preprocess(images)).argmax(1)


def rank_similarity(a: Float[Tensor, "n h w"], b: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Return the Spearman correlation of each pair of raw maps; NaN where one is undefined."""
    return spearman(normalise(a)[0], normalise(b)[0])
