"""Augmentations of a batch: those of pixels and landmarks together, those of pixels alone, and mixtures of faces.

Rotation, crop and mirroring are one affine map per face, so that an image is sampled once. The heatmap is drawn from
the moved landmarks afterwards, and so stays exact. The generator passed in is the only source of randomness.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from interpfer.finetuning.options import FinetuneOptions, check_fields
from interpfer.landmarks.alignment import compose_transforms, invert_transform, transform_points
from interpfer.landmarks.points import MIRRORED
from interpfer.models.input import LUMA
from interpfer.truth.base import Truth
from interpfer.types import CANVAS, Landmarks, Placement
from interpfer.validation import require_range


@dataclass(frozen=True)
class Augment:
    """How training images are changed; probabilities per face.

    Attributes:
        flip: probability of mirroring.
        degrees: largest rotation to either side.
        rotate: probability of rotation.
        crop: smallest share of the image's area that a crop keeps; 1 for no crop.
        shift: largest shift of an image that is not cropped, in pixels of the canvas.
        grey: probability of a grey image.
        jitter: largest relative change of brightness, contrast and saturation.
        jitter_chance: probability of such a change.
        erase: probability of a rectangle of noise.
        cutmix: probability that a batch is mixed by rectangles (Yun et al. 2019, arXiv 1905.04899, its beta 1).
        mixup: probability that a batch is mixed by overlay (Zhang et al. 2018, arXiv 1710.09412).
    """

    flip: float = 0.5
    degrees: float = 6.0
    rotate: float = 0.5
    crop: float = 0.8
    shift: float = 0.0
    grey: float = 0.0
    jitter: float = 0.0
    jitter_chance: float = 0.8
    erase: float = 0.0
    cutmix: float = FinetuneOptions.cutmix
    mixup: float = FinetuneOptions.mixup

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("flip", "rotate", "grey", "jitter_chance", "erase"):
            require_range(f"augmentation: {name.replace('_', ' ')}", getattr(self, name), 0, 1)
        require_range("augmentation: crop", self.crop, above=0, high=1)
        require_range("cutmix + mixup", self.cutmix + self.mixup, 0, 1)


AUGMENTS: Mapping[str, Augment] = {
    "none": Augment(flip=0, rotate=0, crop=1),
    "flip": Augment(rotate=0, crop=1),
    "light": Augment(),
    "paper": Augment(grey=0.2, jitter=0.4, erase=0.5),
}
"""Sets of augmentations; ``paper`` is that of Belharbi et al. 2024."""


def augment_geometry(
    images: Float[Tensor, "n 3 l l"],
    landmarks: Landmarks,
    size: int,
    augment: Augment,
    random: Generator,
) -> tuple[Float[Tensor, "n 3 {size} {size}"], Landmarks, Bool[Tensor, " n"]]:
    """Rotate, crop and mirror images with their landmarks.

    Args:
        images: (n, 3, l, l) of any size.
        landmarks: on the canvas, on any device.
        size: side of the images returned.
        augment: strength of each augmentation.
        random: generator on the CPU.

    Returns:
        Images, landmarks on the canvas in iBUG order with where the pictures lie now, and which faces are mirrored.
    """
    transform, flipped = draw_transforms(len(images), augment, random)
    warped = warp_batch(images, transform, size)
    points, placement = landmarks.points, landmarks.placement
    moved = transform_points(points, transform.to(points.device))
    swapped = moved[:, list(MIRRORED)]
    moved = torch.where(flipped.to(points.device)[:, None, None], swapped, moved)
    if placement is not None:
        placement = Placement(compose_transforms(transform, placement.transforms), placement.sizes)
    return warped, Landmarks.of(moved, landmarks.notes, placement), flipped


def draw_transforms(n: int, augment: Augment, random: Generator) -> tuple[Float[Tensor, "n 2 3"], Bool[Tensor, " n"]]:
    """Return affine maps from pixels of the canvas to pixels of the augmented canvas, and which of them mirror."""
    draws = torch.rand(n, 7, generator=random, dtype=torch.float64)
    flipped = draws[:, 0] < augment.flip
    angle = torch.deg2rad((2 * draws[:, 1] - 1) * augment.degrees) * (draws[:, 2] < augment.rotate)
    side = (augment.crop + (1 - augment.crop) * draws[:, 3]).sqrt()
    margin = (1 - side) * CANVAS / 2
    centre = (2 * draws[:, 4:6] - 1) * (margin[:, None] + augment.shift)
    mirror = torch.where(flipped, -1.0, 1.0).double()
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([mirror * cos, -mirror * sin], -1), torch.stack([sin, cos], -1)], 1)
    turn = turn / side[:, None, None]
    middle = torch.full((n, 2), CANVAS / 2, dtype=torch.float64)
    offset = middle - (turn @ middle[..., None])[..., 0] - centre / side[:, None]
    return torch.cat([turn, offset[..., None]], 2), flipped


def warp_batch(
    images: Float[Tensor, "n 3 l l"], transform: Float[Tensor, "n 2 3"], size: int
) -> Float[Tensor, "n 3 {size} {size}"]:
    """Warp images by affine maps of the canvas (bilinear); pixels from outside repeat the edge."""
    back = invert_transform(transform)
    middle = CANVAS / 2
    shift = (back[..., :2].sum(-1) * middle + back[..., 2] - middle) / middle
    theta = torch.cat([back[..., :2], shift[..., None]], 2).to(images)
    grid = F.affine_grid(theta, [len(images), 3, size, size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def augment_pixels(images: Float[Tensor, "n 3 s s"], augment: Augment, random: Generator) -> Float[Tensor, "n 3 s s"]:
    """Change colours and erase rectangles, drawn per face."""
    n, _, size, _ = images.shape
    draws = torch.rand(n, 9, generator=random).to(images.device)
    luma = images.new_tensor(LUMA)[:, None, None]
    if augment.jitter:
        amount = augment.jitter * (draws[:, 0] < augment.jitter_chance)
        bright, contrast, colour = (1 + (2 * draws[:, 1 + i] - 1) * amount for i in range(3))
        images = images * bright[:, None, None, None]
        grey = (images * luma).sum(1, keepdim=True)
        images = torch.lerp(grey.mean((2, 3), keepdim=True), images, contrast[:, None, None, None])
        images = torch.lerp((images * luma).sum(1, keepdim=True), images, colour[:, None, None, None]).clamp(0, 1)
    if augment.grey:
        grey = (images * luma).sum(1, keepdim=True).expand_as(images)
        images = torch.where((draws[:, 4] < augment.grey)[:, None, None, None], grey, images)
    if augment.erase:
        area = 0.02 + 0.31 * draws[:, 5]
        aspect = torch.exp((2 * draws[:, 6] - 1) * 1.2)
        high, wide = ((area * ratio).sqrt().clamp(max=0.95) for ratio in (aspect, 1 / aspect))
        top, left = (1 - high) * draws[:, 7], (1 - wide) * draws[:, 8]
        box = rectangles(top, left, high, wide, size)
        erased = torch.rand(n, generator=random).to(images.device) < augment.erase
        noise = torch.rand(images.shape, generator=random).to(images)
        images = torch.where((box & erased[:, None, None])[:, None], noise, images)
    return images


def rectangles(top: Tensor, left: Tensor, high: Tensor, wide: Tensor, size: int) -> Bool[Tensor, "n {size} {size}"]:
    """Return which pixels lie in a rectangle per face, whose place and size are shares of the side."""
    place = (torch.arange(size, device=top.device) + 0.5) / size
    rows = (place >= top[:, None]) & (place < (top + high)[:, None])
    columns = (place >= left[:, None]) & (place < (left + wide)[:, None])
    return rows[:, :, None] & columns[:, None, :]


@dataclass(frozen=True)
class Mixture:
    """A batch for the network, in which each face may be mixed with another one.

    Attributes:
        images: (n, 3, s, s).
        targets: (n,) class with the larger share, -1 where unknown.
        others: (n,) class with the smaller one.
        share: share of ``targets``, in [0.5, 1].
        truth: where attention should lie.
        cam_truth: where the class map of ``targets`` should lie.
    """

    images: Float[Tensor, "n 3 s s"]
    targets: Int[Tensor, " n"]
    others: Int[Tensor, " n"]
    share: float
    truth: Truth
    cam_truth: Truth


def mix(
    images: Float[Tensor, "n 3 s s"],
    targets: Int[Tensor, " n"],
    truth: Truth,
    augment: Augment,
    random: Generator,
) -> Mixture:
    """Mix a batch by CutMix, by mixup, or not at all, at random.

    CutMix pastes one box of another face into each face. As published, the box has the share 1 - lambda of the picture,
    lambda ~ Beta(1, 1), its centre is uniform and it is clipped at the border; the classes weigh as the areas that are
    seen. Heatmaps, and pixels to ignore, are cut and pasted with the pixels.

    Args:
        images: (n, 3, s, s).
        targets: (n,) class index, -1 where unknown.
        truth: heatmaps of any size.
        augment: probabilities of the mixtures.
        random: generator on the CPU.
    """
    plain = Mixture(images, targets, targets, 1.0, truth, truth)
    if not augment.cutmix + augment.mixup:
        return plain
    chance, portion, row, column = torch.rand(4, generator=random).tolist()
    partner = torch.randperm(len(images), generator=random).to(images.device)
    if chance < augment.cutmix:
        return _paste(images, targets, truth, partner, (portion, row, column))
    if chance >= augment.cutmix + augment.mixup:
        return plain
    share = 1 - portion / 2
    mixed = torch.lerp(images[partner], images, share)
    own, ignore = truth.maps, truth.ignore
    both = share * own + (1 - share) * own[partner].nan_to_num(0)
    either = None if ignore is None else ignore | ignore[partner]
    return Mixture(mixed, targets, targets[partner], share, *_truths(both, own, truth.valid, either))


def _paste(
    images: Tensor, targets: Tensor, truth: Truth, partner: Tensor, draws: tuple[float, float, float]
) -> Mixture:
    """Paste a box of the partners; its area and centre are shares of the picture. The larger share comes first."""
    area, row, column = draws
    side = torch.tensor([area**0.5])
    box = (row - side / 2, column - side / 2, side, side)
    inside = rectangles(*box, images.shape[-1]).to(images.device)
    cut = rectangles(*box, truth.maps.shape[-1]).to(images.device)
    share = 1 - float(inside.float().mean())
    mixed = torch.where(inside[:, None], images[partner], images)
    outer, inner = torch.where(cut, 0, truth.maps), torch.where(cut, truth.maps[partner], 0)
    ignore = truth.ignore
    ignore = None if ignore is None else torch.where(cut, ignore[partner], ignore)
    if share >= 0.5:
        truths = _truths(outer + inner.nan_to_num(0), outer, truth.valid, ignore)
        return Mixture(mixed, targets, targets[partner], share, *truths)
    truths = _truths(outer.nan_to_num(0) + inner, inner, truth.valid[partner], ignore)
    return Mixture(mixed, targets[partner], targets, 1 - share, *truths)


def _truths(both: Tensor, own: Tensor, valid: Tensor, ignore: Tensor | None) -> tuple[Truth, Truth]:
    """Return the truths for attention and for the class map, valid where the heatmap of the class is still seen."""
    valid = valid & (own.flatten(1).nan_to_num(0).amax(1) > 0)
    return Truth(both, valid, ignore), Truth(own, valid, ignore)
