"""Tries plausible inputs and class orders on a few labelled faces, to find a wrong card before a score is believed.

A wrong order of classes or a wrong normalisation raises no error: it shows as an accuracy that another choice would
raise a lot. Every way to prepare the picture needs a forward; orders of the classes are then read off the same logits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor

from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError
from interpfer.faces.stream import to_tensor
from interpfer.inspection.labelled import LabelledFaces, read_labelled
from interpfer.inspection.report import Report
from interpfer.labels import CLASS_ORDERS
from interpfer.models.hooks import hooked
from interpfer.models.input import COLORS, InputSpec, describe_input, parse_input
from interpfer.models.model import Model
from interpfer.statistics.classification import better_order

FIRST_LOOK = 42
"""Images on which all inputs are tried; the best of them see all images."""
KEPT = 5
SIZES = (224, 112, 64, 48)
TRIED = ("none", "bytes", "half", "imagenet", "caffe")
BATCH = 16
ALPHA = 0.05

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Attempt:
    """One card on the labelled images.

    Attributes:
        input: how the pictures were prepared.
        order: name of the order of classes, "card", or "spelled out".
        classes: that order.
        accuracy: share of images whose class was right.
        n: images.
    """

    input: InputSpec
    order: str
    classes: tuple[str, ...]
    accuracy: float
    n: int


@dataclass(frozen=True)
class CardSearch:
    """What was tried.

    Attributes:
        attempts: the best first; per input its best order.
        card: the card as it stands; None if it has no classes.
        best: the card that the images suggest: of those that are as good as the best but for chance, the one that
            changes least.
        n: images.
        verdict: one sentence.
    """

    attempts: tuple[Attempt, ...]
    card: Attempt | None
    best: Attempt
    n: int
    verdict: str

    def facts(self) -> dict[str, Any]:
        """Return everything as values that JSON knows."""
        return asdict(self)


def try_cards(
    model: Model,
    dataset: Dataset,
    known: bool,
    sized: bool,
    limit: int = 140,
    seed: int = 0,
    tell: Tell | None = None,
) -> CardSearch:
    """Try inputs and class orders on labelled images, equally many of each class as far as there are.

    Args:
        model: whose card is to be checked.
        dataset: labelled images.
        known: whether the card names the classes; otherwise they are just counted.
        sized: whether the card tells the size of the input; otherwise other sizes are tried.
        limit: images.
        seed: which images.
        tell: what to report progress to.

    Raises:
        DataError: no image has a label, or none can be read.
    """
    faces = read_labelled(dataset, limit, seed)
    few = faces.first(FIRST_LOOK)
    tell = tell or (lambda *_: None)
    specs = _inputs(model.card.input)
    looks = ((spec, _score(model, spec, few, known)) for spec in _told(specs, tell, "inputs"))
    scores = {spec: found for spec, found in looks if found is not None}
    if not scores:
        raise InterpferError(f"model {model.name} runs with none of the inputs that were tried.")
    first = max(scores, key=lambda spec: scores[spec].accuracy)
    if not sized:
        sizes = [replace(first, size=size) for size in SIZES if size != first.size]
        tried = {spec: _score(model, spec, few, known) for spec in _told(sizes, tell, "sizes")}
        scores |= {spec: found for spec, found in tried.items() if found is not None}
    kept = sorted(scores, key=lambda spec: -scores[spec].accuracy)[:KEPT]
    if model.card.input in scores and model.card.input not in kept:
        kept.append(model.card.input)
    looks_again = ((spec, _predict(model, spec, faces)) for spec in _told(kept, tell, "best inputs"))
    outputs = {spec: found for spec, found in looks_again if found is not None}
    attempts = sorted(
        (attempt for spec, found in outputs.items() for attempt in _orders(model, spec, found, faces.labels, known)),
        key=lambda attempt: (-attempt.accuracy, attempt.order != "card", attempt.input != model.card.input),
    )
    own = next((a for a in attempts if a.order == "card" and a.input == model.card.input), None)
    best = attempts[0]
    tried_in_all = len(specs) * len(attempts) // len(kept)
    good = [one for one in attempts if not _beats(best, one, outputs, faces.labels, tried_in_all)]
    best = min(good, key=lambda one: _changes(one, own, model.card.input))  # the first, and best, of those that tie
    n = len(faces.labels)
    return CardSearch(tuple(_one_per_input(attempts)), own, best, n, _verdict(best, own, n))


def suggested(report: Report, trial: CardSearch) -> Report:
    """Return a report whose card is the one that the images suggest."""
    if trial.best == trial.card:
        return report
    card = {**report.card, "classes": list(trial.best.classes), "input": describe_input(trial.best.input)}
    why = f"suggested by {trial.n} labelled faces"
    assumed = {name: reason for name, reason in report.assumed.items() if name.partition(".")[0] not in card}
    missing = tuple(line for line in report.missing if not line.startswith("classes:"))
    return replace(
        report,
        card=card,
        assumed=assumed | {"classes": why, "input": why},
        missing=(*missing, "card: judge the suggested card, and write it beside the file"),
    )


def _told(specs: Sequence[InputSpec], tell: Tell, what: str) -> Iterator[InputSpec]:
    """Yield the inputs, and report how far this has come."""
    for done, spec in enumerate(specs):
        tell(what, done, len(specs))
        yield spec
    tell(what, len(specs), len(specs))


def _inputs(own: InputSpec) -> list[InputSpec]:
    """Return the card's input, then the plausible ones."""
    colors = [color for color, count in COLORS.items() if count == COLORS[own.color]]
    plain = [
        parse_input({"size": own.size, "color": color, "mean": name}, "tried") for color in colors for name in TRIED
    ]
    return list(dict.fromkeys([own, *plain]))


def _predict(model: Model, spec: InputSpec, faces: LabelledFaces) -> NDArray[np.int64] | None:
    """Return the strongest output per image; None where the network cannot eat this."""
    tried = Model(model.name, model.module, replace(model.card, input=spec), model.device)
    found: list[Tensor] = []
    with hooked(tried.module, {}), torch.no_grad():
        for start in range(0, len(faces.pictures), BATCH):
            part = faces.pictures[start : start + BATCH]
            images = torch.stack([to_tensor(np.array(picture), spec.size) for picture in part])
            try:
                found.append(tried.logits(tried.normalise(images)).argmax(1).cpu())
            except RuntimeError:
                return None
    return torch.cat(found).numpy()


def _score(model: Model, spec: InputSpec, faces: LabelledFaces, known: bool) -> Attempt | None:
    predicted = _predict(model, spec, faces)
    if predicted is None:
        return None
    return max(_orders(model, spec, predicted, faces.labels, known), key=lambda attempt: attempt.accuracy)


def _orders(
    model: Model, spec: InputSpec, predicted: NDArray[np.int64], labels: Sequence[str], known: bool
) -> list[Attempt]:
    """Return the accuracy under every order of as many classes, and under a better one if there clearly is one."""
    count = len(model.classes)
    orders = {"card": model.classes} if known else {}
    orders |= {name: order for name, order in CLASS_ORDERS.items() if len(order) == count and order != model.classes}
    if not orders:
        raise InterpferError(
            f"model {model.name} has {count} outputs, and no order of {count} classes is known: give --classes."
        )
    n = len(labels)
    attempts = [
        Attempt(
            spec,
            name,
            order,
            float(np.mean([order[k] == label for k, label in zip(predicted, labels, strict=True)])),
            n,
        )
        for name, order in orders.items()
    ]
    best = max(attempts, key=lambda attempt: attempt.accuracy)
    guesses = [best.classes[k] for k in predicted]
    confusion = pd.crosstab(pd.Series(labels, name="true"), pd.Series(guesses, name="predicted"))
    better = better_order(confusion, best.classes)
    return attempts if better is None else [*attempts, Attempt(spec, "spelled out", better[0], better[2], n)]


def _one_per_input(attempts: Sequence[Attempt]) -> Iterator[Attempt]:
    """Yield the best attempt of each input, and the card's own."""
    seen: set[InputSpec] = set()
    for attempt in attempts:
        if attempt.input not in seen or attempt.order == "card":
            yield attempt
        seen.add(attempt.input)


def _beats(
    best: Attempt, own: Attempt, outputs: Mapping[InputSpec, NDArray[np.int64]], labels: Sequence[str], tried: int
) -> bool:
    """Exact sign test of two attempts on the same images, held against a level divided by how many were tried."""
    right = [
        np.array([attempt.classes[k] == label for k, label in zip(outputs[attempt.input], labels, strict=True)])
        for attempt in (best, own)
    ]
    gains, broken = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    if gains <= broken:
        return False
    return bool(binomtest(gains, gains + broken, alternative="greater").pvalue < ALPHA / tried)


def _changes(attempt: Attempt, own: Attempt | None, spec: InputSpec) -> int:
    """Count what an attempt changes in the card; an order that nobody uses goes last."""
    order = 2 * (attempt.order == "spelled out") + (own is not None and attempt.classes != own.classes)
    return order + (own is not None and attempt.input != spec)


def _verdict(best: Attempt, own: Attempt | None, n: int) -> str:
    order = f"[{', '.join(best.classes)}]" + (f" ({best.order})" if best.order not in ("card", "spelled out") else "")
    told = ", ".join(f"{name} {value}" for name, value in describe_input(best.input).items())
    chance = 1 / len(best.classes)
    if binomtest(round(best.accuracy * n), n, chance, alternative="greater").pvalue > ALPHA:
        return (
            f"nothing that was tried classifies better than chance ({best.accuracy:.0%} of {n} faces at best): are "
            "these the trained weights, and is this the right output?"
        )
    if own is None:
        return f"{best.accuracy:.1%} of {n} faces are right with the classes {order} and the input {told}"
    if best == own:
        return f"the card stands: {own.accuracy:.1%} of {n} faces are right, and nothing tried is better beyond chance"
    changes = [
        *([f"the classes {order}"] if best.classes != own.classes else []),
        *([f"the input {told}"] if best.input != own.input else []),
    ]
    return (
        f"the card looks wrong: {own.accuracy:.1%} of {n} faces are right with it, {best.accuracy:.1%} with "
        f"{' and '.join(changes)}"
    )
