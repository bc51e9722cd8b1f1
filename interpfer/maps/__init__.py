"""Maps of where a model looks, and the baselines to beat."""

from collections.abc import Iterable

from interpfer.errors import PluginError, nearest
from interpfer.maps.base import BaselineMap, LayerMap
from interpfer.registry import Registry

MAPS: Registry[LayerMap | BaselineMap] = Registry(
    "map",
    "interpfer.maps",
    {
        "attention": "interpfer.maps.activation:attention",
        "gradcam": "interpfer.maps.gradient:gradcam",
        "gradcam++": "interpfer.maps.gradient:gradcam_plus_plus",
        "layercam": "interpfer.maps.gradient:layercam",
        "baseline:uniform": "interpfer.maps.baselines:uniform",
        "baseline:center": "interpfer.maps.baselines:center",
        "baseline:random": "interpfer.maps.baselines:random",
        "baseline:edges": "interpfer.maps.baselines:edges",
        "baseline:mean-au": "interpfer.maps.baselines:mean_au",
        "baseline:class-mean-au": "interpfer.maps.baselines:class_mean_au",
    },
)

DEFAULT_MAPS = ("attention", "gradcam", "gradcam++", "layercam", "baseline:uniform", "baseline:class-mean-au")


def select_maps(wanted: str | Iterable[str]) -> tuple[str, ...]:
    """Resolve a comma-separated text or a list of map names and of the groups ``all`` and ``baselines``.

    Raises:
        PluginError: a name is neither a map nor a group.
    """
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    groups = {"all": tuple(MAPS), "baselines": tuple(name for name in MAPS if name.startswith("baseline:"))}
    for name in names:
        if name not in MAPS and name not in groups:
            known = [*groups, *MAPS]
            raise PluginError(
                f"no map or group of maps is called '{name}'.{nearest(name, known)} Known: {', '.join(known)}."
            )
    return tuple(dict.fromkeys(name for entry in names for name in groups.get(entry, (entry,))))
