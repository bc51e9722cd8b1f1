"""Shares of a score: the images of a shard, and what its run.json says about them."""

from dataclasses import replace
from typing import Any

from interpfer.errors import InterpferError
from interpfer.results.plans import BATCH_SIZE
from interpfer.runtime.shards import Shard
from interpfer.scoring.session import ScoreSession


def take_share(session: ScoreSession, shard: Shard, batch_size: int) -> ScoreSession:
    """Return the score of the images of a shard: whole batches, so that each is scored as without shards.

    Raises:
        InterpferError: there are fewer batches than shards.
    """
    images, plan = len(session.spec.rows), session.stream.plan(session.spec.rows, batch_size)
    if shard.count > len(plan):
        raise InterpferError(
            f"{images} images are {len(plan)} batches of {batch_size}, too few for {shard.count} shards: pass fewer "
            "shards, or a smaller --batch-size."
        )
    rows = tuple(row for batch in shard.share(plan, 1) for row in batch)
    return replace(session, spec=replace(session.spec, rows=rows))


def shard_facts(shard: Shard, batch_size: int, share: ScoreSession, whole: ScoreSession) -> dict[str, Any]:
    """Return the entry ``SHARD`` of run.json."""
    facts: dict[str, Any] = {"index": shard.index, "count": shard.count, BATCH_SIZE: batch_size}
    return facts | {"images": len(share.spec.rows), "of": len(whole.spec.rows)}
