"""Sanity checks of a score on a sample of its faces: do maps depend on the weights, are they steady, are they faithful?

What they say goes into run.json beside the scores. A map that looks the same when the weights are shuffled shows the
picture, not the model; a map whose pixels matter to the model no more than random ones does not explain it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.faces.stream import Batch
from interpfer.maps import MAPS
from interpfer.maps.base import BaselineContext, BaselineMap
from interpfer.maps.canvas import normalise, to_canvas
from interpfer.maps.compute import compute_maps
from interpfer.maps.engine import Key
from interpfer.metrics import METRICS
from interpfer.metrics.agreement import cosine
from interpfer.metrics.base import ModelMetric
from interpfer.metrics.queries import ModelProbe
from interpfer.metrics.randomisation import cascading_randomisation, noise_sensitivity, shuffled
from interpfer.scoring.spec import Plan, sample_rows
from interpfer.statistics.summary import Summary, summarise

FACES = 64
"""Labelled faces in the sample."""
TRIED = 32
"""Of these, how many the model is asked about again and again."""
STAGES = 4
DRAWS = 2
ALIKE = 0.5
"""Mean rank correlation from which on a map of the shuffled model is still the map it was."""
MARGIN = 0.01
"""Probability by which a faithful map beats random ones at least."""

PASSES, SAME = "passes", "does not depend on the weights"
FAITHFUL, UNFAITHFUL = "better than random maps", "no better than random maps"

Tell = Callable[[str, int, int], None]


def check(plan: Plan, tell: Tell = lambda *_: None) -> dict[str, Any]:
    """Check the maps of a score.

    Args:
        plan: of the score.
        tell: called with (what, done, total).

    Returns:
        ``faces`` and ``tried``, how many were looked at; ``maps``, for each "map@layer" the mean rank correlation with
        the map of shuffled weights (``similarity``, stage by stage in ``cascade``), its ``verdict``, the mean cosine
        with the AU heatmap as it is and with shuffled weights, the change under a little ``noise`` (mean of the largest
        1 - rank correlation), and ``faithfulness``: by how much insertion - deletion beats that of random maps on the
        same faces, with interval and verdict, as it is and with shuffled weights.
    """
    columns = [key for key in plan.columns if not isinstance(plan.maps[key[0]], BaselineMap)]
    rows = _sample(plan)
    if not columns or not rows:
        return {"faces": 0, "tried": 0, "maps": {}}
    batch = plan.stream.read(rows)
    images, targets = batch.faces.images, _targets(plan, batch)
    names = list(dict.fromkeys(name for name, _ in columns))
    given: dict[str, Any] = {"maps": names, "layers": plan.layers, "targets": targets, "seed": plan.seed}
    steps = 4
    tell("sanity", 0, steps)
    cascade = cascading_randomisation(plan.model, images, stages=STAGES, **given)
    tell("sanity", 1, steps)
    moved = noise_sensitivity(plan.model, images, draws=DRAWS, **given)
    tell("sanity", 2, steps)
    intact = _measured(plan, batch, compute_maps(plan.model, images, **given), targets)
    tell("sanity", 3, steps)
    with shuffled(plan.model, plan.seed):
        blind = _measured(plan, batch, compute_maps(plan.model, images, **given), targets)
    tell("sanity", 4, steps)
    found = {}
    for key in columns:
        course = cascade[(cascade["map"] == key[0]) & (cascade["layer"] == key[1])]["similarity"].tolist()
        found["@".join(key)] = {
            "similarity": course[-1],
            "cascade": course,
            "verdict": SAME if course[-1] >= ALIKE else PASSES,
            "noise": float(moved[key].nanmean()),
            "cosine": intact[key]["cosine"],
            "cosine_shuffled": blind[key]["cosine"],
            "faithfulness": intact[key]["faithfulness"],
            "faithfulness_shuffled": blind[key]["faithfulness"],
        }
    return {"faces": len(batch.rows), "tried": min(TRIED, len(batch.rows)), "seed": plan.seed, "maps": found}


def sentences(sanity: Mapping[str, Any]) -> list[str]:
    """Say in words what ``check`` found."""
    lines = []
    for name, facts in sanity["maps"].items():
        gain = facts["faithfulness"]
        lines.append(
            f"sanity of {name}: {facts['verdict']} (correlation with the map of shuffled weights "
            f"{_number(facts['similarity'])}, cosine {_number(facts['cosine'])} -> "
            f"{_number(facts['cosine_shuffled'])}); {gain['verdict']} (insertion - deletion "
            f"{_number(gain['value'], '+')} [{_number(gain['low'], '+')}, {_number(gain['high'], '+')}], shuffled "
            f"{_number(facts['faithfulness_shuffled']['value'], '+')}); noise moves it by {_number(facts['noise'])}"
        )
    return lines


def _number(value: float | None, sign: str = "") -> str:
    return "undefined" if value is None or value != value else f"{value:{sign}.2f}"


def _sample(plan: Plan) -> tuple[int, ...]:
    labels, known = plan.labels(plan.rows), set(plan.model.classes)
    rows = [row for row, label in zip(plan.rows, labels, strict=True) if label in known]
    return tuple(rows[place] for place in sample_rows(len(rows), FACES, plan.seed))


def _targets(plan: Plan, batch: Batch) -> Tensor:
    told = plan.targets(batch.rows)
    if told is not None:
        return told
    return plan.model.predict_logits(batch.faces.images).argmax(1).cpu()


def _measured(plan: Plan, batch: Batch, raw: Mapping[Key, Tensor], targets: Tensor) -> dict[Key, dict[str, Any]]:
    """Return per map the mean cosine with the AU heatmap, and what faithfulness it has over random maps."""
    heat, valid = plan.heatmaps(batch.landmarks, batch.rows)
    images = batch.faces.images[:TRIED].to(heat.device)
    rows = batch.rows[:TRIED]
    probe = ModelProbe(
        plan.model.predict_logits, images, heat[:TRIED], targets[:TRIED].to(heat.device), rows, plan.seed
    )
    random = MAPS.get("baseline:random")
    assert isinstance(random, BaselineMap)
    chance = _explained(random.compute(BaselineContext(heat[:TRIED], None, None, rows, plan.seed, images)), probe)
    found = {}
    for key, maps in raw.items():
        method = plan.maps[key[0]]
        large, _ = to_canvas(maps, method.attention, plan.protocol)
        agreement = torch.where(valid, cosine(large, heat), torch.nan).nanmean()
        unit = normalise(large)[0] if method.attention else large
        gain = (_explained(unit[:TRIED], probe) - chance).double().cpu().numpy()
        change = summarise(gain, np.zeros(len(gain), np.intp), ("all",), plan.seed)[1]
        found[key] = {"cosine": float(agreement), "faithfulness": _verdict(change)}
    return found


def _explained(unit: Float[Tensor, "n s s"], probe: ModelProbe) -> Float[Tensor, " n"]:
    insertion, deletion = METRICS.get("insertion"), METRICS.get("deletion")
    assert isinstance(insertion, ModelMetric)
    assert isinstance(deletion, ModelMetric)
    return insertion(unit, probe) - deletion(unit, probe)


def _verdict(change: Summary) -> dict[str, Any]:
    verdict = FAITHFUL if change.low > 0 and change.value >= MARGIN else UNFAITHFUL
    return {"value": change.value, "low": change.low, "high": change.high, "n": change.n, "verdict": verdict}
