"""Pictures of your own with alpha, pasted before the face."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from interpfer.errors import DataError
from interpfer.occlusion.base import Cover, Scene, occluder
from interpfer.occlusion.objects import SPOTS, TURN
from interpfer.occlusion.placing import RIGID, by_affine, lay, turned
from interpfer.occlusion.relief import Drawing

SIDE = 256
"""Pixels along each side at which a picture is kept."""

WIDTH = (0.9, 1.6)
"""Smallest and largest longer side of a picture on a face, in distances between the eyes."""

ENDINGS = (".png", ".webp", ".tif", ".tiff", ".gif")


@occluder(needs="landmarks", takes_path=True)
def pictures(scene: Scene, argument: str) -> Cover:
    """A picture with alpha out of a file or a folder, before a part of the face."""
    drawings = load_pictures(argument)
    head = by_affine(scene.points, RIGID, scene.size)
    spots = torch.tensor(SPOTS, dtype=torch.float64)[scene.keys.pick(len(SPOTS))].to(head.device)
    draws = scene.keys.uniform(5, offset=1).to(head.device)
    side = torch.where(draws[:, 0] < 0.5, -1.0, 1.0)
    centre = torch.stack([side * spots[:, 0], spots[:, 1]], 1) + 0.2 * (draws[:, 1:3] - 0.5)
    never = torch.zeros(len(head), dtype=torch.bool)
    place = turned(head, centre, 2 * TURN * (draws[:, 3] - 0.5), never)
    width = WIDTH[0] + (WIDTH[1] - WIDTH[0]) * draws[:, 4]
    place = place * (2 / width).to(place)[:, None, None, None]
    return lay(scene, drawings, scene.keys.pick(len(drawings), offset=6), place, head)


@lru_cache(maxsize=8)
def load_pictures(path: str) -> tuple[Drawing, ...]:
    """Return the pictures of a file or a folder, in the order of their names.

    Raises:
        DataError: there is none, or one cannot be read or has no alpha.
    """
    return tuple(Drawing(_read(file), (-1, -1, 1, 1)) for file in picture_files(path))


def picture_files(path: str) -> list[Path]:
    """Return the files of the pictures.

    Raises:
        DataError: there is none.
    """
    place = Path(path)
    files = sorted(each for each in place.iterdir() if each.suffix.lower() in ENDINGS) if place.is_dir() else [place]
    if not path or not files or not files[0].is_file():
        raise DataError(f"occluder file: no picture with alpha at '{path}'; pass file:PATH with a PNG or a folder.")
    return files


def digest_of(path: str) -> str:
    """Return a hash of the contents of the pictures."""
    content = hashlib.sha256()
    for file in picture_files(path):
        content.update(hashlib.sha256(file.read_bytes()).digest())
    return content.hexdigest()[:16]


def _read(file: Path) -> Float[Tensor, "4 h w"]:
    try:
        with Image.open(file) as picture:
            has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
            rgba = np.asarray(picture.convert("RGBA"), np.float32) / 255
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"occluder file: cannot read {file}: {error}.") from error
    if not has_alpha or rgba[..., 3].min() == 1:
        raise DataError(f"occluder file: {file} has no transparent pixel; pass a picture with alpha, such as a PNG.")
    planes = torch.from_numpy(rgba).permute(2, 0, 1)
    planes = torch.cat([planes[:3] * planes[3:], planes[3:]])
    high, wide = planes.shape[1:]
    most = max(high, wide)
    up, left = (most - high) // 2, (most - wide) // 2
    square = F.pad(planes, (left, most - wide - left, up, most - high - up))
    return F.interpolate(square[None], size=(SIDE, SIDE), mode="bilinear", antialias=True)[0].clamp(0, 1)
