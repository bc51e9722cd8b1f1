"""References for what a run used: its maps, its metrics and its truth."""

from collections.abc import Iterable, Mapping
from typing import Any

from interpfer.errors import InterpferError, PluginError
from interpfer.maps import MAPS
from interpfer.metrics import METRICS
from interpfer.truth import open_truth
from interpfer.truth.base import TruthProvider
from interpfer.truth.options import TruthOptions

SOURCES = "sources"
"""Key of run.json: name of a map, metric or part of the truth -> reference."""

BASELINE = "baseline"
"""Source of a baseline, which needs no reference."""


def collect_sources(maps: Iterable[str], metrics: Iterable[str], truth: TruthProvider | None) -> dict[str, str]:
    """Return the references of a run by name; plugins that are not installed are left out.

    Args:
        maps: names of maps.
        metrics: names of metrics.
        truth: the truth provider, None where it is not known.
    """
    sources = {}
    for name in maps:
        try:
            source = MAPS.get(name).source
        except PluginError:
            continue
        if source != BASELINE:
            sources[name] = source
    for name in metrics:
        try:
            sources[f"metric {name}"] = METRICS.get(name).facts.source
        except PluginError:
            continue
    return sources | dict(truth.sources() if truth else {})


def read_sources(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the references that run.json records; of older runs, those of the installed plugins."""
    if SOURCES in manifest:
        return dict(manifest[SOURCES])
    arguments = manifest["arguments"]
    return collect_sources(arguments["maps"], arguments["metrics"], _installed_truth(arguments))


def _installed_truth(arguments: Mapping[str, Any]) -> TruthProvider | None:
    known = {name: arguments[name] for name in ("truth", "protocol", "codebook", "geometry") if name in arguments}
    try:
        options = TruthOptions.of(known)
        return open_truth(options)
    except InterpferError:
        return None
