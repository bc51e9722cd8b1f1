"""An explanation in numbers, and in a few sentences in the terms of the Facial Action Coding System."""

from collections.abc import Sequence
from typing import Any

from interpfer.au.names import spell
from interpfer.explain.explanation import Explanation, Region, ShownMap
from interpfer.labels import NEUTRAL
from interpfer.landmarks.alignment import inverse, transform_points

NAMED = 3
"""How many regions a list names at most."""


def facts(told: Explanation) -> dict[str, Any]:
    """Return everything that is no picture, ready for JSON; landmarks in pixels of the picture."""
    points = transform_points(told.points.double(), inverse(told.transform)).tolist() if told.found else None
    return {
        "image": told.image,
        "model": told.model,
        "predicted": told.predicted,
        "label": told.label or None,
        "probabilities": dict(told.probabilities),
        "sentence": sentence(told),
        **told.rules,
        "face_found": told.found,
        "cropped": told.cropped,
        "transform": told.transform.tolist(),
        "landmarks": None if points is None else [[round(x, 2), round(y, 2)] for x, y in points],
        "maps": [_map_facts(shown) for shown in told.maps],
        "refused": dict(told.refused),
    }


def _map_facts(shown: ShownMap) -> dict[str, Any]:
    regions = [vars(region) | {"name": spell(region.aus), "expected": bool(region.asked)} for region in shown.regions]
    return {
        "map": shown.name,
        "layer": shown.layer,
        "defined": bool(shown.values.isfinite().all()),
        "scores": {name: vars(score) for name, score in shown.scores.items()},
        "regions": regions,
    }


def sentence(told: Explanation) -> str:
    """Say what was predicted, which action units the main map lies on, and which expected ones it misses."""
    said = [_prediction(told)]
    if not told.found:
        return " ".join([*said, "No face was found, so there is no AU heatmap to hold the maps against."])
    if told.main is None:
        return " ".join([*said, "No map is defined for it."])
    said.append(_energy(told.main))
    if not told.expected:
        return " ".join([*said, f"{NEUTRAL.capitalize()} has no action units, so nothing is expected."])
    return " ".join([*said, *_expected(told.expected, told.main.regions)])


def _prediction(told: Explanation) -> str:
    chance = f"{told.predicted} ({_percent(told.probabilities[told.predicted])})"
    if not told.label:
        return f"{told.model} sees {chance}."
    if told.label == told.predicted:
        return f"{told.model} sees {chance}, as labelled."
    own = f" ({_percent(told.probabilities[told.label])})" if told.label in told.probabilities else ""
    return f"{told.model} sees {chance}; the label is {told.label}{own}."


def _energy(shown: ShownMap) -> str:
    inside, uniform = (sum(getattr(region, name) for region in shown.regions) for name in ("share", "uniform"))
    most = sorted(shown.regions, key=lambda region: -region.share)[:2]
    listed = " and ".join(f"{spell(region.asked or region.aus)} ({_percent(region.share)})" for region in most)
    return (
        f"{_percent(inside)} of the energy of {shown.name} at {shown.layer} lies on action units "
        f"(of a uniform map: {_percent(uniform)}), most on {listed}."
    )


def _expected(expression: str, regions: Sequence[Region]) -> list[str]:
    ordered = sorted(regions, key=lambda region: -region.share)
    used = [region for region in ordered if region.asked and region.used]
    missed = [region for region in ordered if region.asked and not region.used]
    others = [region for region in ordered if region.used and not region.asked]
    said = []
    if used and not missed:
        said.append(f"It covers all that the codebook expects of {expression}: {_list(used)}.")
    elif used:
        said.append(f"Of what the codebook expects of {expression} it covers {_list(used)} and misses {_list(missed)}.")
    else:
        said.append(f"It covers none of what the codebook expects of {expression}: {_list(missed)}.")
    if others:
        said.append(f"Not expected, but covered: {_list(others)}.")
    return said


def _list(regions: Sequence[Region]) -> str:
    names = [spell(region.asked or region.aus) for region in regions]
    shown, more = names[:NAMED], len(names) - NAMED
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
