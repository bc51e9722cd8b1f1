"""Eigen smoothing of pytorch-grad-cam, with its sign fixed."""

import torch
from torch import Tensor

from interpfer.maps.activation import project_on_first
from interpfer.maps.refiners.base import TERMS, Seen, refiner


@refiner(source="pytorch-grad-cam, eigen_smooth, whose sign is arbitrary", needs=(TERMS,))
def eigen(maps: Tensor, seen: Seen) -> Tensor:
    """ReLU of the first principal component of the map's summands, its sign that of its correlation with the map."""
    assert seen.terms is not None
    component = project_on_first(seen.terms, centred=True)
    if maps.shape != component.shape:
        maps = torch.nn.functional.interpolate(maps[:, None], size=tuple(component.shape[1:]), mode="area")[:, 0]
    centred = maps - maps.mean((1, 2), keepdim=True)
    sign = (centred * component).sum((1, 2), keepdim=True)
    return (component * torch.where(sign < 0, -1, 1)).relu()
