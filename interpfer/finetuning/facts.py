"""The facts of a training: everything that decides its weights, by which a resumed one is checked."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from interpfer.finetuning.pool import FacePool
from interpfer.finetuning.recipe import Recipe
from interpfer.labels import list_names
from interpfer.models.model import Model

DIGEST = "sha256:"
"""Prefix of a fact that stands for some content."""


def collect_facts(model: Model, recipe: Recipe, pools: Sequence[FacePool], processes: int) -> dict[str, Any]:
    """Return what decides the weights, by name: choices as they are, content as digests.

    Args:
        model: the model before the training.
        recipe: all choices.
        pools: faces to train on, and held-out faces.
        processes: number of processes.
    """
    samples = pools[0].stream.dataset.samples
    points = {row: pool.points(row).numpy().tobytes() for pool in pools for row in pool.rows}
    return (
        {
            "checkpoint": DIGEST + model.sha256,
            "card": _digest(model.card.identity.encode()),
            "list of images": _digest(repr([(sample.id, sample.label) for sample in samples]).encode()),
            "part held out": _digest(repr([pool.rows for pool in pools]).encode()),
            "set of landmarks": _digest(b"".join(points[row] for row in sorted(points))),
            **_truth_digest(recipe.guide.open_truth().settings),
        }
        | recipe.to_dict()
        | {"number of processes": processes}
    )


def describe_lineage(model: Model, recipe: Recipe) -> str:
    """Return which weights were trained how, such as "fine-tuned from poster, guide 1 + 1.5, seed 2".

    The numbers of the guide are the weights of its attention term and its class-map term.

    Args:
        model: the model before the training.
        recipe: all choices.
    """
    earlier = f" ({model.card.lineage})" if model.card.lineage else ""
    weights = recipe.guide.weights
    guide = f"guide {' + '.join(f'{weight:g}' for weight in weights)}" if any(weights) else "without guide"
    method = f"method {recipe.method}, " if recipe.method else ""
    dropout = f"ADL {', '.join(map(str, recipe.adl))}, " if recipe.adl else ""
    return f"fine-tuned from {model.name}{earlier}, {method}{dropout}{guide}, seed {recipe.seed}"


def describe_counts(counts: Mapping[str, Any]) -> str:
    """Return what became of every image of the data set, in words.

    Args:
        counts: the entry of finetune.json.

    Examples:
        >>> none = {"unlabelled": 0, "unknown_class": {}, "unreadable": 0, "copies": 0}
        >>> describe_counts({"images": 9, "train": 6, "validation": 2, **none, "unknown_class": {"pain": 1}})
        '9 images: 6 to train on, 2 held out; left out: 1 of classes that the model lacks (pain 1)'
    """
    unknown = counts["unknown_class"]
    names = list_names([f"{label} {count}" for label, count in unknown.items()])
    reasons = {
        "without a label": counts["unlabelled"],
        f"of classes that the model lacks ({names})": sum(unknown.values()),
        "unreadable": counts["unreadable"],
        "held out with the same pixels as a training image": counts["copies"],
    }
    left_out = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    used = f"{counts['images']} images: {counts['train']} to train on, {counts['validation']} held out"
    return f"{used}; left out: {left_out}" if left_out else used


def describe_change(name: str, before: Any, now: Any) -> str:
    """Return a fact that has changed as a clause."""
    return f"the {name} differs" if str(now).startswith(DIGEST) else f"{name} was {before} and is {now}"


def _truth_digest(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the digest of a codebook, which the other facts name; of any other truth, of all its settings."""
    if "codebook_digest" in settings:
        return {"codebook's content": DIGEST + settings["codebook_digest"]}
    return {"truth's content": _digest(json.dumps(settings).encode())}


def _digest(content: bytes) -> str:
    return DIGEST + hashlib.sha256(content).hexdigest()
