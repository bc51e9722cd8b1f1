"""Compares model cards on a few labelled faces, to catch a wrong card before scoring.

A wrong class order or normalisation raises no error; it only makes the accuracy much lower than another card would.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import binomtest

from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError
from interpfer.inspection.candidates import (
    CARD,
    SPELLED_OUT,
    Candidate,
    Predictions,
    compare_orders,
    is_right,
    list_inputs,
    predict,
)
from interpfer.inspection.forward import COMMON_SIZES
from interpfer.inspection.labelled import LabelledFaces, read_labelled
from interpfer.inspection.report import Report
from interpfer.models.input import InputSpec, describe_input
from interpfer.models.model import Model
from interpfer.runtime.progress import Progress, no_progress

ROUNDS = ((14, 6), (28, 3))
"""Images after which inputs are compared, and how many of them stay, beside the card's; they are the first images."""
ALPHA = 0.05
"""Significance level of all tests together."""
CHECK_CARD = "card: check the suggested card, and save it beside the file (--write)"
"""What is missing where the faces suggest another card."""


@dataclass(frozen=True)
class CardSearch:
    """Candidate model cards and the conclusion.

    Attributes:
        attempts: candidates, the best first; the best class order per input.
        card: the card as it is; None if it has no classes.
        best: the suggested card: of those that are not significantly worse than the best one, the one with the fewest
            changes.
        n: number of images.
        verdict: conclusion in one sentence.
    """

    attempts: tuple[Candidate, ...]
    card: Candidate | None
    best: Candidate
    n: int
    verdict: str

    @property
    def beats_chance(self) -> bool:
        """Whether the best card classifies significantly better than chance."""
        return _beats_chance(self.best, self.n)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as values of JSON."""
        return asdict(self)


def try_cards(
    model: Model,
    dataset: Dataset,
    has_classes: bool,
    has_size: bool,
    limit: int = 140,
    seed: int = 0,
    progress: Progress = no_progress,
) -> CardSearch:
    """Try inputs and class orders on labelled images, the same number of each class as far as possible.

    Args:
        model: the model whose card is checked.
        dataset: labelled images.
        has_classes: whether the card names the classes.
        has_size: whether the card has the input size; otherwise common sizes are tried.
        limit: largest number of images.
        seed: random seed of the sample of images.
        progress: receives the progress.

    Raises:
        DataError: no image has a label, or none can be read.
        InterpferError: the network fails on all inputs, or no class order of that length is known.
    """
    faces = read_labelled(dataset, limit, seed)
    inputs = list_inputs(model.card.input)
    predictions = _race(model, faces, inputs, has_classes, has_size, progress)
    candidates = sorted(
        (
            candidate
            for spec, indices in predictions.items()
            for candidate in compare_orders(model, spec, indices, faces.labels, has_classes)
        ),
        key=lambda candidate: (-candidate.accuracy, candidate.order != CARD, candidate.input != model.card.input),
    )
    card = next((each for each in candidates if each.order == CARD and each.input == model.card.input), None)
    count = len(inputs) * len(candidates) // len(predictions)
    best = _select(candidates, card, model.card.input, predictions, faces.labels, ALPHA / count)
    n = len(faces.labels)
    return CardSearch(tuple(_best_per_input(candidates)), card, best, n, _conclude(best, card, n))


def apply_suggestion(report: Report, search: CardSearch) -> Report:
    """Return the report with the suggested card, if it is another one."""
    if search.best == search.card:
        return report
    card = {**report.card, "classes": list(search.best.classes), "input": describe_input(search.best.input)}
    reason = f"suggested by {search.n} labelled faces"
    assumed = {name: other for name, other in report.assumed.items() if name.partition(".")[0] not in card}
    missing = tuple(line for line in report.missing if not line.startswith("classes:"))
    return replace(
        report,
        card=card,
        assumed=assumed | {"classes": reason, "input": reason},
        missing=(*missing, CHECK_CARD),
    )


def _race(
    model: Model,
    faces: LabelledFaces,
    inputs: Sequence[InputSpec],
    has_classes: bool,
    has_size: bool,
    progress: Progress,
) -> dict[InputSpec, Predictions]:
    """Return the predictions of the best inputs on all images; the others are dropped after the first images.

    Other sizes are tried with the best input, where the card has none.
    """
    seen: dict[InputSpec, Predictions] = {}

    def run(specs: Sequence[InputSpec], stop: int, what: str) -> None:
        for spec in _with_progress(specs, progress, what):
            start = len(seen.get(spec, ()))
            part = LabelledFaces(faces.images[start:stop], faces.labels[start:stop])
            new = predict(model, spec, part) if part.images else None
            if new is not None:
                seen[spec] = np.concatenate([seen[spec], new]) if start else new

    def score(spec: InputSpec) -> float:
        labels = faces.labels[: len(seen[spec])]
        return max(each.accuracy for each in compare_orders(model, spec, seen[spec], labels, has_classes))

    def keep(specs: Sequence[InputSpec], count: int) -> list[InputSpec]:
        best = sorted((spec for spec in specs if spec in seen), key=lambda spec: -score(spec))[:count]
        return best + [spec for spec in specs if spec == model.card.input and spec in seen and spec not in best]

    running = list(inputs)
    for images, count in ROUNDS:
        run(running, images, "inputs")
        if not seen:
            raise InterpferError(
                f"model {model.name} fails on all inputs that were tried: check --input-size and --color."
            )
        if images == ROUNDS[-1][0] and not has_size:
            best = keep(running, 1)[0]
            sizes = [replace(best, size=size) for size in COMMON_SIZES if size != best.size]
            run(sizes, images, "sizes")
            running += sizes
        running = keep(running, count)
    run(running, len(faces.images), "best inputs")
    return {spec: seen[spec] for spec in running}


def _with_progress(specs: Sequence[InputSpec], progress: Progress, what: str) -> Iterator[InputSpec]:
    for done, spec in enumerate(specs):
        progress(what, done, len(specs))
        yield spec
    progress(what, len(specs), len(specs))


def _select(
    candidates: Sequence[Candidate],
    card: Candidate | None,
    spec: InputSpec,
    predictions: Mapping[InputSpec, Predictions],
    labels: Sequence[str],
    alpha: float,
) -> Candidate:
    """Return the candidate with the fewest changes among those that are not significantly worse than the first."""

    def is_worse(candidate: Candidate) -> bool:
        """Exact sign test on the same images."""
        best_right, right = (
            is_right(each.classes, predictions[each.input], labels) for each in (candidates[0], candidate)
        )
        gains, losses = int((best_right & ~right).sum()), int((right & ~best_right).sum())
        return gains > losses and bool(binomtest(gains, gains + losses, alternative="greater").pvalue < alpha)

    def count_changes(candidate: Candidate) -> int:
        order = 2 * (candidate.order == SPELLED_OUT) + (card is not None and candidate.classes != card.classes)
        return order + (card is not None and candidate.input != spec)

    return min((each for each in candidates if not is_worse(each)), key=count_changes)


def _best_per_input(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yield the best candidate of each input, and those with the card's class order."""
    seen: set[InputSpec] = set()
    for candidate in candidates:
        if candidate.input not in seen or candidate.order == CARD:
            yield candidate
        seen.add(candidate.input)


def _beats_chance(best: Candidate, n: int) -> bool:
    chance = 1 / len(best.classes)
    return bool(binomtest(round(best.accuracy * n), n, chance, alternative="greater").pvalue <= ALPHA)


def _conclude(best: Candidate, card: Candidate | None, n: int) -> str:
    name = f" ({best.order})" if best.order not in (CARD, SPELLED_OUT) else ""
    classes = f"the classes [{', '.join(best.classes)}]{name}"
    fields = ", ".join(f"{field} {value}" for field, value in describe_input(best.input).items())
    if not _beats_chance(best, n):
        return (
            f"no card classifies significantly better than chance ({best.accuracy:.0%} of {n} faces at best): check "
            "that these are the trained weights and the right output"
        )
    if card is None:
        return f"{best.accuracy:.1%} of {n} faces are right with {classes} and the input {fields}"
    if best == card:
        return f"the card fits: {card.accuracy:.1%} of {n} faces are right, and no alternative is significantly better"
    changes = [
        *([classes] if best.classes != card.classes else []),
        *([f"the input {fields}"] if best.input != card.input else []),
    ]
    return (
        f"the card looks wrong: {card.accuracy:.1%} of {n} faces are right with it, {best.accuracy:.1%} with "
        f"{' and '.join(changes)}"
    )
