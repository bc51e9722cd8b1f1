"""Scores a batch of faces as they are, then with each occlusion."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.faces.stream import Batch
from interpfer.maps.canvas import normalise, to_canvas
from interpfer.maps.engine import MapResults
from interpfer.results.batch_file import BatchResult
from interpfer.results.folder import RunFolder
from interpfer.results.pictures import ReportContent
from interpfer.scoring.batch import run_model, score_batch
from interpfer.scoring.hidden import Hidden, cover_batch, finish_hidden, picture_of, with_images
from interpfer.scoring.session import ScoreSession
from interpfer.truth.means import TruthMeans


def add_batch(
    folder: RunFolder, session: ScoreSession, batch: Batch, means: TruthMeans | None, content: ReportContent
) -> None:
    """Score a batch with each occlusion and as it is, and write the results, the clean one last."""
    clean = run_model(session, batch)
    for place, result in enumerate(score_occluded(session, batch, means, content, clean)):
        folder.occluded(place).add(result)
    folder.add(score_batch(session, batch, means, content, clean))


def score_occluded(
    session: ScoreSession, batch: Batch, means: TruthMeans | None, content: ReportContent, clean: MapResults
) -> Iterator[BatchResult]:
    """Yield the results of a batch for each occlusion; the network runs once for each.

    Args:
        session: the open score.
        batch: images that could be read; there may be none.
        means: sums of the truth of the whole data set, where a baseline needs them.
        content: what is kept for the report.
        clean: what the network makes of the faces as they are.
    """
    before = session.model.probabilities(clean.logits.cpu().double())
    own = before.argmax(1, keepdim=True)
    ranking = _ranking(session, clean) if any(each.occluder.needs == "map" for each in session.occlusions) else None
    for occlusion in session.occlusions:
        hidden = Hidden.of(cover_batch(session, batch, occlusion, ranking), clean.maps, len(session.columns))
        covered = with_images(batch, hidden.occluded)
        results = run_model(session, covered)
        result = score_batch(session, covered, means, ReportContent(False, False), results, hidden)
        after = session.model.probabilities(results.logits.cpu().double())
        change = (after - before).gather(1, own)[:, 0]
        example = picture_of(session, hidden, results.maps, content.faces) if content.maps and batch.rows else None
        yield replace(finish_hidden(result, hidden, change, example), skipped=result.skipped)


def _ranking(session: ScoreSession, clean: MapResults) -> Float[Tensor, "n S S"] | None:
    """Return the map that the occluder ``guided`` follows, in [0, 1]."""
    raw = clean.maps.get(session.ranking_key or ("", ""))
    if raw is None:
        return None
    large, _ = to_canvas(raw, session.maps[(session.ranking_key or ("", ""))[0]].attention, session.spec.protocol)
    return torch.where(large.isfinite(), normalise(large)[0], torch.nan)
