"""Points of a face over the frames of a clip: smoothed where they were detected, interpolated over short gaps."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.landmarks.reasons import BRIDGED
from interpfer.types import Landmarks

SIGMA = 1.0
"""Standard deviation of the weights of neighbouring frames, in frames of the video: 40 ms at 25 frames per second."""

REACH = 3
"""Frames of the video from which on a neighbour has no weight."""

MAX_GAP = 15
"""Most frames of the video between two frames with a face over which points are interpolated: 0.6 s."""


def follow(landmarks: Landmarks, frames: Sequence[int], smooth: bool) -> Landmarks:
    """Return the points of a clip, smoothed and without short gaps; what was interpolated has a note.

    Args:
        landmarks: of n frames; points that were not found are interpolated between frames with a face that are at most
            ``MAX_GAP`` frames of the video apart.
        frames: n numbers of frames in the video, ascending, each once.
        smooth: whether the points were detected frame by frame and jitter; else they are as they are.
    """
    times = torch.tensor(frames, dtype=torch.float64)
    found, points = landmarks.found.cpu(), landmarks.points.double().cpu()
    if smooth:
        points = smooth_points(points, times)
    notes = [landmarks.note(row) for row in range(len(frames))]
    places = found.nonzero()[:, 0].tolist()
    for before, after in zip(places, places[1:], strict=False):
        if after - before == 1 or frames[after] - frames[before] > MAX_GAP:
            continue
        for row in range(before + 1, after):
            share = (frames[row] - frames[before]) / (frames[after] - frames[before])
            points[row] = torch.lerp(points[before], points[after], share)
            notes[row] = f"{BRIDGED}: between frames {frames[before]} and {frames[after]}"
    return Landmarks.of(points.to(landmarks.points), tuple(notes))


def smooth_points(points: Float[Tensor, "n p 2"], times: Float[Tensor, " n"]) -> Float[Tensor, "n p 2"]:
    """Fit a line through each point and its neighbours in time, weighted by a Gaussian, and return its value.

    Uniform motion is left as it is, also at the ends of a clip, and so are frames without a neighbour within ``REACH``.

    Args:
        points: NaN for frames without a face, which stay NaN and have no weight.
        times: frame numbers, ascending.

    Examples:
        >>> line = torch.arange(5.0).double()[:, None, None].expand(5, 1, 2)
        >>> torch.allclose(smooth_points(line, torch.arange(5.0).double()), line)
        True
    """
    known = points.isfinite().flatten(1).all(1)
    shifts = times[None] - times[:, None]
    weights = torch.exp(-0.5 * (shifts / SIGMA) ** 2) * (shifts.abs() < REACH) * known
    values = torch.where(known[:, None, None], points, 0)
    moments = [(weights * shifts**power).sum(1) for power in range(3)]
    spread = moments[0] * moments[2] - moments[1] ** 2
    is_line = spread > 1e-9
    slopes = torch.where(is_line, 1 / torch.where(is_line, spread, 1), 0)
    means = weights / moments[0].clamp(min=1e-12)[:, None]
    lines = weights * (moments[2][:, None] - moments[1][:, None] * shifts) * slopes[:, None]
    fitted = torch.einsum("nm,mpc->npc", torch.where(is_line[:, None], lines, means), values)
    return torch.where(known[:, None, None], fitted, torch.nan)
