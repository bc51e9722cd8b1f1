"""How well the classifier classifies, by names of classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, f1_score, recall_score


@dataclass(frozen=True)
class Classification:
    """The classification of a data set.

    Attributes:
        accuracy: share of labelled images whose predicted class is their label.
        macro_f1: mean of the F1 of the data set's classes.
        recall: per class of the data set.
        confusion: counts; rows true classes, columns predicted ones.
        n: labelled images.
    """

    accuracy: float
    macro_f1: float
    recall: dict[str, float]
    confusion: pd.DataFrame
    n: int


def classify(
    labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str], outputs: Sequence[str]
) -> Classification:
    """Compare labels with predictions; images without a label ("") do not count.

    Args:
        labels: canonical name per image.
        predicted: canonical name per image.
        classes: the data set's classes, in order.
        outputs: the model's classes.
    """
    pairs = [(label, guess) for label, guess in zip(labels, predicted, strict=True) if label]
    columns = [*classes, *(name for name in outputs if name not in classes)]
    if not pairs:
        empty = pd.DataFrame(0, index=list(classes), columns=columns)
        return Classification(np.nan, np.nan, dict.fromkeys(classes, np.nan), empty, 0)
    true, guess = (np.array(column) for column in zip(*pairs, strict=True))
    counts = confusion_matrix(true, guess, labels=columns)[: len(classes)]
    recalls = recall_score(true, guess, labels=list(classes), average=None, zero_division=0)
    return Classification(
        accuracy=float((true == guess).mean()),
        macro_f1=float(f1_score(true, guess, labels=list(classes), average="macro", zero_division=0)),
        recall={name: float(value) for name, value in zip(classes, recalls, strict=True)},
        confusion=pd.DataFrame(counts, index=list(classes), columns=columns),
        n=len(pairs),
    )
