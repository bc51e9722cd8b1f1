"""Compares model cards on a few labelled faces, to catch a wrong card before scoring.

A wrong class order or normalisation raises no error; it only makes the accuracy much lower than another card would.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from scipy.stats import binomtest

from interpfer.datasets.base import Dataset
from interpfer.inspection.candidates import (
    CARD,
    SPELLED_OUT,
    Candidate,
    Predictions,
    compare_orders,
    is_right,
)
from interpfer.inspection.labelled import read_labelled
from interpfer.inspection.race import Race
from interpfer.inspection.report import Report
from interpfer.models.input import InputSpec, describe_input
from interpfer.models.model import Model
from interpfer.runtime.progress import Progress, no_progress

ALPHA = 0.05
"""Significance level of all tests together, that of the better card and that against chance."""
CHECK_CARD = "card: check the suggested card, and save it beside the file (--write)"
"""What is missing where the faces suggest another card."""


@dataclass(frozen=True)
class CardSearch:
    """Candidate model cards and the conclusion.

    Attributes:
        attempts: candidates, the best first, with the best class order per input; inputs that were dropped after fewer
            images are last.
        card: the card as it is; None if it has no classes.
        best: the suggested card: of those that are not significantly worse than the best one, the one with the fewest
            changes.
        n: number of images.
        verdict: conclusion in one sentence.
        tests: number of cards among which the suggested one was chosen.
        most_common: share of the most frequent label, which a constant prediction reaches.
    """

    attempts: tuple[Candidate, ...]
    card: Candidate | None
    best: Candidate
    n: int
    verdict: str
    tests: int = 1
    most_common: float = 0.0

    @property
    def beats_chance(self) -> bool:
        """Whether the best card classifies significantly better than chance, and than a constant prediction."""
        return _beats_chance(self.best, self.n, 1 if self.best == self.card else self.tests, self.most_common)

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
    race = Race(model, faces, has_classes, has_size, progress)
    predictions = race.run()
    candidates = sorted(
        (
            candidate
            for spec, indices in predictions.items()
            for candidate in compare_orders(model, spec, indices, faces.labels, has_classes)
        ),
        key=lambda candidate: (-candidate.accuracy, candidate.order != CARD, candidate.input != model.card.input),
    )
    card = next((each for each in candidates if each.order == CARD and each.input == model.card.input), None)
    count = race.tried * len(candidates) // len(predictions)
    level = ALPHA if card is None else ALPHA / count
    best = _select(candidates, card, model.card.input, predictions, faces.labels, level)
    n = len(faces.labels)
    verdict = _conclude(best, card, n, 1 if best == card else count, faces.most_common)
    attempts = (*_best_per_input(candidates), *race.dropped(predictions))
    return CardSearch(attempts, card, best, n, verdict, count, faces.most_common)


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


def _select(
    candidates: Sequence[Candidate],
    card: Candidate | None,
    spec: InputSpec,
    predictions: Mapping[InputSpec, Predictions],
    labels: Sequence[str],
    alpha: float,
) -> Candidate:
    """Return the candidate with the fewest changes among those that are not significantly worse than the first.

    Without a card only the colour counts as a change, as order and range have no default to keep.
    """

    def is_worse(candidate: Candidate) -> bool:
        """Exact sign test on the same images."""
        best_right, right = (
            is_right(each.classes, predictions[each.input], labels) for each in (candidates[0], candidate)
        )
        gains, losses = int((best_right & ~right).sum()), int((right & ~best_right).sum())
        return gains > losses and bool(binomtest(gains, gains + losses, alternative="greater").pvalue < alpha)

    def count_changes(candidate: Candidate) -> int:
        order = 2 * (candidate.order == SPELLED_OUT)
        if card is None:
            return order + (candidate.input.color != spec.color)
        return order + (candidate.classes != card.classes) + (candidate.input != spec)

    return min((each for each in candidates if not is_worse(each)), key=count_changes)


def _best_per_input(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yield the best candidate of each input, and those with the card's class order."""
    seen: set[InputSpec] = set()
    for candidate in candidates:
        if candidate.input not in seen or candidate.order == CARD:
            yield candidate
        seen.add(candidate.input)


def _beats_chance(best: Candidate, n: int, tests: int, most_common: float) -> bool:
    """Exact test; the level is divided by the number of cards among which this one was chosen."""
    chance = max(1 / len(best.classes), most_common)
    return bool(binomtest(round(best.accuracy * n), n, chance, alternative="greater").pvalue <= ALPHA / tests)


def _conclude(best: Candidate, card: Candidate | None, n: int, tests: int, most_common: float) -> str:
    name = f" ({best.order})" if best.order not in (CARD, SPELLED_OUT) else ""
    classes = f"the classes [{', '.join(best.classes)}]{name}"
    fields = ", ".join(f"{field} {value}" for field, value in describe_input(best.input).items())
    if not _beats_chance(best, n, tests, most_common):
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
