"""Resizing of raw maps from the grid of a layer to the canvas, by the rules of a protocol.

Resizing is linear and separable: one small matrix for the rows and one for the columns.
"""

from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.types import CANVAS

PROTOCOLS = ("paper", "corrected")

RELATIVE_EPS = 1e-6
"""A map is constant where its range is at most this share of its largest magnitude."""


def conventions(protocol: str) -> dict[str, str]:
    """Return how maps get to the canvas, where libraries differ, for run.json."""
    slip = " with align_corners and antialias" if protocol == "paper" else ", align_corners false"
    return {
        "cam": "signed, ReLU only where its definition has one; min-max per image once, at the layer's grid; "
        "enlarged bilinearly, align_corners false; clamped to [0, 1]",
        "attention": f"enlarged bilinearly{slip}; clamped to its own range; raised by its minimum where negative",
        "undefined": f"not finite, or a range of at most {RELATIVE_EPS:g} of the largest magnitude",
    }


def to_canvas(
    raw: Float[Tensor, "n gh gw"], attention: bool, protocol: str = "paper", size: int = CANVAS
) -> tuple[Float[Tensor, "n {size} {size}"], Bool[Tensor, " n"]]:
    """Return maps at ``size`` x ``size`` and whether each is defined; undefined ones are NaN.

    Attention keeps its range and is shifted up by its minimum where that is negative; protocol ``paper`` resizes it
    with align_corners and antialias, as the reference does, which shifts it; ``corrected`` does neither. A CAM is
    min-max normalised at its grid first. (Belharbi et al. 2024, arXiv 2402.00281.)

    Args:
        raw: (n, gh, gw) maps at a layer's grid.
        attention: whether the maps are attention, else CAMs.
        protocol: "paper" or "corrected".
        size: side of the canvas.

    Examples:
        >>> maps, is_defined = to_canvas(torch.tensor([[[0.0, 4.0]], [[3.0, 3.0]]]), attention=False, size=4)
        >>> maps[0, 0].tolist()
        [0.0, 0.25, 0.75, 1.0]
        >>> is_defined.tolist()
        [True, False]
    """
    if attention:
        defined = normalise(raw)[1]
        raw = raw.where(defined[:, None, None], torch.nan)  # here, where maps are small; it spreads
        return enlarge_attention(raw, protocol, size) - raw.amin((1, 2), keepdim=True).clamp(max=0), defined
    small, defined = normalise(raw)
    return resize(small, size).clamp_(0, 1), defined


def enlarge_attention(
    raw: Float[Tensor, "n gh gw"], protocol: str = "paper", size: int = CANVAS
) -> Float[Tensor, "n {size} {size}"]:
    """Return attention at ``size`` x ``size`` within its own range, not shifted."""
    large = resize(raw, size, reference=protocol == "paper")
    return torch.minimum(torch.maximum(large, raw.amin((1, 2), keepdim=True)), raw.amax((1, 2), keepdim=True))


def normalise(raw: Float[Tensor, "n h w"]) -> tuple[Float[Tensor, "n h w"], Bool[Tensor, " n"]]:
    """Stretch each map to [0, 1]; a constant or non-finite map is undefined and NaN.

    Examples:
        >>> normalise(torch.tensor([[[1.0, 3.0]], [[2.0, 2.0]]]))
        (tensor([[[0., 1.]],
        <BLANKLINE>
                [[nan, nan]]]), tensor([ True, False]))
    """
    low, high = raw.amin((1, 2), keepdim=True), raw.amax((1, 2), keepdim=True)
    span = high - low
    defined = span > RELATIVE_EPS * torch.maximum(low.abs(), high.abs())
    defined &= span.isfinite()
    return (raw - low.where(defined, torch.nan)) / span.where(defined, 1), defined[:, 0, 0]


def resize(maps: Float[Tensor, "n h w"], size: int, reference: bool = False) -> Float[Tensor, "n {size} {size}"]:
    """Resize maps bilinearly, or as the reference resizes attention (align_corners and antialias)."""
    rows = _matrix(maps.shape[1], size, reference, maps.device)
    columns = _matrix(maps.shape[2], size, reference, maps.device)
    return rows @ (maps @ columns.mT)


def shorten(
    maps: Float[Tensor, "n gh gw"], heat: Float[Tensor, "n size size"], reference: bool = False
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "n p"]]:
    """Return short vectors with the lengths and the inner products of the resized maps and of the heatmaps.

    Resizing multiplies rows by Q U and columns likewise, where Q is orthonormal: the length of a resized map is that of
    U a U^T, and its product with a heatmap depends on Q^T h Q alone. The rest of a heatmap is one further number.

    Args:
        maps: (n, gh, gw) maps at a layer's grid, smaller than the heatmaps.
        heat: (n, S, S) heatmaps at the size to which the maps would be resized.
        reference: as for ``resize``.
    """
    (rows, tall), (columns, wide) = (_factors(n, heat.shape[-1], reference, maps.device) for n in maps.shape[1:])
    inside = (rows.mT.to(heat) @ (heat @ columns.to(heat))).flatten(1)
    outside = (torch.linalg.vecdot(heat.flatten(1), heat.flatten(1)) - torch.linalg.vecdot(inside, inside)).clamp(min=0)
    short = (tall.to(maps) @ maps @ wide.mT.to(maps)).flatten(1)
    return F.pad(short, (0, 1)), torch.cat([inside, outside.sqrt()[:, None]], 1)


@cache
def _factors(
    small: int, large: int, reference: bool, device: torch.device
) -> tuple[Float[Tensor, "{large} {small}"], Float[Tensor, "{small} {small}"]]:
    """Return what ``_matrix`` returns as an orthonormal and a triangular matrix."""
    q, u = torch.linalg.qr(_matrix(small, large, reference, device).double())
    return q.float(), u.float()


@cache
def _matrix(small: int, large: int, reference: bool, device: torch.device) -> Float[Tensor, "{large} {small}"]:
    eye = torch.eye(small)[None, None]
    return F.interpolate(
        eye, size=(large, small), mode="bilinear", align_corners=reference, antialias=reference
    )[0, 0].to(device)  # fmt: skip
