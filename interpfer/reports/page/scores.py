"""Scores of a run by map, layer, metric and group, and how they are written."""

import math
from typing import NamedTuple

from interpfer.choices import AU
from interpfer.errors import PluginError
from interpfer.labels import sort_classes
from interpfer.maps import MAPS, MEANS
from interpfer.metrics import METRICS
from interpfer.reports.words import words_of
from interpfer.results.metric_facts import MetricFacts, facts_of, primary_metric
from interpfer.results.run import Run
from interpfer.truth.options import AU_HEATMAP

Key = tuple[str, str]
"""A map and its layer."""

UNIFORM: Key = ("baseline:uniform", "-")

ATTENTION, CLASS_MAP = "attention", "gradcam"


class Estimate(NamedTuple):
    """A score with its 95 % confidence interval and number of images; NaN where undefined."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_defined(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or the value twice where there is none."""
        low, high = (end if math.isfinite(end) else self.value for end in (self.low, self.high))
        return low, high


UNDEFINED = Estimate(math.nan, math.nan, math.nan, 0)


class Scores:
    """The scores of a run.

    Args:
        run: a finished score.

    Attributes:
        recorded: facts of the metrics, by name.
        maps: (map, layer) pairs of the model.
        baselines: (map, layer) pairs of the baselines.
        metrics: names of the metrics, in the order of the run.
        classes: classes with a score: expressions, then others.
        layers: layers with maps, shallow to deep.
        truth: name of what maps were compared with.
        words: how pages call it.
        counted: what the numbers of scores count, in the plural.
        class_mean: key of the baseline that is the mean truth of the class.
        phrases: baselines that maps are compared with -> phrase.
        distinct: ``maps`` without duplicates; of a map in the headline and its duplicates, the headline's stays.
    """

    def __init__(self, run: Run) -> None:
        self.recorded = run.metric_facts
        self.truth, self.words = run.truth, words_of(run.truth, run.noun)
        by_au = run.manifest["arguments"].get("target") == AU
        self.counted = "pairs of a face and an action unit" if by_au else self.words.many
        mean, class_mean = MEANS.get(run.noun, MEANS[AU_HEATMAP])
        self.class_mean: Key = (class_mean, "-")
        self.phrases = {
            UNIFORM: "a uniform map",
            (mean, "-"): self.words.mean,
            self.class_mean: self.words.class_mean,
        }
        self._estimates = {
            (str(name), str(layer), str(metric), str(group)): Estimate(value, low, high, int(n))
            for name, layer, metric, group, value, low, high, n in run.scores.itertuples(index=False, name=None)
        }
        keys = list(dict.fromkeys((name, layer) for name, layer, _, _ in self._estimates))
        groups = {group for *_, group in self._estimates}
        self.baselines = [key for key in keys if key[1] == "-"]
        self.metrics = list(dict.fromkeys(metric for _, _, metric, _ in self._estimates))
        known = sort_classes(map(str, run.confusion.index))
        self.classes = [name for name in known if name in groups and self._is_scored(name)]
        requested = [str(layer) for layer in run.manifest["arguments"].get("layers", [])]
        present = list(dict.fromkeys(layer for _, layer in keys if layer != "-"))
        self.layers = [layer for layer in requested if layer in present] or present
        self.maps = [key for key in keys if key[1] != "-"]
        self.distinct = self._find_distinct(run.manifest.get("same", {}))

    def facts(self, metric: str) -> MetricFacts:
        """Return the facts of a metric, as the run records them."""
        return facts_of(metric, self.recorded)

    def at(self, key: Key, metric: str, group: str | None = None) -> Estimate:
        """Return one score; without a group, the headline of the metric."""
        return self._estimates.get((*key, metric, group or self.facts(metric).headline), UNDEFINED)

    @property
    def primary(self) -> str:
        """The metric of the headline."""
        return primary_metric(self.metrics)

    @property
    def deepest(self) -> list[Key]:
        """The maps of the deepest layer, and those of the whole model."""
        last = self.layers[-1] if self.layers else ""
        return [key for key in self.maps if key[1] == last or key[1] not in self.layers]

    def best(self, metric: str) -> Key | None:
        """Return the map with the best headline value, one of ``distinct``."""
        defined = [key for key in self.distinct if self.at(key, metric).is_defined]
        sign = 1 if self.facts(metric).higher_is_better else -1
        return max(defined, key=lambda key: sign * self.at(key, metric).value, default=None)

    @property
    def headline_maps(self) -> list[Key]:
        """The maps of the headline: the attention and the class map of the deepest layer.

        The choice does not depend on their scores, so a run of many maps does not report its luckiest one. The class
        map is Grad-CAM, else the first map that explains a class; where neither is there, the first map of all.
        """
        defined = [key for key in self.deepest if self.at(key, self.primary).is_defined]
        attention = [key for key in defined if key[0] == ATTENTION][:1]
        class_maps = [key for key in defined if key[0] == CLASS_MAP] or [
            key for key in defined if explains_class(key[0])
        ]
        defined = defined or [key for key in self.maps if self.at(key, self.primary).is_defined]
        return [*attention, *class_maps[:1]] or defined[:1]

    @property
    def main(self) -> Key | None:
        """The map to show where there is space for one: the class map, else the first of the headline."""
        return next(reversed(self.headline_maps), None)

    def _find_distinct(self, same: dict[str, str]) -> list[Key]:
        names, headline_maps = {key: "@".join(key) for key in self.maps}, self.headline_maps
        originals = {same.get(names[key], names[key]) for key in headline_maps}
        return [
            key for key, name in names.items() if key in headline_maps or (name not in same and name not in originals)
        ]

    def _is_scored(self, group: str) -> bool:
        return any(estimate.is_defined for (*_, name), estimate in self._estimates.items() if name == group)


def explains_class(name: str) -> bool:
    """Return whether a map explains a class; False for one that is not installed."""
    try:
        return MAPS.get(name).class_specific
    except PluginError:
        return False


def summarise_metric(metric: str) -> str:
    """Return the one-line summary of a metric, "" for one that is not installed."""
    try:
        return METRICS.get(metric).facts.summary
    except PluginError:
        return ""


def number(value: float, facts: MetricFacts | None = None, short: bool = False) -> str:
    """Return a value with the decimals of its metric and a minus sign; a dash where undefined.

    Args:
        value: the value.
        facts: facts of the metric; None for the defaults.
        short: drop the last decimal, unless it is the only one.

    Examples:
        >>> number(-0.5), number(0.5, short=True), number(float("nan"))
        ('−0.500', '0.50', '–')
    """
    if not math.isfinite(value):
        return "–"
    places = (facts or MetricFacts()).decimals
    return f"{value:.{places - 1 if short and places > 1 else places}f}".replace("-", "−")


def interval(estimate: Estimate, facts: MetricFacts | None = None) -> str:
    """Return the confidence interval in brackets, "" where there is none."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return ""
    return f"[{number(estimate.low, facts)}, {number(estimate.high, facts)}]"
