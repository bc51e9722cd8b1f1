"""Which occlusions a score is made with, and the map that ``guided`` follows."""

from collections.abc import Mapping, Sequence

from interpfer.choices import AU
from interpfer.errors import InterpferError, nearest
from interpfer.maps.base import AnyMap, BaselineMap
from interpfer.maps.engine import Key
from interpfer.occlusion.kinds import Occlusion, parse_occlusions
from interpfer.scoring.options import ScoreOptions


def resolve_occlusions(options: ScoreOptions, target: str) -> tuple[Occlusion, ...]:
    """Return the occlusions that are asked for.

    Raises:
        InterpferError: one is unknown, or the maps explain action units.
    """
    occlusions = parse_occlusions(options.occlude)
    if occlusions and target == AU:
        raise InterpferError(f"--occlude needs maps of classes: leave it out with --target {AU}.")
    if options.occlude_map is not None and not any(each.occluder.needs == "map" for each in occlusions):
        raise InterpferError("--occlude-map needs the occluder guided: pass --occlude guided, or leave it out.")
    return occlusions


def rank_by(name: str | None, columns: Sequence[Key], maps: Mapping[str, AnyMap]) -> Key | None:
    """Return the (map, layer) that ``guided`` follows: of a name the deepest layer, else that of the first map.

    Args:
        name: of the map; None for the first one that explains a class, else the first one.
        columns: the (map, layer) pairs of the tables.
        maps: by name.

    Raises:
        InterpferError: the score has no such map.
    """
    own = [key for key in columns if not isinstance(maps[key[0]], BaselineMap)]
    if name is None:
        name = next((key[0] for key in own if maps[key[0]].class_specific), own[0][0] if own else None)
    found = [key for key in own if key[0] == name]
    if name is not None and not found:
        names = list(dict.fromkeys(key[0] for key in own))
        raise InterpferError(
            f"--occlude-map must be one of the maps that are scored ({', '.join(names)}), got '{name}'."
            f"{nearest(name, names)}"
        )
    return found[-1] if found else None
