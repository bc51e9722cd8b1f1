"""Squares of a 14 x 14 grid that a map ranks first."""

import torch.nn.functional as F

from interpfer.errors import InterpferError
from interpfer.occlusion.base import Cover, Scene, grey_cover, occluder
from interpfer.occlusion.patches import GRID, hide_first


@occluder(needs="map", share=0.3)
def guided(scene: Scene, argument: str) -> Cover:
    """Squares of a 14 x 14 grid that a map of the clean face ranks first; if the map is right, accuracy falls fast."""
    if scene.ranking is None:
        raise InterpferError("occluder guided needs a map: pass --occlude-map NAME.")
    drawn = scene.ranking.flatten(1).isfinite().all(1)
    cells = F.adaptive_avg_pool2d(scene.ranking.nan_to_num(0)[:, None], GRID).flatten(1)
    return grey_cover(hide_first(cells, float(argument), scene.size), drawn)
