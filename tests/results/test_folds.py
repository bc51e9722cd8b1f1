"""WAR and UAR over folds, by hand."""

import pandas as pd
import pytest

from interpfer.errors import RunError
from interpfer.results.folds import combine_folds
from interpfer.results.run import Run

CLASSES = ["anger", "fear"]


def fold(split: str, counts: list[list[int]], classes: list[str] = CLASSES, images: str = "") -> Run:
    recall = [row[i] / sum(row) for i, row in enumerate(counts)]
    accuracy = sum(row[i] for i, row in enumerate(counts)) / sum(map(sum, counts))
    manifest = {
        "arguments": {"dataset": "dfew", "split": split, "images": images or split},
        "classification": {"accuracy": accuracy, "balanced_accuracy": sum(recall) / len(recall)},
        "clips": {},
    }
    return Run(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(counts, classes, CLASSES), manifest)


def test_both_ways() -> None:
    both = combine_folds([fold("fold1", [[8, 2], [1, 1]]), fold("fold2", [[5, 0], [4, 6]])])
    assert both["folds"] == ["fold1", "fold2"]
    assert (both["n"], both["of"]) == (27, "clips")
    assert both["mean_of_folds"]["WAR"] == pytest.approx((9 / 12 + 11 / 15) / 2)
    assert both["mean_of_folds"]["UAR"] == pytest.approx(((0.8 + 0.5) / 2 + (1.0 + 0.6) / 2) / 2)
    assert both["sum_of_confusion"]["WAR"] == pytest.approx(20 / 27)
    assert both["sum_of_confusion"]["UAR"] == pytest.approx((13 / 15 + 7 / 12) / 2)
    assert both["confusion"].to_numpy().tolist() == [[13, 2], [5, 7]]


def test_a_fold_without_a_class() -> None:
    both = combine_folds([fold("fold1", [[8, 2], [1, 1]]), fold("fold2", [[3, 1]], ["anger"])])
    assert both["confusion"].to_numpy().tolist() == [[11, 3], [1, 1]]
    assert both["sum_of_confusion"]["UAR"] == pytest.approx((11 / 14 + 1 / 2) / 2)


def test_what_is_refused() -> None:
    one = fold("fold1", [[1, 0], [0, 1]])
    with pytest.raises(RunError, match="folds are at least two runs, got 1"):
        combine_folds([one])
    with pytest.raises(RunError, match="runs 1 and 3 are of the same images: pass one run of each fold"):
        combine_folds([one, fold("fold2", [[1, 0], [0, 1]]), one])
    other = fold("test", [[1, 0], [0, 1]])
    other.manifest["arguments"]["dataset"] = "mafw"
    with pytest.raises(RunError, match="folds are of one data set, got dfew, mafw"):
        combine_folds([one, other])
