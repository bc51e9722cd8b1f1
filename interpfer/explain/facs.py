"""An explanation in numbers, and in a few sentences in the terms of the Facial Action Coding System."""

from collections.abc import Sequence
from typing import Any

from interpfer.au.face_regions import OUTSIDE
from interpfer.au.names import format_aus
from interpfer.explain.explanation import ExplainedMap, Explanation, Region
from interpfer.landmarks.alignment import invert_transform, transform_points
from interpfer.metrics.au_profile import USED
from interpfer.truth.masks import NO_MASK, NOT_SEEN

NAMED = 3
"""How many regions a list names at most."""


def facts(explanation: Explanation) -> dict[str, Any]:
    """Return all numbers and texts, ready for JSON; landmarks in pixels of the picture."""
    points = (
        transform_points(explanation.points.double(), invert_transform(explanation.transform)).tolist()
        if explanation.has_face
        else None
    )
    return {
        "image": explanation.image,
        "model": explanation.model,
        "predicted": explanation.predicted,
        "label": explanation.label or None,
        "explained": explanation.explained or explanation.predicted,
        "judged_by": explanation.expected or None,
        "used_factor": USED,
        "probabilities": dict(explanation.probabilities),
        "sentence": sentence(explanation),
        **explanation.rules,
        "face_found": explanation.has_face,
        "cropped": explanation.cropped,
        "transform": explanation.transform.tolist(),
        "landmarks": None if points is None else [[round(x, 2), round(y, 2)] for x, y in points],
        "maps": [_map_facts(item) for item in explanation.maps],
        "refused": dict(explanation.refused),
    }


def rationale(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as a row that ``interpfer rationales`` reads.

    Its action units are those on whose region the main map lies: of a region that several share, those that the truth
    expects, else the first.
    """
    regions = [] if explanation.main is None else [each for each in explanation.main.regions if each.is_covered]
    named = {au for region in regions for au in region.expected_aus or region.aus[:1]}
    return {
        "image": explanation.image,
        "answer": explanation.predicted,
        "aus": sorted(named),
        "text": sentence(explanation),
        "label": explanation.label or None,
    }


def _map_facts(item: ExplainedMap) -> dict[str, Any]:
    regions = [
        vars(region) | {"name": format_aus(region.aus), "expected": bool(region.expected_aus)}
        for region in item.regions
    ]
    return {
        "map": item.name,
        "layer": item.layer,
        "defined": bool(item.values.isfinite().all()),
        "scores": {name: vars(score) for name, score in item.scores.items()},
        "regions": regions,
        "face_regions": [vars(each) | {"ratio": each.ratio, "skill": each.skill} for each in item.face_regions],
    }


def sentence(explanation: Explanation) -> str:
    """Return sentences: the prediction, where in the face the main map looks, and which action units it lies on.

    Of an expression without action units nothing is judged.
    """
    sentences = [_prediction(explanation)]
    if explanation.has_masks:
        return " ".join([*sentences, *_agreement_with_masks(explanation)])
    if not explanation.has_face:
        return " ".join([*sentences, "No face was found, so there is no AU heatmap to compare the maps with."])
    if explanation.main is None:
        return " ".join([*sentences, "No map is defined."])
    sentences += [_energy(explanation.main), *_face(explanation.main)]
    if not explanation.expected:
        return " ".join([*sentences, *_not_judged(explanation)])
    return " ".join([*sentences, *_expected(explanation.expected, explanation.main.regions)])


def _agreement_with_masks(explanation: Explanation) -> list[str]:
    """Say how well the main map agrees with the masks of the picture."""
    main = explanation.main
    if main is None:
        return ["No map is defined."]
    if not main.scores:
        wanted = explanation.explained or explanation.predicted
        if explanation.missing == NOT_SEEN:
            return [f"The mask of {wanted} is empty or out of view, so there is nothing to compare the maps with."]
        what = "no mask" if explanation.missing == NO_MASK else f"no mask of {wanted}"
        return [f"The picture has {what}, so there is nothing to compare the maps with."]
    return [
        f"The cosine of {main.name} at {main.layer} with the mask of {name} is {score.cosine:.2f} (of a uniform map: "
        f"{score.uniform:.2f})."
        for name, score in main.scores.items()
    ]


def rules_text(explanation: Explanation) -> str:
    """Return protocol, codebook and geometry, or masks, on one line."""
    names = ("protocol", "codebook", "geometry", "masks")
    return ", ".join(f"{name} {explanation.rules[name]}" for name in names if name in explanation.rules)


def _prediction(explanation: Explanation) -> str:
    chance = f"{explanation.predicted} ({_percent(explanation.probabilities[explanation.predicted])})"
    if not explanation.label:
        return f"{explanation.model} predicts {chance}."
    if explanation.label == explanation.predicted:
        return f"{explanation.model} predicts {chance}, as labelled."
    own = (
        f" ({_percent(explanation.probabilities[explanation.label])})"
        if explanation.label in explanation.probabilities
        else ""
    )
    return f"{explanation.model} predicts {chance}; the label is {explanation.label}{own}."


def _face(item: ExplainedMap) -> list[str]:
    """Say which named region of the face stands out most over a uniform map."""
    within = [each for each in item.face_regions if each.name != OUTSIDE]
    if not within:
        return []
    most = max(within, key=lambda each: each.skill)
    if most.ratio >= USED:
        return [
            f"It looks at the {most.name} with {_percent(most.share)} of its energy, {most.ratio:.1f} times what a "
            "uniform map would."
        ]
    outside = next(each for each in item.face_regions if each.name == OUTSIDE)
    return [
        f"It looks at no named region of the face with {USED:g} times what a uniform map would; "
        f"{_percent(outside.share)} of its energy lies outside of these "
        f"(of a uniform map: {_percent(outside.uniform)})."
    ]


def _not_judged(explanation: Explanation) -> list[str]:
    explained = explanation.explained or explanation.predicted
    sentences = [f"{explained.capitalize()} has no action units, so nothing is judged."]
    if explanation.label in explanation.heat:
        sentences.append(f"To explain {explanation.label} and judge the map by it, pass --target label.")
    return sentences


def _energy(item: ExplainedMap) -> str:
    inside, uniform = (sum(getattr(region, name) for region in item.regions) for name in ("share", "uniform"))
    most = sorted(item.regions, key=lambda region: -region.share)[:2]
    listed = " and ".join(
        f"{format_aus(region.expected_aus or region.aus)} ({_percent(region.share)})" for region in most
    )
    return (
        f"{_percent(inside)} of the energy of {item.name} at {item.layer} lies on regions of action units "
        f"(of a uniform map: {_percent(uniform)}), most on {listed}."
    )


def _expected(expression: str, regions: Sequence[Region]) -> list[str]:
    ordered = sorted(regions, key=lambda region: -region.share)
    covered = [region for region in ordered if region.expected_aus and region.is_covered]
    missed = [region for region in ordered if region.expected_aus and not region.is_covered]
    others = [region for region in ordered if region.is_covered and not region.expected_aus]
    sentences = []
    if covered and not missed:
        sentences.append(f"It lies on the regions of all action units expected for {expression}: {_list(covered)}.")
    elif covered:
        sentences.append(
            f"Of the action units expected for {expression}, it lies on the regions of {_list(covered)}, "
            f"not on those of {_list(missed)}."
        )
    else:
        sentences.append(f"It lies on the region of no action unit expected for {expression}: {_list(missed)}.")
    if others:
        sentences.append(f"It also lies on regions of action units that are not expected: {_list(others)}.")
    return [*sentences, f"A map lies on a region where it has at least {USED:g} times the energy of a uniform map."]


def _list(regions: Sequence[Region]) -> str:
    names = [format_aus(region.expected_aus or region.aus) for region in regions]
    item, more = names[:NAMED], len(names) - NAMED
    if more > 0:
        return f"{', '.join(item)} and {more} more"
    return ", ".join(item[:-1]) + (" and " if len(item) > 1 else "") + item[-1]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
