"""Which lines of a comparison are tested: maps, layers and metrics, chosen beforehand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from interpfer.errors import RunError
from interpfer.maps import MAPS
from interpfer.metrics import METRICS
from interpfer.registry import Registry, fold_name

Names = str | Sequence[str] | None

ACCURACY = "accuracy"


@dataclass(frozen=True)
class Hypotheses:
    """What is compared; Holm's adjustment is over these lines alone.

    Attributes:
        maps: names of maps, a list or one comma-separated text; None for all.
        layers: "last" (the deepest layer of each map), "all" or None, or names of layers of either run.
        metrics: names of metrics, "accuracy" among them; None for all.
    """

    maps: Names = None
    layers: Names = None
    metrics: Names = None

    def choose_metrics(self, names: Sequence[str]) -> list[str]:
        """Return the metrics to compare, out of those of the runs and "accuracy".

        Raises:
            RunError: the runs do not have one of them.
        """
        return _choose("metric", self.metrics, [ACCURACY, *names], METRICS)

    def choose_pairs(self, pairs: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Return the (map, layer of a, layer of b) to compare.

        Args:
            pairs: those that the runs have in common, layers from shallow to deep.

        Raises:
            RunError: the runs do not have one of the maps or layers.
        """
        maps = _choose("map", self.maps, list(dict.fromkeys(name for name, *_ in pairs)), MAPS)
        pairs = [pair for pair in pairs if pair[0] in maps]
        if self.layers in (None, "all"):
            return pairs
        if self.layers == "last":
            return list({name: (name, a, b) for name, a, b in pairs}.values())
        layers = _choose("layer", self.layers, list(dict.fromkeys(layer for _, *both in pairs for layer in both)))
        return [pair for pair in pairs if pair[1] in layers or pair[2] in layers]


def _choose(kind: str, wanted: Names, known: Sequence[str], registry: Registry[Any] | None = None) -> list[str]:
    if wanted is None:
        return list(known)
    words = [word.strip() for word in wanted.split(",")] if isinstance(wanted, str) else wanted
    return [name for name in known if name in {_find(kind, word, known, registry) for word in words}]


def _find(kind: str, word: str, known: Sequence[str], registry: Registry[Any] | None) -> str:
    spelled = [name for name in known if fold_name(name) == fold_name(word)]
    name = word if word in known else spelled[0] if len(spelled) == 1 else registry and registry.resolve(word)
    if name not in known:
        raise RunError(f"the runs have no {kind} '{word}' in common; they have {_list(known)}.")
    return str(name)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
