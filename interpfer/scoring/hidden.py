"""Scores one batch of faces again for each occlusion."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.faces.stream import Batch
from interpfer.maps.base import BaselineMap
from interpfer.maps.engine import Key
from interpfer.metrics.hole import HOLE_METRICS, leak, leak_skill, map_similarity
from interpfer.occlusion.apply import Occluded, occlude
from interpfer.occlusion.kinds import Occlusion
from interpfer.results.batch_file import BatchResult
from interpfer.scoring.session import ScoreSession

EXAMPLE = 112
"""Side in pixels of the picture that the report shows of each occlusion."""


@dataclass(frozen=True)
class Hidden:
    """What hides a batch of faces, and what is known of their maps.

    Attributes:
        occluded: the faces with what covers them.
        clean: raw maps of the faces as they are.
        values: (n, maps, 3) ``HOLE_METRICS`` of each map, filled in while the batch is scored.
    """

    occluded: Occluded
    clean: dict[Key, Tensor]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, occluded: Occluded, clean: dict[Key, Tensor], columns: int) -> "Hidden":
        """Return values that are not yet filled in."""
        return cls(occluded, clean, np.full((len(occluded.images), columns, len(HOLE_METRICS)), np.nan))

    def add(
        self, column: int, rows: slice, large: Float[Tensor, "n S S"], before: Float[Tensor, "n S S"] | None
    ) -> None:
        """Score a map of a few faces.

        Args:
            column: of the map in the tables.
            rows: which faces of the batch these are.
            large: the map on the canvas.
            before: that of the clean faces; None for a map that does not depend on the picture.
        """
        drawn = self.occluded.drawn[rows].to(large.device)[:, None, None]
        hole = torch.where(drawn, self.occluded.hole[rows].to(large), torch.nan)
        scores = [leak(large, hole), leak_skill(large, hole)]
        if before is not None:
            scores.append(map_similarity(torch.where(drawn, large, torch.nan), before))
        for place, values in enumerate(scores):
            self.values[rows, column, place] = values.cpu().double()


def cover_batch(
    session: ScoreSession, batch: Batch, occlusion: Occlusion, ranking: Float[Tensor, "n S S"] | None
) -> Occluded:
    """Return the faces of a batch with what covers them."""
    device = session.model.device
    truth = None
    if occlusion.occluder.needs == "truth" and batch.rows:
        truth = session.draw_truth(session.samples(batch.rows), batch.landmarks).maps
    images, points = batch.faces.images.to(device), batch.landmarks.points.to(device, torch.float32)
    return occlude(occlusion, images, points, batch.faces.ids, session.spec.seed, truth, ranking)


def with_images(batch: Batch, occluded: Occluded) -> Batch:
    """Return a batch with the covered faces in place of its own."""
    return replace(batch, faces=replace(batch.faces, images=occluded.images.to(batch.faces.images.device)))


def finish_hidden(
    result: BatchResult, hidden: Hidden, change: Float[Tensor, " n"], example: NDArray[np.uint8] | None
) -> BatchResult:
    """Return the result of a batch without predictions of the faces that could not be covered.

    Args:
        result: of the covered faces.
        hidden: what covers them.
        change: of the probability of the class that is predicted for the clean face.
        example: picture for the report, None for none.
    """
    drawn = hidden.occluded.drawn.cpu()
    area = hidden.occluded.hole.float().mean((1, 2)).cpu()
    covered = torch.stack([drawn.double(), area.double(), change.double()], 1)
    covered[~drawn, 1:] = torch.nan
    return replace(
        result,
        predicted=np.where(drawn.numpy(), result.predicted, -1),
        confidence=np.where(drawn.numpy(), result.confidence, np.nan),
        covered=covered.numpy(),
        example=example,
    )


def picture_of(session: ScoreSession, hidden: Hidden, maps: dict[Key, Tensor], with_face: bool) -> NDArray[np.uint8]:
    """Return the first covered face with its map before and after: (5, side, side) bytes, none if none is covered.

    The planes are red, green and blue of the face, then the two maps of ``session.ranking_key``. Without faces the
    picture shows the hole alone.
    """
    first = hidden.occluded.drawn.nonzero()[:1, 0]
    if not len(first):
        return np.zeros((0, EXAMPLE, EXAMPLE), np.uint8)
    hole = hidden.occluded.hole[first, None].float().expand(-1, 3, -1, -1)
    image = hidden.occluded.images[first] if with_face else 0.85 - 0.5 * hole
    planes = [image.cpu()]
    for source in (hidden.clean, maps):
        raw = source.get(session.ranking_key or ("", ""))
        raw = image.new_zeros(1, 1, 1) if raw is None else raw[first].float().nan_to_num(0)
        low, high = raw.amin(), raw.amax()
        planes.append(((raw - low) / (high - low).clamp(min=1e-12))[:, None].cpu())
    sized = [torch.nn.functional.interpolate(each, size=(EXAMPLE, EXAMPLE), mode="bilinear") for each in planes]
    return (torch.cat(sized, 1)[0] * 255).round().clamp(0, 255).to(torch.uint8).numpy()


def is_own(session: ScoreSession, key: Key) -> bool:
    """Return whether a map depends on the picture."""
    return not isinstance(session.maps[key[0]], BaselineMap)
