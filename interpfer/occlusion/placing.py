"""Where a drawing lies on a face: transforms fitted to landmarks, so that it turns, tilts and stretches with the head.

A drawing is painted once, in the frame of a head: the origin between the eyes, x to the right of the picture and y
down, in distances between the eyes. What differs from face to face is where each pixel of the picture lies in it.
"""

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.datasets.drawn.shape import Identity
from interpfer.models.input import LUMA
from interpfer.occlusion.base import Cover, Scene
from interpfer.occlusion.relief import Drawing
from interpfer.types import CANVAS

NODES = 57
"""Nodes along each side of the canvas at which a spline is evaluated; between them it is linear."""

RIGID = (0, 8, 16, 19, 24, 27, 30, 36, 39, 42, 45, 48, 54)
"""Landmarks that tell where a head is and how it is turned."""

SKIN = ((1, 31), (15, 35), (3, 48), (13, 54), (28, 28), (2, 41), (14, 46))
"""Pairs of landmarks whose middles lie on skin."""

CHUNK = 8
"""Faces that are drawn on at a time."""

Place = Float[Tensor, "n s s 2"]


def head_points(anchors: Sequence[int]) -> Float[Tensor, "k 2"]:
    """Return landmarks of the average face, in the frame of its head."""
    return torch.from_numpy(Identity().landmarks())[list(anchors)]


def by_affine(points: Float[Tensor, "n 68 2"], anchors: Sequence[int], size: int) -> Place:
    """Return where pixels lie in the frame of the head, by the affine transform that fits the landmarks best.

    Args:
        points: on the canvas.
        anchors: landmarks to fit.
        size: side of the pictures.
    """
    own = points[:, list(anchors)].double()
    ones = own.new_ones(*own.shape[:2], 1)
    design = torch.cat([own / CANVAS, ones], -1)
    gram = design.mT @ design
    matrix, _ = torch.linalg.solve_ex(gram, design.mT @ head_points(anchors).to(own))
    x, y = _pixels(size, points.device)
    rows = x[None, None, :, None] * matrix[:, 0, None, None] + y[None, :, None, None] * matrix[:, 1, None, None]
    place: Place = (rows + matrix[:, 2, None, None]).float()
    return place


def by_spline(points: Float[Tensor, "n 68 2"], anchors: Sequence[int], size: int, stiffness: float = 0.02) -> Place:
    """Return where pixels lie in the frame of the head, by a thin-plate spline through the landmarks.

    Args:
        points: on the canvas.
        anchors: landmarks that it passes close to.
        size: side of the pictures.
        stiffness: how far it may miss them in favour of a flatter surface.
    """
    own = points[:, list(anchors)].double() / CANVAS
    n, count = own.shape[:2]
    design = torch.cat([own.new_ones(n, count, 1), own], -1)
    system = own.new_zeros(n, count + 3, count + 3)
    system[:, :count, :count] = _bend(own, own) + stiffness * torch.eye(count).to(own)
    system[:, :count, count:], system[:, count:, :count] = design, design.mT
    aim = F.pad(head_points(anchors).to(own), (0, 0, 0, 3)).expand(n, -1, -1)
    weights, _ = torch.linalg.solve_ex(system, aim)
    at = torch.linspace(0, 1, NODES).to(own)
    nodes = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).view(1, -1, 2).expand(n, -1, -1)
    flat = weights[:, count : count + 1] + nodes @ weights[:, count + 1 :]
    values = (flat + _bend(nodes, own) @ weights[:, :count]).view(n, NODES, NODES, 2).permute(0, 3, 1, 2).float()
    widen = _between_nodes(size, points.device)
    place: Place = (widen @ values @ widen.mT).permute(0, 2, 3, 1)
    return place


def turned(
    place: Place, centre: Float[Tensor, "n 2"], angle: Float[Tensor, " n"], flipped: Bool[Tensor, " n"]
) -> Place:
    """Return where pixels lie in the frame of a thing in front of the head.

    Args:
        place: where they lie in the frame of the head.
        centre: of the thing, in that frame.
        angle: by which it is turned clockwise, in radians.
        flipped: whether its left is its right.
    """
    away = place - centre[:, None, None].to(place)
    cos, sin = (each[:, None, None].to(place) for each in (angle.cos(), angle.sin()))
    x, y = cos * away[..., 0] + sin * away[..., 1], cos * away[..., 1] - sin * away[..., 0]
    return torch.stack([torch.where(flipped[:, None, None].to(place.device), -x, x), y], -1)


def lay(scene: Scene, drawings: Sequence[Drawing], variant: Int[Tensor, " n"], place: Place, head: Place) -> Cover:
    """Lay drawings of one size on faces, in their light; one that takes the colour of the skin takes that of the face.

    Args:
        scene: the faces.
        drawings: variants of what is drawn.
        variant: which of them each face has.
        place: where pixels lie in the frame of the drawing.
        head: where they lie in the frame of the head, along which the light changes.
    """
    drawn = place.flatten(1).isfinite().all(1)
    sheets = torch.stack([each.rgba for each in drawings]).to(place)
    left, top, right, bottom = drawings[0].box
    low, span = place.new_tensor([left, top]), place.new_tensor([right - left, bottom - top])
    grid = (2 * (place - low) / span - 1).nan_to_num(9.0)
    skin, light = _skin(scene)
    tinted = torch.tensor([each.is_skin for each in drawings]).to(place.device)[variant.to(place.device)]
    tint = torch.where(tinted[:, None], skin, 1)[..., None, None]
    colours, alphas = [], []
    for start in range(0, len(place), CHUNK):
        part = slice(start, start + CHUNK)
        own = F.grid_sample(sheets[variant[part].to(place.device)], grid[part], align_corners=False)
        side = (1 + light[part, 1, None, None] * head[part, ..., 0].clamp(-1.5, 1.5)).clamp(0.5, 1.5)
        gain = torch.where(tinted[part, None, None], side, light[part, :1, None] * side)[:, None]
        colours.append(torch.minimum(own[:, :3] * tint[part] * gain, own[:, 3:]))
        alphas.append(own[:, 3])
    whole = drawn[:, None, None]
    colour = torch.where(whole[:, None], torch.cat(colours), 0)
    return Cover(colour, torch.where(whole, torch.cat(alphas), 0), drawn)


def _skin(scene: Scene) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 2"]]:
    """Return the colour of the skin, and the light: its strength and its change to the right."""
    small = F.adaptive_avg_pool2d(scene.images, min(56, scene.images.shape[-1]))
    middle = torch.stack([(scene.points[:, a] + scene.points[:, b]) / 2 for a, b in SKIN], 1)
    grid = (2 * middle / CANVAS - 1).nan_to_num(0).to(small)[:, None]
    spots = F.grid_sample(small, grid, padding_mode="border", align_corners=False)[:, :, 0].mT
    bright = (spots * spots.new_tensor(LUMA)).sum(-1)
    left, right = bright[:, [0, 2, 5]].mean(1), bright[:, [1, 3, 6]].mean(1)
    slope = ((right - left) / (right + left).clamp(min=0.05)).clamp(-0.35, 0.35) * 0.6
    strength = (bright.median(1).values / 0.62).clamp(0.2, 1.2).sqrt()
    return spots.median(1).values, torch.stack([strength, slope], 1)


def _bend(a: Float[Tensor, "n p 2"], b: Float[Tensor, "n q 2"]) -> Float[Tensor, "n p q"]:
    square = (a[:, :, None] - b[:, None]).square().sum(-1)
    return torch.xlogy(square, square)


def _pixels(size: int, device: torch.device) -> tuple[Float[Tensor, " {size}"], Float[Tensor, " {size}"]]:
    """Return the centres of the pixels along each axis, as shares of the canvas."""
    at = (torch.arange(size, dtype=torch.float64, device=device) + 0.5) / size
    return at, at


@cache
def _between_nodes(size: int, device: torch.device) -> Float[Tensor, "{size} 57"]:
    at = (torch.arange(size) + 0.5) / size * (NODES - 1)
    below = at.long().clamp(max=NODES - 2)
    share = at - below
    matrix = torch.zeros(size, NODES)
    matrix[torch.arange(size), below], matrix[torch.arange(size), below + 1] = 1 - share, share
    return matrix.to(device)
