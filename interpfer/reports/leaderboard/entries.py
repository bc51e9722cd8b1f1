"""Values of a leaderboard: scores over checkpoints, entries and rankings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interpfer.reports.leaderboard.rows import OCCLUSION, SETTINGS
from interpfer.results.metric_facts import MetricFacts
from interpfer.truth.options import TruthOptions

RULES = ("dataset", "split", "protocol", *SETTINGS, "dataset_digest", "landmarks_digest", OCCLUSION)
"""Columns that rows must have in common to be ranked together."""

HEADLINES = ("accuracy", "macro_f1", "au_f1", "cosine", "cosine_skill", "pxap")
"""Metrics in a table of default width."""


@dataclass(frozen=True)
class MeanScore:
    """A score over the checkpoints of an entry.

    Attributes:
        mean: mean over the checkpoints; NaN where none has the score.
        std: standard deviation with n - 1; NaN for a single checkpoint.
        decimals: decimal places in tables.
    """

    mean: float
    std: float = math.nan
    decimals: int = MetricFacts.decimals


@dataclass(frozen=True)
class Entry:
    """One line of a ranking.

    Attributes:
        rank: 1 for the best; ties share a rank; None for a baseline, and where the score is undefined.
        model: name of the model, "" for a baseline.
        map: name of the map.
        layer: name of the layer, "-" for a baseline.
        aliases: other maps that are identical for this model.
        runs: number of checkpoints.
        n: number of scored images, as written.
        scores: score of each metric.
    """

    rank: int | None
    model: str
    map: str
    layer: str
    aliases: tuple[str, ...]
    runs: int
    n: str
    scores: Mapping[str, MeanScore]

    @property
    def is_baseline(self) -> bool:
        """Whether the entry is of a baseline."""
        return not self.model


@dataclass(frozen=True)
class OrderStability:
    """How stable one order of a ranking is.

    Attributes:
        what: the order in words, such as "models by gradcam".
        items: items, best first, with the share of resamples in which each is first.
        tau: mean Kendall's tau between the orders of the resamples and the order; NaN where all tie.
        n: number of images.
        people: number of people on them; 0 where images are taken as independent.
    """

    what: str
    items: tuple[tuple[str, float], ...]
    tau: float
    n: int
    people: int


@dataclass(frozen=True)
class Ranking:
    """Entries that may be compared, best first.

    Attributes:
        rules: value of each of ``RULES``; "" where rows of another version lack it.
        sort: metric of the ranks.
        entries: models and baselines.
        metrics: metrics that any entry has.
        best: best mean per metric of the entries with a rank.
        lower: metrics where lower is better.
        notes: sentences below the table.
        stability: how stable orders are; empty without run folders.
        dataset_name: the data set's own name; "" if unknown.
        landmarks: names of the landmarks at which the truth was drawn; "" if unknown.
    """

    rules: Mapping[str, str]
    sort: str
    entries: tuple[Entry, ...]
    metrics: tuple[str, ...]
    best: Mapping[str, float]
    lower: frozenset[str]
    notes: tuple[str, ...] = ()
    stability: tuple[OrderStability, ...] = ()
    dataset_name: str = ""
    landmarks: str = ""

    @property
    def title(self) -> str:
        """Data set and rules, on one line."""
        rules = self.rules
        words = [f"{self.dataset_name or rules['dataset']} {rules['split']}".strip() or "data set unknown"]
        words.append(f"protocol {rules['protocol'] or 'unknown'}")
        words += [f"truth {rules['truth']}"] if rules["truth"] not in ("", TruthOptions.truth) else []
        words += [f"{name} {rules[name]}" for name in ("target", "codebook", "geometry") if rules[name]]
        words += [f"occlusion {rules[OCCLUSION]}"] if rules.get(OCCLUSION) else []
        words += ["aligned"] if rules["align"] == "True" else []
        words += [f"landmarks {self.landmarks}"] if self.landmarks else []
        words += [f"images {rules['dataset_digest'][:8]}"] if rules["dataset_digest"] else []
        return ", ".join(words)

    def select_metrics(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        """Return the metrics of a table: those wanted, else ``HEADLINES`` and the metric of the ranks."""
        if wanted is not None:
            return tuple(name for name in wanted if name in self.metrics)
        return tuple(name for name in self.metrics if name in HEADLINES or name == self.sort)

    def is_best(self, entry: Entry, metric: str) -> bool:
        """Whether an entry has the best score, as printed; never a baseline."""
        score = entry.scores[metric]
        if entry.is_baseline or math.isnan(score.mean) or metric not in self.best:
            return False
        return number(score.mean, score.decimals) == number(self.best[metric], score.decimals)


@dataclass(frozen=True)
class Leaderboard:
    """All rankings of some rows.

    Attributes:
        rankings: rankings in the order of their first rows.
        repeated: number of rows left out as repetitions of identical runs.
    """

    rankings: tuple[Ranking, ...]
    repeated: int


def number(value: float, decimals: int = MetricFacts.decimals) -> str:
    """Return a score as tables print it, "" where undefined.

    Examples:
        >>> number(0.51234), number(27.71, 1), number(float("nan"))
        ('0.512', '27.7', '')
    """
    return "" if math.isnan(value) else f"{value:.{decimals}f}"
