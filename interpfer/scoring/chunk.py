"""A few faces of a batch, with what their maps are compared with."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.faces.stream import Batch
from interpfer.maps.base import OF_ALL, OF_CLASS, BaselineContext, BaselineMap
from interpfer.occlusion.apply import hide_truth
from interpfer.scoring.hidden import Hidden
from interpfer.scoring.session import ScoreSession
from interpfer.truth.base import Truth
from interpfer.truth.means import TruthMeans
from interpfer.truth.planes import Planes
from interpfer.types import Landmarks

CPU_CHUNK = 32
"""Most faces whose maps a thread of a CPU holds at canvas size."""
LEAST_CHUNK = 4
"""Fewest faces that are worth a thread of their own."""


class Chunk(NamedTuple):
    """A few faces of a batch.

    Attributes:
        rows: which of the batch they are.
        images: RGB in [0, 1], at the model's input size.
        truth: on the canvas.
        landmarks: on the canvas.
        context: what baselines are made of.
        planes: what the truth is a union of, where each part is scored, too.
        hidden: what hides the faces of the batch; None for faces as they are.
    """

    rows: slice
    images: Float[Tensor, "n 3 r r"]
    truth: Truth
    landmarks: Landmarks
    context: BaselineContext
    planes: Planes | None = None
    hidden: Hidden | None = None


def chunk_size(session: ScoreSession, count: int) -> int:
    """Return how many of the faces of a batch are handled at a time: on a CPU the share of a thread."""
    if session.model.device.type != "cpu":
        return max(count, 1)
    share = -(-count // torch.get_num_threads())
    return min(max(share, LEAST_CHUNK), CPU_CHUNK)


def make_chunk(
    session: ScoreSession, batch: Batch, part: slice, means: TruthMeans | None, hidden: Hidden | None = None
) -> Chunk:
    """Return some faces of a batch; a truth that was kept when it was summed is not drawn again."""
    rows, landmarks = batch.rows[part], batch.landmarks[part]
    samples = session.samples(rows)
    kept = None if means is None else means.kept_truth(rows)
    truth = session.draw_truth(samples, landmarks) if kept is None else kept
    images = batch.faces.images[part].to(truth.maps.device)
    context = baseline_context(session, truth, means, session.classes(rows), rows, images)
    planes = session.draw_planes(samples, landmarks) if session.truth.by_part else None
    if hidden is not None:
        truth = hide_truth(truth, hidden.occluded[part])
    return Chunk(part, images, truth, landmarks, context, planes, hidden)


def baseline_context(
    session: ScoreSession,
    truth: Truth,
    means: TruthMeans | None,
    classes: Sequence[int],
    rows: tuple[int, ...],
    images: Float[Tensor, "n 3 r r"],
) -> BaselineContext:
    """Return what the baselines of a score are made of: only the means that one of them needs.

    Args:
        session: the open score.
        truth: of n faces.
        means: sums of the truth of the whole data set, where a baseline needs them.
        classes: number of the class of each face, in ``means``.
        rows: their positions in the data set.
        images: RGB in [0, 1], at the model's input size.
    """
    baselines = [method for method in session.maps.values() if isinstance(method, BaselineMap)]
    of_all, of_class = (any(method.needs_mean(of) for method in baselines) for of in (OF_ALL, OF_CLASS))
    return BaselineContext(
        truth.maps,
        means.mean_of_others(truth, rows) if means and of_all else None,
        means.class_mean_of_others(truth, classes, rows) if means and of_class else None,
        rows,
        session.spec.seed,
        images,
    )
