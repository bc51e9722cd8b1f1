"""Counts added over images, for metrics of a whole data set, with bootstrap resamples."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from interpfer.statistics.bootstrap import Array, Draws, Rows, interval
from interpfer.statistics.small_samples import widen
from interpfer.statistics.summary import Summary, mean_of_known

POOLED_RESAMPLES = 200
"""Number of resamples of metrics that pool counts; each is a sum over all images."""

BLOCK = 1024
"""Number of images whose counts are in memory at a time."""


class Pool(NamedTuple):
    """Counts added over groups of images: of all their images, and of each of r resamples.

    Attributes:
        groups: "micro", the classes, and the halves.
        sums: group -> (1 + r, bins), the first row without resampling.
        sizes: group -> number of images in it.
    """

    groups: tuple[str, ...]
    sums: dict[str, NDArray[np.int64]]
    sizes: dict[str, int]


def pool(
    counts: NDArray[np.unsignedinteger],
    classes: Rows,
    names: tuple[str, ...],
    weights: Draws,
    halves: dict[str, NDArray[np.bool_]],
    total: Pool | None = None,
) -> Pool:
    """Add counts over all images, over those of each class, and over each half.

    Args:
        counts: (n, bins) of the images.
        classes: (n,) index into ``names``, -1 for none.
        names: the classes.
        weights: (r, n) how often each resample draws each image.
        halves: name -> (n,) which images belong to a further group.
        total: pool of other images, to which these are added in place; None for a new one.
    """
    kinds = np.stack([classes, *halves.values()], 1).astype(np.intp)
    cells, cell_of = np.unique(kinds, axis=0, return_inverse=True)
    groups = ("micro", *names, *halves)
    if total is None:
        shape = (1 + len(weights), counts.shape[1])
        total = Pool(groups, {group: np.zeros(shape, np.int64) for group in groups}, dict.fromkeys(groups, 0))
    for index, (of_class, *in_halves) in enumerate(cells.tolist()):
        which = np.flatnonzero(cell_of == index)
        resampled = weights[:, which].astype(np.float32) @ counts[which].astype(np.float32)
        added = np.concatenate([counts[which].sum(0, dtype=np.int64)[None], resampled.round().astype(np.int64)])
        member = ["micro", *names[of_class : of_class + 1][: of_class >= 0]]
        for group in [*member, *(half for half, inside in zip(halves, in_halves, strict=True) if inside)]:
            total.sums[group] += added
            total.sizes[group] += len(which)
    return total


def summarise_pooled(
    pooled: Pool, score: Callable[[str], Array], names: tuple[str, ...], factors: Mapping[str, float]
) -> list[Summary]:
    """Score the added counts of each group; ``macro`` is the mean of the classes.

    Intervals are widened by the factor of a mean over the same images, though the score is no mean: for a single class
    of few images they are a first approximation.

    Args:
        pooled: result of ``pool``.
        score: function from a group to the (1 + r,) scores of its sums.
        names: the classes.
        factors: group -> factor of its interval, as ``interval_factors`` returns it.
    """
    undefined = np.full(len(pooled.sums["micro"]), np.nan)
    values = {group: score(group) if pooled.sizes[group] else undefined for group in pooled.groups}
    known = [values[name] for name in names if np.isfinite(values[name][0])]
    macro = mean_of_known(np.array(known)) if known else undefined
    rows = {"macro": macro} | values
    sizes = {"macro": pooled.sizes["micro"]} | pooled.sizes
    summaries = []
    for group, scores in rows.items():
        low, high = widen(scores[:1], np.array([interval(scores[1:])]), factors[group])[0]
        summaries.append(Summary(group, float(scores[0]), float(low), float(high), sizes[group]))
    return summaries


def join_blocks(parts: Iterable[NDArray[np.unsignedinteger]]) -> Iterator[NDArray[np.unsignedinteger]]:
    """Join the counts of batches into blocks of at least ``BLOCK`` images: adding up costs the same for any block.

    Args:
        parts: (rows, bins) counts of each batch.

    Examples:
        >>> [len(block) for block in join_blocks([np.zeros((600, 2), np.uint8)] * 3)]
        [1200, 600]
    """
    block: list[NDArray[np.unsignedinteger]] = []
    for part in parts:
        block.append(part)
        if sum(map(len, block)) >= BLOCK:
            yield np.concatenate(block)
            block = []
    if block:
        yield np.concatenate(block)
