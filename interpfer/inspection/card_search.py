"""Compares model cards on a few labelled faces, to catch a wrong card before scoring.

A wrong class order or normalisation raises no error; it only makes the accuracy much lower than another card would.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

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

SCREENING_IMAGES = 42
"""Images on which all inputs are compared; the best ones are compared on all images."""
MAX_FINALISTS = 5
"""Inputs that are compared on all images, beside the card's."""
ALPHA = 0.05
"""Significance level of all tests together."""


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
    scores = _screen(model, faces.first(SCREENING_IMAGES), inputs, has_classes, has_size, progress)
    finalists = sorted(scores, key=lambda spec: -scores[spec])[:MAX_FINALISTS]
    if model.card.input in scores and model.card.input not in finalists:
        finalists.append(model.card.input)
    attempts = ((spec, predict(model, spec, faces)) for spec in _with_progress(finalists, progress, "best inputs"))
    predictions = {spec: indices for spec, indices in attempts if indices is not None}
    candidates = sorted(
        (
            candidate
            for spec, indices in predictions.items()
            for candidate in compare_orders(model, spec, indices, faces.labels, has_classes)
        ),
        key=lambda candidate: (-candidate.accuracy, candidate.order != CARD, candidate.input != model.card.input),
    )
    card = next((each for each in candidates if each.order == CARD and each.input == model.card.input), None)
    count = len(inputs) * len(candidates) // len(finalists)
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
        missing=(*missing, "card: check the suggested card, and save it beside the file"),
    )


def _screen(
    model: Model,
    faces: LabelledFaces,
    inputs: Sequence[InputSpec],
    has_classes: bool,
    has_size: bool,
    progress: Progress,
) -> dict[InputSpec, float]:
    """Return the accuracy of each input with its best class order; other sizes are tried with the best input."""

    def score(specs: Sequence[InputSpec], what: str) -> dict[InputSpec, float]:
        attempts = ((spec, predict(model, spec, faces)) for spec in _with_progress(specs, progress, what))
        return {
            spec: max(each.accuracy for each in compare_orders(model, spec, indices, faces.labels, has_classes))
            for spec, indices in attempts
            if indices is not None
        }

    scores = score(inputs, "inputs")
    if not scores:
        raise InterpferError(f"model {model.name} fails on all inputs that were tried: check --input-size and --color.")
    if not has_size:
        best = max(scores, key=lambda spec: scores[spec])
        scores |= score([replace(best, size=size) for size in COMMON_SIZES if size != best.size], "sizes")
    return scores


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


def _conclude(best: Candidate, card: Candidate | None, n: int) -> str:
    name = f" ({best.order})" if best.order not in (CARD, SPELLED_OUT) else ""
    classes = f"the classes [{', '.join(best.classes)}]{name}"
    fields = ", ".join(f"{field} {value}" for field, value in describe_input(best.input).items())
    chance = 1 / len(best.classes)
    if binomtest(round(best.accuracy * n), n, chance, alternative="greater").pvalue > ALPHA:
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
