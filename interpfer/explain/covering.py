"""Covers the face of a picture before it is explained."""

from collections.abc import Sequence

import torch
from torch import Tensor

from interpfer.errors import DataError, InterpferError
from interpfer.explain.options import ExplainOptions
from interpfer.occlusion.apply import occlude
from interpfer.occlusion.kinds import parse_occlusion


def cover_views(options: ExplainOptions, name: str, views: Sequence[Tensor], points: Tensor) -> list[Tensor]:
    """Return views of one face, such as what the network sees and what is shown, with the same cover.

    Args:
        options: what covers it, if anything, and the seed.
        name: of the picture, on which the cover depends.
        views: (1, 3, s, s) RGB in [0, 1], of any sizes.
        points: (1, 68, 2) landmarks on the canvas.

    Raises:
        InterpferError: the occluder needs a truth or a map.
        DataError: no face was found to draw on.
    """
    if options.occlude is None:
        return list(views)
    occlusion = parse_occlusion(options.occlude)
    if occlusion.occluder.needs in ("truth", "map"):
        raise InterpferError(
            f"occluder {occlusion.kind} needs a {occlusion.occluder.needs}: choose another for a picture."
        )
    covered = [occlude(occlusion, each, points.to(each), [name], options.seed) for each in views]
    if not bool(torch.cat([each.drawn for each in covered]).all()):
        raise DataError(
            f"{name}: no face was found to draw {occlusion.name} on; pass --landmarks, or another occluder."
        )
    return [each.images for each in covered]
