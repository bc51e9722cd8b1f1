"""What a score keeps of frames of clips."""

from bisect import bisect_left
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.faces.following import is_bridged
from interpfer.faces.stream import Batch
from interpfer.results.clips import Clips, clip_facts, clip_notes, pool_clips
from interpfer.results.run import CLIPS
from interpfer.results.tables import Tables
from interpfer.scoring.session import ScoreSession
from interpfer.truth.means import TruthMeans


def has_clips(session: ScoreSession, batch: Batch) -> bool:
    """Return whether images of a batch are frames of clips."""
    return any(sample.clip for sample in session.samples([*batch.rows, *batch.skipped]))


def clip_results(session: ScoreSession, batch: Batch, logits: Float[Tensor, "n k"] | None) -> dict[str, Any]:
    """Return what a batch keeps of frames of clips, by the names of ``BatchResult``; nothing of pictures.

    Args:
        session: the open score.
        batch: images that could be read.
        logits: of the classifier; None where it has no classes.
    """
    if not has_clips(session, batch):
        return {}
    found = batch.landmarks.found.tolist()
    bridged = tuple(row for i, row in enumerate(batch.rows) if found[i] and is_bridged(batch.landmarks.note(i)))
    return {"logits": None if logits is None else logits.float().numpy(), "bridged": bridged}


def class_logits(session: ScoreSession, batch: Batch) -> Float[Tensor, "n k"] | None:
    """Return the classifier's logits of frames of clips; None of pictures, and of a classifier without classes."""
    if not (has_clips(session, batch) and session.classifier.classes and batch.rows):
        return None
    return session.classifier.predict_logits(batch.faces.images).cpu()


def find_clips(session: ScoreSession, tables: Tables) -> Clips | None:
    """Return the clips of a score with their predictions; None where images are pictures."""

    def probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = session.classifier.probabilities(torch.from_numpy(logits)).numpy()
        return values

    return pool_clips(tables, probabilities)


def describe_clips(session: ScoreSession, tables: Tables, clips: Clips | None) -> tuple[dict[str, Any], list[str]]:
    """Return the entries of run.json on clips, and sentences on them; nothing of pictures."""
    if clips is None:
        return {}, []
    facts = clip_facts(tables, clips, getattr(session.dataset, "damaged", {}))
    return {CLIPS: facts}, clip_notes(clips, facts)


def leave_clips_out(session: ScoreSession, batch: Batch, means: TruthMeans | None) -> TruthMeans | None:
    """Return means from which the whole clip of each frame is left out: the others of a clip show the same face.

    Args:
        session: the open score.
        batch: images that could be read.
        means: sums of the truth of the whole data set; None where no baseline needs them.
    """
    if means is None or not has_clips(session, batch):
        return means
    samples, sums = session.dataset.samples, dict[str, TruthMeans]()
    for row in batch.rows:
        if samples[row].clip not in sums and samples[row].clip:
            sums[samples[row].clip] = _sum_clip(session, batch, row)
    return means.leaving_out({row: sums[samples[row].clip] for row in batch.rows if samples[row].clip})


def _sum_clip(session: ScoreSession, batch: Batch, row: int) -> TruthMeans:
    """Return the sums of the truth of all frames of the clip that an image of a batch belongs to."""
    samples, rows = session.dataset.samples, session.spec.rows
    place = start = bisect_left(rows, row)
    while start and samples[rows[start - 1]].clip == samples[row].clip:
        start -= 1
    while place < len(rows) and samples[rows[place]].clip == samples[row].clip:
        place += 1
    own = [other for other in rows[start:place] if other not in batch.skipped]
    inside = {other: position for position, other in enumerate(batch.rows)}
    sums = TruthMeans(len(session.dataset.classes))
    for other in own:
        position = inside.get(other)
        read = session.stream.landmarks([other]) if position is None else batch.landmarks[position : position + 1]
        sums.add(session.draw_truth(session.samples([other]), read), session.classes([other]))
    return sums
