"""What a reader of a comparison has to know: which images are compared, by which landmarks, and how tests differ."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

import pandas as pd

from interpfer.results.comparison import SIGNIFICANCE, predictions_of
from interpfer.results.run import Run
from interpfer.statistics.small_samples import FEW

LEAST_SHARED = 0.5
"""Share of the images that must be in all runs, below which a note is a warning."""


def shared_images(runs: Sequence[Run]) -> pd.Index:
    """Return the (image, label) that all runs have, in the order of the first."""
    return reduce(lambda a, b: a.intersection(b, sort=False), (predictions_of(run).index for run in runs))


def overlap_note(runs: Sequence[Run]) -> str:
    """Return a line on images that are not in all runs, "" where all are; a warning if fewer than half are compared."""
    every = reduce(lambda a, b: a.union(b), (predictions_of(run).index for run in runs))
    shared, which = len(shared_images(runs)), "both" if len(runs) == 2 else "all"
    if shared == len(every):
        return ""
    note = f"{len(every) - shared} of {len(every)} faces are not in {which} runs; {shared} are compared"
    if shared >= LEAST_SHARED * len(every):
        return note
    return (
        f"WARNING: {note}, fewer than half: score {which} on the same images (the same --limit and --sample-seed), or "
        "compare different images with --unpaired"
    )


def landmark_note(runs: Sequence[Run]) -> str:
    """Return a line that names the landmarks of the runs where they differ, "" where they do not."""
    names = [_landmarks(run) for run in runs]
    digests = [run.manifest.get("landmarks_digest") for run in runs]
    if len(set(names)) < 2 and len(set(digests)) < 2:
        return ""
    spelled = names if len(set(names)) > 1 else [f"{name} {str(digest)[:8]}" for name, digest in
                                                 zip(names, digests, strict=True)]  # fmt: skip
    return (
        f"the landmarks differ: {' and '.join(dict.fromkeys(spelled))}; heatmaps move with them, so a difference is "
        "not of the models alone"
    )


def group_notes(groups: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """Yield notes on what a comparison of groups of runs holds for."""
    yield "intervals and tests also account for runs (seeds): their variance in a group, and how few they are"
    if single := [name for name, runs in groups.items() if len(runs) == 1]:
        yield f"a single run, so the result holds for that run and not for its training: {', '.join(single)}"
    if few := [f"{name} ({len(runs)})" for name, runs in groups.items() if 1 < len(runs) < FEW]:
        yield f"few runs: {', '.join(few)}; intervals are wide, and small differences cannot be found"


def explain_tests(table: pd.DataFrame) -> Iterator[str]:
    """Yield notes on tests that are nearly the same, and on p-values and intervals that disagree.

    Args:
        table: result of ``interpfer.results.comparison.compare`` or of the comparisons of groups and sets.
    """
    metrics = set(table["metric"])
    if {"cosine", "cosine_skill"} <= metrics:
        yield (
            "cosine and cosine_skill ask nearly the same: on an image, the difference in skill is that in cosine "
            "divided by 1 - the cosine of the uniform map, so only the weights of images differ; Holm counts both, and "
            "--metrics cosine tests one"
        )
    small = table["p_holm"] < SIGNIFICANCE
    spans = (table["ci_low"] <= 0) & (table["ci_high"] >= 0)
    if count := int((small & spans).sum()):
        yield (
            f"{count} lines have p < {SIGNIFICANCE} and an interval that includes 0: the test flips signs of people or "
            "images, which needs no variance, and the interval is widened for classes of few of them; neither side is "
            "called better"
        )


def _landmarks(run: Run) -> str:
    return str(run.manifest["arguments"].get("landmarks") or "unnamed")
