"""Occlusion as an augmentation: a part of the training faces is covered, with new holes at each step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from interpfer.errors import InterpferError
from interpfer.occlusion.apply import occlude
from interpfer.occlusion.kinds import Occlusion, parse_occlusion
from interpfer.truth.base import Truth


@dataclass(frozen=True)
class TrainOcclusion:
    """What covers training faces.

    Attributes:
        kinds: what may cover a face.
        chances: share of the faces that each covers.
        cut: whether the truth is cut where it is hidden.
    """

    kinds: tuple[Occlusion, ...]
    chances: tuple[float, ...]
    cut: bool = False

    def apply(
        self,
        images: Float[Tensor, "n 3 s s"],
        points: Float[Tensor, "n 68 2"],
        ids: Sequence[str],
        truth: Truth,
        draw_truth: Callable[[], Truth],
        mirrored: Bool[Tensor, " n"],
        random: Generator,
    ) -> tuple[Float[Tensor, "n 3 s s"], Truth]:
        """Cover a part of a batch; each face by one thing at most.

        Args:
            images: RGB in [0, 1].
            points: landmarks on the canvas.
            ids: names of the faces.
            truth: heatmaps, as the guide sees them.
            draw_truth: draws them where the guide sees none.
            mirrored: which faces are shown mirrored.
            random: generator on the CPU; it gives the seed of the holes.
        """
        draws = torch.rand(len(images), generator=random)
        seed = int(torch.randint(2**31, (1,), generator=random))
        below = 0.0
        for kind, chance in zip(self.kinds, self.chances, strict=True):
            chosen = ((draws >= below) & (draws < below + chance)).nonzero()[:, 0].to(images.device)
            below += chance
            if not len(chosen):
                continue
            maps = draw_truth().maps[chosen] if kind.occluder.needs == "truth" else None
            names, own = [ids[i] for i in chosen.tolist()], (images[chosen], points.to(images)[chosen])
            covered = occlude(kind, *own, names, seed, maps, mirrored=mirrored.to(images.device)[chosen])
            images = images.index_copy(0, chosen, covered.images)
            if self.cut and truth.maps.shape[-1] == covered.hole.shape[-1]:
                hole = torch.zeros(truth.maps.shape, dtype=torch.bool, device=truth.maps.device)
                hole[chosen] = covered.hole.to(hole.device)
                truth = cut_truth(truth, hole)
        return images, truth


def cut_truth(truth: Truth, hole: Bool[Tensor, "n S S"]) -> Truth:
    """Return a truth that is 0 where it is hidden; of a face of which nothing is left, none."""
    maps = torch.where(hole & truth.maps.isfinite(), 0, truth.maps)
    valid = truth.valid & (maps.flatten(1).amax(1) > 0)
    return Truth(torch.where(valid[:, None, None], maps, torch.nan), valid, truth.ignore)


def parse_training(selection: str | Sequence[str] | None, cut: bool) -> TrainOcclusion | None:
    """Return what covers training faces, of texts such as ``mask:0.3,patches:0.2:0.1``; None for nothing.

    Raises:
        InterpferError: a probability is missing or not allowed, or an occluder cannot be used in training.

    Examples:
        >>> found = parse_training("mask:0.3,patches:0.2:0.1", cut=False)
        >>> [each.name for each in found.kinds], found.chances
        (['mask', 'patches:0.2'], (0.3, 0.1))
    """
    if selection is None:
        if cut:
            raise InterpferError("--occlude-cut needs --occlude-train KIND:P; pass it, or leave out --occlude-cut.")
        return None
    kinds, chances = [], []
    for word in selection.split(",") if isinstance(selection, str) else selection:
        name, _, chance = word.strip().rpartition(":")
        try:
            chances.append(float(chance))
        except ValueError:
            chances.append(-1.0)
        if not name or not 0 <= chances[-1] <= 1:
            raise InterpferError(
                f"occlude train must be KIND:P with a probability from 0 to 1, such as mask:0.3, got '{word.strip()}'"
            )
        kinds.append(parse_occlusion(name))
        if kinds[-1].occluder.needs == "map":
            raise InterpferError(f"occluder {kinds[-1].kind} needs a map, which training has none of; choose another.")
    if sum(chances) > 1 + 1e-9:
        raise InterpferError(f"the probabilities of --occlude-train must add up to at most 1, got {sum(chances):g}")
    return TrainOcclusion(tuple(kinds), tuple(chances), cut)
