"""Reading the scores of a run by map, layer, metric and group."""

import math
from typing import NamedTuple

from interpfer.errors import PluginError
from interpfer.labels import EXPRESSIONS
from interpfer.maps import MAPS
from interpfer.metrics import METRICS, decimals
from interpfer.results.direction import higher_is_better
from interpfer.results.run import Run, headline_group

Key = tuple[str, str]

UNIFORM, MEAN, CLASS_MEAN = "baseline:uniform", "baseline:mean-au", "baseline:class-mean-au"

SAID = {
    UNIFORM: "a uniform map",
    MEAN: "the mean heatmap of all other faces",
    CLASS_MEAN: "the mean heatmap of the other faces of the class",
}
"""Baselines in words."""

ATTENTION, CLASS_MAP = "attention", "gradcam"


class Value(NamedTuple):
    """One cell of scores.csv; NaN where undefined."""

    value: float
    low: float
    high: float
    n: int

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)


NOTHING = Value(math.nan, math.nan, math.nan, 0)


class Scores:
    """The scores of a run.

    Args:
        run: a finished score.

    Attributes:
        maps: the (map, layer) pairs of the model.
        baselines: those that know nothing of it.
        metrics: names, in the order of the run.
        classes: expressions with a score of their own.
        layers: of the run, shallow to deep, as far as maps are of them.
        distinct: maps without those that are the same thing as another; a map that a verdict speaks of stays.
    """

    def __init__(self, run: Run) -> None:
        self._cells = {
            (str(name), str(layer), str(metric), str(group)): Value(value, low, high, int(n))
            for name, layer, metric, group, value, low, high, n in run.scores.itertuples(index=False, name=None)
        }
        keys = list(dict.fromkeys((name, layer) for name, layer, _, _ in self._cells))
        groups = {group for *_, group in self._cells}
        self.baselines = [key for key in keys if key[1] == "-"]
        self.metrics = list(dict.fromkeys(metric for _, _, metric, _ in self._cells))
        self.classes = [name for name in EXPRESSIONS if name in groups and self._scored(name)]
        known = [str(layer) for layer in run.manifest["arguments"].get("layers", [])]
        there = list(dict.fromkeys(layer for _, layer in keys if layer != "-"))
        self.layers = [layer for layer in known if layer in there] or there
        self.maps = [key for key in keys if key[1] != "-"]
        self.distinct = self._distinct(run.manifest.get("same", {}))

    def at(self, key: Key, metric: str, group: str | None = None) -> Value:
        """Return one value; without a group, the headline of the metric."""
        return self._cells.get((*key, metric, group or headline_group(metric)), NOTHING)

    @property
    def primary(self) -> str:
        """The metric that the page speaks of."""
        return "cosine" if "cosine" in self.metrics else next(iter(self.metrics), "cosine")

    @property
    def deepest(self) -> list[Key]:
        """The maps of the deepest layer, and those of the whole model."""
        last = self.layers[-1] if self.layers else ""
        return [key for key in self.maps if key[1] == last or key[1] not in self.layers]

    def best(self, metric: str) -> Key | None:
        """Return the map with the best headline value, one of ``distinct``."""
        found = [key for key in self.distinct if self.at(key, metric).defined]
        sign = 1 if higher_is_better(metric) else -1
        return max(found, key=lambda key: sign * self.at(key, metric).value, default=None)

    @property
    def headline_maps(self) -> list[Key]:
        """The maps that a verdict speaks of: the attention and the class map of the deepest layer.

        Which they are does not depend on how they score, so a run of many maps is not flattered by its luckiest. The
        class map is Grad-CAM, else the first that explains a class; where neither is there, the first map of all.
        """
        found = [key for key in self.deepest if self.at(key, self.primary).defined]
        attention = [key for key in found if key[0] == ATTENTION][:1]
        class_maps = [key for key in found if key[0] == CLASS_MAP] or [key for key in found if explains_class(key[0])]
        found = found or [key for key in self.maps if self.at(key, self.primary).defined]
        return [*attention, *class_maps[:1]] or found[:1]

    @property
    def main(self) -> Key | None:
        """The one map that is shown where there is room for one: the class map, as far as there is one."""
        return next(reversed(self.headline_maps), None)

    def _distinct(self, same: dict[str, str]) -> list[Key]:
        names, headline_maps = {key: "@".join(key) for key in self.maps}, self.headline_maps
        said = {same.get(names[key], names[key]) for key in headline_maps}
        return [key for key, name in names.items() if key in headline_maps or (name not in same and name not in said)]

    def _scored(self, group: str) -> bool:
        return any(cell.defined for (*_, name), cell in self._cells.items() if name == group)


def explains_class(name: str) -> bool:
    """Return whether a map explains a class; one that is not installed here does not say so."""
    try:
        return MAPS.get(name).class_specific
    except PluginError:
        return False


def summary(metric: str) -> str:
    """Return what a metric says of itself, or nothing."""
    try:
        return METRICS.get(metric).facts.summary
    except PluginError:
        return ""


def percent(metric: str) -> bool:
    """Return whether a metric counts up to a hundred."""
    try:
        return METRICS.get(metric).facts.bounds[1] == 100
    except PluginError:
        return False


def number(value: float, metric: str = "", short: bool = False) -> str:
    """Write a value with the digits of its metric, a true minus sign, and a dash where undefined.

    A short one leaves out the last digit, as long as one is left after the point.
    """
    if not math.isfinite(value):
        return "–"
    places = decimals(metric)
    return f"{value:.{places - 1 if short and places > 1 else places}f}".replace("-", "−")


def interval(found: Value, metric: str = "") -> str:
    """Write the 95 % interval in brackets; nothing where there is none."""
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return ""
    return f"[{number(found.low, metric)}, {number(found.high, metric)}]"
