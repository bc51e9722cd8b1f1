"""Sanity checks on a sample of the faces: do maps depend on the weights, are they stable, are they faithful?

The results go into run.json beside the scores. A map that stays the same when all weights are drawn anew shows the
picture, not the model; a map whose pixels matter to the model no more than random ones does not explain it.

Two random networks see the same picture with the same architecture, so their maps resemble each other, too. How much
they do is measured for each map, on the faces of the sample, and is the threshold of its verdict.
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
from interpfer.metrics.queries import ModelProbe, zero_color
from interpfer.metrics.randomisation import (
    RandomComparison,
    cascading_randomisation,
    compare_random_maps,
    compute_random_maps,
    permuted_modules,
    randomised,
)
from interpfer.metrics.robustness import noise_sensitivity
from interpfer.runtime.progress import Progress, no_progress
from interpfer.scoring.session import ScoreSession
from interpfer.scoring.spec import sample_rows
from interpfer.statistics.subjects import number_subjects, unit_of
from interpfer.statistics.summary import Summary, summarise

FACES = 64
"""Labelled faces in the sample."""
PROBED_FACES = 32
"""Of these, the faces on which faithfulness is measured."""
STAGES = 4
DRAWS = 2
MARGIN = 0.01
"""Smallest difference in probability by which a faithful map must beat random ones."""

PASSES, SAME, UNDEFINED = "passes", "does not depend on the weights", "undefined"
FAITHFUL, UNFAITHFUL = "better than random maps", "no better than random maps"


def check(session: ScoreSession, progress: Progress = no_progress) -> dict[str, Any]:
    """Check the maps of a score.

    Args:
        session: the open score.
        progress: called with (what, done, total).

    Returns:
        ``faces`` and ``tried``, the numbers of faces; ``networks``, that of random networks; ``permuted``, the modules
        whose weights cannot be drawn anew; and ``maps``: for each "map@layer" ``similarity`` (to the random networks;
        to the first one stage by stage in ``cascade``), ``random`` (of these to each other: mean and threshold),
        ``verdict``, the ``cosine`` with the AU heatmap, ``faithfulness`` (insertion - deletion less that of random
        maps), both also with random weights, and the change under a little ``noise``. See docs/metrics.md.

    Raises:
        ModelError: the model has no accessible weights.
    """
    columns = [key for key in session.columns if not isinstance(session.maps[key[0]], BaselineMap)]
    rows = _sample(session)
    if not columns or not rows:
        return {"faces": 0, "tried": 0, "maps": {}}
    batch = session.stream.read(rows)
    images, targets = batch.faces.images, _targets(session, batch)
    names = list(dict.fromkeys(name for name, _ in columns))
    model, seed, steps = session.model.for_prepared(), session.spec.seed, 5
    arguments: dict[str, Any] = {"maps": names, "layers": session.spec.layers, "targets": targets, "seed": seed}
    progress("sanity", 0, steps)
    cascade = cascading_randomisation(model, images, stages=STAGES, **arguments)
    progress("sanity", 1, steps)
    noise = noise_sensitivity(model, images, draws=DRAWS, **arguments)
    progress("sanity", 2, steps)
    trained = compute_maps(model, images, **arguments)
    drawn = compute_random_maps(model, images, **arguments)
    progress("sanity", 3, steps)
    results = _measure(session, batch, trained, targets)
    progress("sanity", 4, steps)
    with randomised(model, seed):
        random_results = _measure(session, batch, drawn[0], targets)
    progress("sanity", 5, steps)
    comparisons = compare_random_maps(trained, drawn)
    maps = {}
    for key in columns:
        stages = cascade[(cascade["map"] == key[0]) & (cascade["layer"] == key[1])]["similarity"].tolist()
        maps["@".join(key)] = _compare(comparisons[key], float(noise[key].nanmean())) | {
            "cascade": stages,
            "cosine": results[key]["cosine"],
            "cosine_shuffled": random_results[key]["cosine"],
            "faithfulness": results[key]["faithfulness"],
            "faithfulness_shuffled": random_results[key]["faithfulness"],
        }
    return {
        "faces": len(batch.rows),
        "tried": min(PROBED_FACES, len(batch.rows)),
        "seed": seed,
        "networks": len(drawn),
        "permuted": list(permuted_modules(model)),
        "maps": maps,
    }


def _compare(comparison: RandomComparison, noise: float) -> dict[str, Any]:
    """Return similarity, threshold and verdict of a map.

    A map passes if it resembles the maps of random networks no more than those resemble each other, and if new weights
    change it more than a little noise in the picture does. The latter holds against a map that no weight changes, which
    any two networks share.
    """
    similarity, threshold = comparison.similarity, comparison.threshold
    if np.isnan([similarity, threshold]).any():
        verdict = UNDEFINED
    else:
        verdict = SAME if similarity > threshold or 1 - similarity <= noise else PASSES
    pairs = float(np.mean(comparison.pairs)) if comparison.pairs else float("nan")
    return {
        "similarity": similarity,
        "random": {"mean": pairs, "threshold": threshold, "pairs": len(comparison.pairs)},
        "verdict": verdict,
        "noise": noise,
    }


def sentences(sanity: Mapping[str, Any]) -> list[str]:
    """Return the results of ``check`` as sentences."""
    lines = []
    for name, facts in sanity["maps"].items():
        gain = facts["faithfulness"]
        random = facts.get("random", {})
        lines.append(
            f"sanity of {name}: {facts['verdict']} (correlation with maps of random networks "
            f"{_number(facts['similarity'])}, of these with each other {_number(random.get('mean'))}, threshold "
            f"{_number(random.get('threshold'))}; cosine {_number(facts['cosine'])} -> "
            f"{_number(facts['cosine_shuffled'])}); {gain['verdict']} (insertion - deletion "
            f"{_number(gain['value'], '+')} [{_number(gain['low'], '+')}, {_number(gain['high'], '+')}], with random "
            f"weights {_number(facts['faithfulness_shuffled']['value'], '+')}); noise changes it by "
            f"{_number(facts['noise'])}"
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
    heat, valid, ignore = truth.maps, truth.valid, truth.ignore
    images = batch.faces.images[:PROBED_FACES].to(heat.device)
    rows = batch.rows[:PROBED_FACES]
    probe = ModelProbe(
        session.model.predict_probabilities,
        images,
        heat[:PROBED_FACES],
        targets[:PROBED_FACES].to(heat.device),
        rows,
        session.spec.seed,
        zero_color(session.model.card.input),
    )
    random = MAPS.get("baseline:random")
    assert isinstance(random, BaselineMap)
    chance = _faithfulness(
        random.compute(BaselineContext(heat[:PROBED_FACES], None, None, rows, session.spec.seed, images)), probe
    )
    subjects = number_subjects([unit_of(sample) for sample in session.samples(rows)])
    results = {}
    for key, maps in raw.items():
        method = session.maps[key[0]]
        large, _ = to_canvas(maps, method.attention, session.spec.protocol)
        agreement = torch.where(valid, cosine(large, heat, ignore), torch.nan).nanmean()
        unit = normalise(large)[0] if method.attention else large
        gain = (_faithfulness(unit[:PROBED_FACES], probe) - chance).double().cpu().numpy()
        change = summarise(gain, np.zeros(len(gain), np.intp), ("all",), session.spec.seed, subjects)[1]
        results[key] = {"cosine": float(agreement), "faithfulness": _verdict(change)}
    return results


def _faithfulness(unit: Float[Tensor, "n s s"], probe: ModelProbe) -> Float[Tensor, " n"]:
    insertion, deletion = METRICS.get("insertion_blur"), METRICS.get("deletion_blur")
    assert isinstance(insertion, ModelMetric)
    assert isinstance(deletion, ModelMetric)
    return insertion(unit, probe) - deletion(unit, probe)


def _verdict(change: Summary) -> dict[str, Any]:
    verdict = FAITHFUL if change.low > 0 and change.value >= MARGIN else UNFAITHFUL
    return {"value": change.value, "low": change.low, "high": change.high, "n": change.n, "verdict": verdict}
