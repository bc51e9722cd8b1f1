"""Sanity checks on a sample of the faces: do maps depend on the weights, are they stable, are they faithful?

The results go into run.json beside the scores. A map that stays the same when the weights are shuffled shows the
picture, not the model; a map whose pixels matter to the model no more than random ones does not explain it.
"""

from collections.abc import Mapping
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
from interpfer.metrics.randomisation import cascading_randomisation, shuffled
from interpfer.metrics.robustness import noise_sensitivity
from interpfer.runtime.progress import Progress, no_progress
from interpfer.scoring.session import ScoreSession
from interpfer.scoring.spec import sample_rows
from interpfer.statistics.summary import Summary, summarise

FACES = 64
"""Labelled faces in the sample."""
PROBED_FACES = 32
"""Of these, the faces on which faithfulness is measured."""
STAGES = 4
DRAWS = 2
SAME_LEVEL = 0.5
"""Mean rank correlation with the map of the shuffled model from which on they count as the same map."""
MARGIN = 0.01
"""Smallest difference in probability by which a faithful map must beat random ones."""

PASSES, SAME = "passes", "does not depend on the weights"
FAITHFUL, UNFAITHFUL = "better than random maps", "no better than random maps"


def check(session: ScoreSession, progress: Progress = no_progress) -> dict[str, Any]:
    """Check the maps of a score.

    Args:
        session: the open score.
        progress: called with (what, done, total).

    Returns:
        ``faces`` and ``tried``, the numbers of faces; ``maps``, for each "map@layer" the mean rank correlation with the
        map of shuffled weights (``similarity``, per stage in ``cascade``), its ``verdict``, the mean cosine with the AU
        heatmap with original and with shuffled weights, the change under a little ``noise`` (mean of the largest 1 -
        rank correlation), and ``faithfulness``: by how much insertion - deletion exceeds that of random maps on the
        same faces, with interval and verdict, with original and with shuffled weights.
    """
    columns = [key for key in session.columns if not isinstance(session.maps[key[0]], BaselineMap)]
    rows = _sample(session)
    if not columns or not rows:
        return {"faces": 0, "tried": 0, "maps": {}}
    batch = session.stream.read(rows)
    images, targets = batch.faces.images, _targets(session, batch)
    names = list(dict.fromkeys(name for name, _ in columns))
    arguments: dict[str, Any] = {
        "maps": names,
        "layers": session.spec.layers,
        "targets": targets,
        "seed": session.spec.seed,
    }
    steps = 4
    progress("sanity", 0, steps)
    cascade = cascading_randomisation(session.model, images, stages=STAGES, **arguments)
    progress("sanity", 1, steps)
    noise = noise_sensitivity(session.model, images, draws=DRAWS, **arguments)
    progress("sanity", 2, steps)
    results = _measure(session, batch, compute_maps(session.model, images, **arguments), targets)
    progress("sanity", 3, steps)
    with shuffled(session.model, session.spec.seed):
        shuffled_results = _measure(session, batch, compute_maps(session.model, images, **arguments), targets)
    progress("sanity", 4, steps)
    maps = {}
    for key in columns:
        similarities = cascade[(cascade["map"] == key[0]) & (cascade["layer"] == key[1])]["similarity"].tolist()
        maps["@".join(key)] = {
            "similarity": similarities[-1],
            "cascade": similarities,
            "verdict": SAME if similarities[-1] >= SAME_LEVEL else PASSES,
            "noise": float(noise[key].nanmean()),
            "cosine": results[key]["cosine"],
            "cosine_shuffled": shuffled_results[key]["cosine"],
            "faithfulness": results[key]["faithfulness"],
            "faithfulness_shuffled": shuffled_results[key]["faithfulness"],
        }
    return {
        "faces": len(batch.rows),
        "tried": min(PROBED_FACES, len(batch.rows)),
        "seed": session.spec.seed,
        "maps": maps,
    }


def sentences(sanity: Mapping[str, Any]) -> list[str]:
    """Return the results of ``check`` as sentences."""
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


def _sample(session: ScoreSession) -> tuple[int, ...]:
    labels, known = session.labels(session.spec.rows), set(session.model.classes)
    rows = [row for row, label in zip(session.spec.rows, labels, strict=True) if label in known]
    return tuple(rows[place] for place in sample_rows(len(rows), FACES, session.spec.seed))


def _targets(session: ScoreSession, batch: Batch) -> Tensor:
    targets = session.targets(batch.rows)
    if targets is not None:
        return targets
    return session.model.predict_logits(batch.faces.images).argmax(1).cpu()


def _measure(
    session: ScoreSession, batch: Batch, raw: Mapping[Key, Tensor], targets: Tensor
) -> dict[Key, dict[str, Any]]:
    """Return per map the mean cosine with the AU heatmap, and its faithfulness compared with random maps."""
    truth = session.draw_truth(session.samples(batch.rows), batch.landmarks)
    heat, valid = truth.maps, truth.valid
    images = batch.faces.images[:PROBED_FACES].to(heat.device)
    rows = batch.rows[:PROBED_FACES]
    probe = ModelProbe(
        session.model.predict_probabilities,
        images,
        heat[:PROBED_FACES],
        targets[:PROBED_FACES].to(heat.device),
        rows,
        session.spec.seed,
    )
    random = MAPS.get("baseline:random")
    assert isinstance(random, BaselineMap)
    chance = _faithfulness(
        random.compute(BaselineContext(heat[:PROBED_FACES], None, None, rows, session.spec.seed, images)), probe
    )
    results = {}
    for key, maps in raw.items():
        method = session.maps[key[0]]
        large, _ = to_canvas(maps, method.attention, session.spec.protocol)
        agreement = torch.where(valid, cosine(large, heat), torch.nan).nanmean()
        unit = normalise(large)[0] if method.attention else large
        gain = (_faithfulness(unit[:PROBED_FACES], probe) - chance).double().cpu().numpy()
        change = summarise(gain, np.zeros(len(gain), np.intp), ("all",), session.spec.seed)[1]
        results[key] = {"cosine": float(agreement), "faithfulness": _verdict(change)}
    return results


def _faithfulness(unit: Float[Tensor, "n s s"], probe: ModelProbe) -> Float[Tensor, " n"]:
    insertion, deletion = METRICS.get("insertion"), METRICS.get("deletion")
    assert isinstance(insertion, ModelMetric)
    assert isinstance(deletion, ModelMetric)
    return insertion(unit, probe) - deletion(unit, probe)


def _verdict(change: Summary) -> dict[str, Any]:
    verdict = FAITHFUL if change.low > 0 and change.value >= MARGIN else UNFAITHFUL
    return {"value": change.value, "low": change.low, "high": change.high, "n": change.n, "verdict": verdict}
