"""WAR and UAR of a run of clips, for the top of its page."""

import math
from dataclasses import dataclass

from interpfer.reports.page.scores import Estimate, interval, number
from interpfer.results.clips import war_sentence
from interpfer.results.run import CLIPS, Run
from interpfer.statistics.proportions import wilson_interval


@dataclass(frozen=True)
class ClipFigures:
    """What the top of the page of a run of clips says in place of accuracy.

    Attributes:
        war: accuracy of the clips.
        war_interval: its 95 % confidence interval in brackets, or "no interval".
        uar: mean recall of their classes.
        uar_interval: its 95 % confidence interval in brackets, or "no interval".
        labelled: number of clips with one label.
        clips: number of clips, those that could not be read too.
        sentence: sentence among the warnings of the run that says the same.
    """

    war: str
    war_interval: str
    uar: str
    uar_interval: str
    labelled: int
    clips: int
    sentence: str


def clip_figures(run: Run) -> ClipFigures | None:
    """Return WAR and UAR of a run; None where images are no clips, or the model has no classes."""
    facts, classification = run.manifest.get(CLIPS), run.manifest["classification"]
    if not facts or facts.get("WAR") is None:
        return None
    n = int(classification["n"])
    ends = classification.get("accuracy_ci") or wilson_interval(round(facts["WAR"] * n), n)
    return ClipFigures(
        *_written(facts["WAR"], ends), *_written(facts["UAR"], facts["UAR_ci"]), n, facts["clips"], war_sentence(facts)
    )


def _written(value: float, ends: tuple[float | None, float | None] | list[float | None]) -> tuple[str, str]:
    """Return a share and its interval; one of no width says only that resamples do not differ, and is left out."""
    low, high = (math.nan if end is None else float(end) for end in ends)
    return number(value), (interval(Estimate(value, low, high, 0)) if low < high else "") or "no interval"
