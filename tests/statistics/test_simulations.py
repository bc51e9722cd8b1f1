"""Simulated data sets: how often a difference is found where there is none, and how often intervals cover the truth."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from interpfer.statistics.bootstrap import Array, Rows
from interpfer.statistics.comparison import compare_accuracy, compare_scores
from interpfer.statistics.summary import Summary, summarise_table

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
SIZES = [(40, 6), (70, 14)]
"""Numbers of people, and of images of each."""

SCORES: dict[str, tuple[Callable[[np.random.Generator, tuple[int, int]], Array], float]] = {
    "normal": (lambda rng, shape: rng.normal(0.4, 0.1, shape), 0.4),
    "beta": (lambda rng, shape: rng.beta(1, 4, shape), 0.2),
}
"""Distribution -> draws, and their mean."""


def share(hits: list[bool]) -> float:
    return float(np.mean(hits))


def covers(summaries: list[list[Summary]], mean: float, group: int = 0) -> float:
    return share([rows[group].low <= mean <= rows[group].high for rows in summaries])


def people_of(rng: np.random.Generator, people: int, images: int) -> tuple[Rows, Rows]:
    return np.repeat(np.arange(people), images), rng.integers(0, len(CLASSES), people * images)


@pytest.mark.parametrize(("people", "images"), SIZES)
def test_scores_without_a_difference_are_rejected_in_one_case_of_twenty(people: int, images: int) -> None:
    rng = np.random.default_rng(people)
    by_test, by_interval, naive = [], [], []
    for turn in range(3):
        person, classes = people_of(rng, people, images)
        a, b = (rng.normal(size=(people, 300))[person] + rng.normal(size=(people * images, 300)) for _ in range(2))
        lines = compare_scores(a, b, classes, CLASSES, turn, person)
        by_test += [line.p < 0.05 for line in lines]
        by_interval += [line.low > 0 or line.high < 0 for line in lines]
        naive += [line.p < 0.05 for line in compare_scores(a[:, :100], b[:, :100], classes, CLASSES, turn)]
    assert 0.03 <= share(by_test) <= 0.07
    assert 0.03 <= share(by_interval) <= 0.07
    assert share(naive) > 0.15  # images of one person are not independent


@pytest.mark.parametrize(("people", "images"), SIZES)
def test_accuracies_without_a_difference_are_rejected_in_one_case_of_twenty(people: int, images: int) -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(people), images)

    def correct() -> NDArray[np.bool_]:
        logits = rng.logistic(size=people)[person] + 0.5  # as large as the deviation within people
        return logits + rng.logistic(size=len(person)) > 0

    lines = [compare_accuracy(correct(), correct(), seed, person) for seed in range(500)]
    assert 0.03 <= share([line.p < 0.05 for line in lines]) <= 0.07
    assert 0.03 <= share([line.low > 0 or line.high < 0 for line in lines]) <= 0.07


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("per_class", [5, 10, 30])
def test_intervals_over_images_cover_the_mean(per_class: int, name: str) -> None:
    draw, mean = SCORES[name]
    classes = np.repeat(np.arange(len(CLASSES)), per_class)
    rng, summaries = np.random.default_rng(per_class), list[list[Summary]]()
    for turn in range(4):
        summaries += summarise_table(draw(rng, (len(classes), 400)), classes, CLASSES, turn)
    assert 0.93 <= covers(summaries, mean) <= 0.97
    assert 0.93 <= covers(summaries, mean, 1) <= 0.97
    assert covers(summaries, mean, 2) >= (0.93 if name == "normal" else 0.90)  # a single class


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("people", [5, 10, 30])
def test_intervals_over_people_cover_the_mean(people: int, name: str) -> None:
    draw, mean = SCORES[name]
    rng, summaries = np.random.default_rng(people), list[list[Summary]]()
    person = np.repeat(np.arange(6 * people), 3)
    classes = person % 6  # each person shows one expression three times
    for turn in range(4):
        scores = (draw(rng, (6 * people, 300))[person] + draw(rng, (len(person), 300))) / 2
        summaries += summarise_table(scores, classes, CLASSES, turn, person)
    assert 0.93 <= covers(summaries, mean) <= 0.97


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("people", [10, 40])
def test_intervals_over_people_who_show_all_expressions_cover_the_mean(people: int, name: str) -> None:
    draw, mean = SCORES[name]
    rng, summaries = np.random.default_rng(people), list[list[Summary]]()
    person, classes = np.repeat(np.arange(people), 6), np.tile(np.arange(6), people)
    for turn in range(4):
        scores = (draw(rng, (people, 300))[person] + draw(rng, (len(person), 300))) / 2
        summaries += summarise_table(scores, classes, CLASSES, turn, person)
    assert 0.93 <= covers(summaries, mean) <= 0.97


def test_intervals_of_paired_differences_cover_a_true_difference() -> None:
    rng = np.random.default_rng(0)
    classes, hits = np.repeat(np.arange(6), 5), list[bool]()
    for turn in range(4):
        a = rng.beta(1, 4, (30, 300))
        b = a + 0.1 * rng.beta(1, 4, (30, 300))
        hits += [line.low <= 0.02 <= line.high for line in compare_scores(a, b, classes, CLASSES, turn)]
    assert 0.93 <= share(hits) <= 0.97
