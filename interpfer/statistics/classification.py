"""Accuracy and other scores of a classification, by names of classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from interpfer.errors import MAX_LISTED
from interpfer.labels import CLASS_ORDERS, list_names

CALIBRATION_BINS = 15
ORDER_GAIN = 0.10
"""Gain in accuracy from which on another order of the classes is reported."""
ORDER_LEVEL = 0.01
"""Level of significance of that gain."""


@dataclass(frozen=True)
class Classification:
    """Scores of the classification of a data set.

    Attributes:
        accuracy: share of labelled images whose predicted class is their label.
        balanced_accuracy: mean recall of the data set's classes.
        macro_f1: mean of the F1 of the data set's classes.
        recall: per class of the data set.
        precision: per class of the data set.
        f1: per class of the data set.
        support: number of images per class of the data set.
        ece: expected calibration error of the predicted class (15 bins of equal width), NaN without confidences.
        mse: mean squared difference of class indices, which the reference reports; not meaningful by itself.
        mae: mean absolute difference of class indices, likewise.
        confusion: counts; rows true classes, columns predicted classes.
        n: number of labelled images.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    recall: dict[str, float]
    precision: dict[str, float]
    f1: dict[str, float]
    support: dict[str, int]
    ece: float
    mse: float
    mae: float
    confusion: pd.DataFrame
    n: int

    def facts(self) -> dict[str, Any]:
        """Return the entries of run.json."""
        shares = self.confusion.div(self.confusion.sum(axis=1).replace(0, np.nan), axis=0)
        names = ("n", "accuracy", "balanced_accuracy", "macro_f1", "ece", "mse", "mae")
        tables = ("recall", "precision", "f1", "support")
        return {name: getattr(self, name) for name in (*names, *tables)} | {
            "confusion_normalised": {str(true): row.to_dict() for true, row in shares.iterrows()}
        }


def classify(
    labels: Sequence[str],
    predicted: Sequence[str],
    classes: Sequence[str],
    outputs: Sequence[str],
    confidence: Sequence[float] | None = None,
) -> Classification:
    """Compare labels with predictions; images without a label ("") and classes without an image do not count.

    Args:
        labels: canonical name per image.
        predicted: canonical name per image.
        classes: the data set's classes, in order.
        outputs: the model's classes.
        confidence: probability of the predicted class per image.

    Examples:
        >>> classes = ["anger", "fear"]
        >>> result = classify(["anger", "fear", "fear"], ["anger", "fear", "anger"], classes, classes)
        >>> round(result.accuracy, 4), result.balanced_accuracy, result.recall
        (0.6667, 0.75, {'anger': 1.0, 'fear': 0.5})
    """
    columns = [*classes, *(name for name in outputs if name not in classes)]
    known = np.array([bool(label) for label in labels], bool)
    if not known.any():
        nan, undefined = float("nan"), dict.fromkeys(classes, float("nan"))
        empty = pd.DataFrame(0, index=list(classes), columns=columns)
        support = dict.fromkeys(classes, 0)
        return Classification(nan, nan, nan, undefined, undefined, undefined, support, nan, nan, nan, empty, 0)
    place = {name: index for index, name in enumerate(columns)}  # numbers take less memory than names
    true = np.array([place[name] for name in labels if name])
    guess = np.array([place[name] for name, label in zip(predicted, labels, strict=True) if label])
    counts = confusion_matrix(true, guess, labels=range(len(columns)))[: len(classes)]
    table = precision_recall_fscore_support(true, guess, labels=range(len(classes)), average=None, zero_division=0)
    precision, recall, f1, support = (dict(zip(classes, column.tolist(), strict=True)) for column in table)
    present = [name for name in classes if support[name]]
    difference = true - guess
    probability = None if confidence is None else np.asarray(confidence, float)[known]
    return Classification(
        accuracy=float((true == guess).mean()),
        balanced_accuracy=float(np.mean([recall[name] for name in present])),
        macro_f1=float(np.mean([f1[name] for name in present])),
        recall=recall,
        precision=precision,
        f1=f1,
        support={name: int(count) for name, count in support.items()},
        ece=np.nan if probability is None else calibration_error(probability, true == guess),
        mse=float((difference**2).mean()),
        mae=float(np.abs(difference).mean()),
        confusion=pd.DataFrame(counts, index=list(classes), columns=columns),
        n=len(true),
    )


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error (Guo et al. 2017, arXiv 1706.04599): bins of equal width, open below."""
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS) - 1, 0, CALIBRATION_BINS - 1).astype(int)
    gaps = np.bincount(bins, confidence - correct, CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def better_order(confusion: pd.DataFrame, outputs: Sequence[str]) -> tuple[tuple[str, ...], float, float] | None:
    """Return an order of the classes with a much higher accuracy, and the accuracy before and after, or None.

    The best of all k! orders is searched for, so the p-value of the exact sign test over images that become correct or
    wrong is compared with a level divided by k!.

    Args:
        confusion: counts; rows true classes, columns predicted classes.
        outputs: the model's classes in output order.
    """
    names = list(outputs)
    counts = confusion.reindex(index=names, columns=names, fill_value=0).to_numpy()
    total = int(confusion.to_numpy().sum())
    rows, columns = linear_sum_assignment(counts, maximize=True)
    order = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    moved = [column for column, row in order.items() if row != column]
    if not moved:
        return None
    gained = int(sum(counts[order[column], column] for column in moved))
    lost = int(sum(counts[column, column] for column in moved))
    if gained - lost < ORDER_GAIN * total:
        return None
    p = binomtest(gained, gained + lost, alternative="greater").pvalue
    if p >= ORDER_LEVEL / np.exp(gammaln(len(names) + 1)):
        return None
    before = int(np.trace(counts))
    better = tuple(names[order[column]] for column in range(len(names)))
    return better, before / total, (before + gained - lost) / total


def wrong_order(confusion: pd.DataFrame, outputs: Sequence[str]) -> str | None:
    """Return a warning where another order of the model's classes would have a much higher accuracy, or None.

    Args:
        confusion: counts; rows true classes, columns predicted classes.
        outputs: the model's classes in output order.
    """
    better = better_order(confusion, outputs)
    if better is None:
        return None
    order, before, after = better
    known = next((f" (the order {name})" for name, known in CLASS_ORDERS.items() if known == order), "")
    lists = f"It lists [{', '.join(outputs)}]; the data suggest [{', '.join(order)}]{known}."
    if len(order) > MAX_LISTED:
        moved = [f"{new} for {old}" for old, new in zip(outputs, order, strict=True) if old != new]
        lists = f"The data suggest {list_names(moved)}{known}."
    return (
        f"another order of the model's classes would raise accuracy from {before:.1%} to {after:.1%}; the card may "
        f"list them in the wrong order. {lists}"
    )
