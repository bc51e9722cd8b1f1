"""ADCC: one number of faithfulness out of average drop, coherency and complexity of a map.

After Poppi et al. 2021 (arXiv 2104.10252): a harmonic mean, as in the paper; its published code multiplies 3 by the sum
of the reciprocals. ARCC of Domeniconi et al. 2026 (arXiv 2605.14641) is another composite, whose formula was not found.
The metric ``adcc`` is that of a score; ``measure_adcc`` has its parts, of any images.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interpfer.maps.canvas import normalise
from interpfer.maps.compute import compute_maps
from interpfer.metrics.base import MapBatch, Scores, model_metric
from interpfer.metrics.queries import ModelProbe
from interpfer.metrics.randomisation import predict_classes
from interpfer.models.hooks import hooked
from interpfer.models.model import Model


class Composite(NamedTuple):
    """ADCC of a map and its parts, per image.

    Attributes:
        adcc: 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - average drop)), 0 to 1, higher is better.
        average_drop: part of the class's probability that is lost when the face is multiplied by the map.
        coherency: correlation of the map with that of the multiplied face, from -1..1 to 0..1.
        complexity: mean of the map.
    """

    adcc: Float[Tensor, " n"]
    average_drop: Float[Tensor, " n"]
    coherency: Float[Tensor, " n"]
    complexity: Float[Tensor, " n"]


@model_metric(
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source="Poppi et al. 2021, arXiv 2104.10252",
    difference="the harmonic mean of the paper, not that of its code; the face is multiplied in [0, 1]",
)
def adcc(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Harmonic mean of coherency, 1 - complexity and 1 - average drop of a map and the face times the map (ADCC).

    The map of a baseline stays the same, whatever the face is multiplied by, so that its coherency is 1.
    """
    shown = _at_size(maps, probe.images)
    masked = probe.images * shown[:, None]
    again = shown if probe.again is None else _at_size(probe.again(masked), probe.images)
    whole = probe.once(_whole)
    drop = ((whole - probe.probability(masked)) / whole).clamp(min=0)
    return combine(shown, again, drop.cpu()).adcc


def _at_size(maps: MapBatch, images: Tensor) -> Float[Tensor, "n rows columns"]:
    """Return maps at the size of images, as those that other metrics hide pixels by."""
    size = images.shape[-2:]
    return F.interpolate(maps[:, None].to(images), size=size, mode="bilinear", antialias=True)[:, 0].clamp(0, 1)


def _whole(probe: ModelProbe) -> Scores:
    return probe.probability(probe.images)


def measure_adcc(
    model: Model,
    images: Float[Tensor, "n 3 h w"],
    maps: str | Sequence[str] = ("attention", "gradcam"),
    layers: str | Sequence[str] = "last",
    targets: Tensor | Sequence[int | str] | None = None,
) -> dict[tuple[str, str], Composite]:
    """Return ADCC and its parts per (map, layer) and image; NaN where the map or its correlation is undefined.

    Maps are scaled to 0..1 and enlarged to the images, which are multiplied by them (towards black). The target stays
    that of the whole face.

    Args:
        model: the classifier.
        images: RGB in [0, 1], any size.
        maps: names or groups.
        layers: "last", "all", or names.
        targets: as for ``interpfer.compute_maps``; by default the class predicted for the whole face.
    """
    if targets is None:
        targets = predict_classes(model, images)
    found = {}
    whole = _probabilities(model, images)
    for key, raw in compute_maps(model, images, maps, layers, targets).items():
        shown = _enlarge(raw, images)
        masked = (images * shown[:, None]).nan_to_num()
        again = compute_maps(model, masked, [key[0]], "last" if key[1] == "input" else [key[1]], targets)[key]
        chosen = torch.as_tensor([model.classes.index(t) if isinstance(t, str) else int(t) for t in targets])[:, None]
        before, after = (each.cpu().gather(1, chosen)[:, 0] for each in (whole, _probabilities(model, masked)))
        found[key] = combine(shown, _enlarge(again, images), (1 - after / before).clamp(min=0))
    return found


def combine(
    maps: Float[Tensor, "n h w"], maps_of_masked: Float[Tensor, "n h w"], average_drop: Float[Tensor, " n"]
) -> Composite:
    """Return ADCC of maps.

    Args:
        maps: in 0..1.
        maps_of_masked: those of the faces times the maps.
        average_drop: 0..1.

    Examples:
        >>> maps = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])
        >>> [round(float(each), 4) for each in combine(maps, maps, torch.tensor([0.25]))]
        [0.6923, 0.25, 1.0, 0.5]
    """
    first, second = (each.flatten(1) - each.flatten(1).mean(1, keepdim=True) for each in (maps, maps_of_masked))
    norms = first.norm(dim=1) * second.norm(dim=1)
    correlation = (first * second).sum(1) / norms.where(norms > 0, torch.nan)
    coherency, complexity = ((correlation + 1) / 2).cpu(), maps.mean((1, 2)).cpu()
    drop = average_drop.where(complexity.isfinite(), torch.nan)
    composite = 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop))
    return Composite(composite, drop, coherency, complexity)


def _enlarge(raw: Tensor, images: Tensor) -> Tensor:
    return F.interpolate(normalise(raw)[0][:, None].float(), size=images.shape[-2:], mode="bilinear")[:, 0].clamp(0, 1)


def _probabilities(model: Model, images: Tensor) -> Tensor:
    with hooked(model.module, {}), torch.no_grad():
        return model.probabilities(model.logits(model.preprocess(images))).double()
