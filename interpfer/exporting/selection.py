"""Which maps of a run are exported, and how they are named."""

import re
from collections.abc import Sequence

from interpfer.errors import RunError, nearest
from interpfer.maps.engine import Key
from interpfer.reports.page.scores import Scores


def select_keys(scores: Scores, wanted: str | Sequence[str] | None) -> tuple[Key, ...]:
    """Return the (map, layer) pairs that are exported.

    Args:
        scores: those of the run.
        wanted: names, each a map of the deepest layer that has it or MAP@LAYER, a list or one comma-separated text;
            None for the maps of the headline.

    Raises:
        RunError: the run has no such map, or none at all.
    """
    if wanted is None:
        if not scores.headline_maps:
            raise RunError("no map of the run is defined on any face: there is nothing to export.")
        return tuple(scores.headline_maps)
    names = wanted.split(",") if isinstance(wanted, str) else wanted
    return tuple(dict.fromkeys(find_key(scores, name.strip()) for name in names if name.strip()))


def find_key(scores: Scores, name: str) -> Key:
    """Return the pair that a name means: MAP@LAYER, or a map of the deepest layer that has it.

    Raises:
        RunError: the run has no such map.
    """
    exact = {"@".join(key): key for key in scores.maps}
    deepest = {key[0]: key for key in scores.maps}
    key = exact.get(name) or deepest.get(name)
    if key is None:
        known = ", ".join(exact)
        raise RunError(f"the run has no map '{name}'.{nearest(name, [*exact, *deepest])} It has {known}.")
    return key


def field_name(key: Key) -> str:
    """Return the name of a pair as an identifier.

    Examples:
        >>> field_name(("gradcam++.flip", "layer4.1"))
        'gradcam_plus_plus_flip_at_layer4_1'
    """
    text = f"{key[0]}_at_{key[1]}".replace("+", "_plus")
    return re.sub(r"\W+", "_", text).strip("_").lower()
