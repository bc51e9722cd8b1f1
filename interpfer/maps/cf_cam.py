"""CF-CAM: dominant channels are weighted one by one, the others in clusters.

In the paper, two steps depend on the scale of the gradients, which are so small that neither has an effect: the range
Gaussian is constant and the softmax uniform to 0.1 %. Here gradients are divided by the largest of the image before
filtering, and weights are standardised (mean 0, standard deviation 1) before the softmax.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.maps.base import RawMap, layer_map
from interpfer.maps.capture import LayerCapture

SPATIAL_SIGMA, RANGE_SIGMA = 5.0, 0.1
ROWS = 1024
"""Number of positions filtered at a time."""


@layer_map(source="CF-CAM 2025, arXiv 2504.00060; gradients and weights scaled", gradient=True, clips=False)
def cf_cam(layer: LayerCapture) -> RawMap:
    """ReLU of dominant channels weighted by their mean gradient and clusters of the others by their filtered one."""
    assert layer.gradient is not None
    pairs = zip(layer.activation, layer.gradient, strict=True)
    return torch.stack([_map_of_image(activation, gradient) for activation, gradient in pairs])


def _map_of_image(activation: Float[Tensor, "c gh gw"], gradient: Float[Tensor, "c gh gw"]) -> Float[Tensor, "gh gw"]:
    scale = gradient.abs().max()
    if not (scale > 0 and activation.isfinite().all() and scale.isfinite()):
        return torch.full_like(activation[0], torch.nan)
    gradient = gradient / scale
    size = activation.flatten(1).norm(dim=1)
    dominant = size >= size.quantile(0.75)
    maps, weights = [activation[dominant]], [gradient[dominant].mean((1, 2))]
    others = activation[~dominant]
    if len(others) > 1:
        labels = _clusters(others.flatten(1)).to(activation.device)
        for label in range(int(labels.max()) + 1):
            members = labels == label
            maps.append(others[members].mean(0)[None])
            weights.append(_bilateral(gradient[~dominant][members].mean(0)).mean()[None])
    weight = torch.cat(weights)
    weight = (weight - weight.mean()) / weight.std(correction=0).clamp(min=1e-12)
    return torch.einsum("c,chw->hw", weight.softmax(0), torch.cat(maps)).relu()


def _clusters(points: Float[Tensor, "c p"]) -> Tensor:
    """Return the cluster of each channel, -1 for noise."""
    from sklearn.cluster import DBSCAN

    condensed = torch.pdist(points)
    eps = float(condensed.sort().values[int(0.25 * (len(condensed) - 1))])
    square = points.new_zeros(len(points), len(points))
    upper = torch.triu_indices(len(points), len(points), 1, device=points.device)
    square[upper[0], upper[1]] = condensed
    square = (square + square.mT).cpu()
    least = max(2, round(0.05 * len(points)))
    fitted = DBSCAN(eps=max(eps, 1e-12), min_samples=least, metric="precomputed").fit(square.numpy())
    return torch.from_numpy(fitted.labels_)


def _bilateral(picture: Float[Tensor, "gh gw"]) -> Float[Tensor, " p"]:
    """Average each position with its neighbours, near ones (in place and in value) more."""
    height, width = picture.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([rows.flatten(), columns.flatten()], 1).to(picture)
    value = picture.flatten()
    filtered = []
    for start in range(0, len(value), ROWS):
        part = slice(start, start + ROWS)
        distance = (place[part, None] - place).square().sum(2) / (2 * SPATIAL_SIGMA**2)
        distance = distance + (value[part, None] - value).square() / (2 * RANGE_SIGMA**2)
        kernel = (-distance).exp()
        filtered.append(kernel @ value / kernel.sum(1))
    return torch.cat(filtered)
