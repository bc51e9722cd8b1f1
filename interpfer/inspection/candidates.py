"""Candidate model cards, and their accuracy on labelled faces.

A candidate is an input (size, colour, normalisation) and a class order. Each input needs a forward pass; all class
orders are then compared on the same predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpfer.choices import COLORS
from interpfer.errors import InterpferError, ModelError
from interpfer.inspection.labelled import LabelledFaces
from interpfer.labels import CLASS_ORDERS
from interpfer.models.input import GEOMETRY, InputSpec, parse_input
from interpfer.models.model import Model
from interpfer.models.preparation import prepare_pixels
from interpfer.statistics.classification import better_order

CARD, SPELLED_OUT = "card", "spelled out"
"""Names of the card's class order, and of an order that no known data set uses."""
NORMALISATIONS_TRIED = ("none", "bytes", "half", "imagenet", "caffe")
BATCH = 16
"""Images in a forward pass."""

Predictions = NDArray[np.int64]


@dataclass(frozen=True)
class Candidate:
    """One model card and its accuracy on labelled images.

    Attributes:
        input: input of the model.
        order: name of the class order, "card", or "spelled out".
        classes: class order.
        accuracy: share of images that are classified correctly.
        n: number of images.
    """

    input: InputSpec
    order: str
    classes: tuple[str, ...]
    accuracy: float
    n: int


def list_inputs(spec: InputSpec) -> list[InputSpec]:
    """Return the card's input, then other plausible ones of the same size and number of channels."""
    colors = [color for color, channels in COLORS.items() if channels == COLORS[spec.color]]
    geometry = {name: getattr(spec, name) for name in GEOMETRY}
    others = [
        replace(parse_input({"size": spec.size, "color": color, "mean": name}, "candidate"), **geometry)
        for color in colors
        for name in NORMALISATIONS_TRIED
    ]
    return list(dict.fromkeys([spec, *others]))


def predict(model: Model, spec: InputSpec, faces: LabelledFaces) -> Predictions | None:
    """Return the index of the largest logit per image; None if the network does not accept the input."""
    candidate = Model(model.name, model.module, replace(model.card, input=spec), model.device)
    predictions: list[Tensor] = []
    for start in range(0, len(faces.images), BATCH):
        batch = [prepare_pixels(np.array(image), spec) for image in faces.images[start : start + BATCH]]
        try:
            predictions.append(candidate.predict_logits(torch.stack(batch)).argmax(1).cpu())
        except (ModelError, RuntimeError):
            return None
    return torch.cat(predictions).numpy()


def is_right(classes: Sequence[str], predictions: Predictions, labels: Sequence[str]) -> NDArray[np.bool_]:
    """Return for each image whether the prediction is its label, under a class order."""
    return np.array([classes[index] == label for index, label in zip(predictions, labels, strict=True)])


def compare_orders(
    model: Model, spec: InputSpec, predictions: Predictions, labels: Sequence[str], has_classes: bool
) -> list[Candidate]:
    """Return a candidate per class order of that length, and one with a better order if there clearly is one.

    Args:
        model: the model.
        spec: its input.
        predictions: index of the largest logit per image.
        labels: expression per image.
        has_classes: whether the card names the classes.

    Raises:
        InterpferError: no order of that length is known.
    """
    count = len(model.classes)
    orders = {CARD: model.classes} if has_classes else {}
    orders |= {name: order for name, order in CLASS_ORDERS.items() if len(order) == count and order != model.classes}
    if not orders:
        raise InterpferError(
            f"model {model.name} has {count} outputs, but no order of {count} classes is known; pass --classes."
        )
    n = len(labels)
    candidates = [
        Candidate(spec, name, order, float(np.mean(is_right(order, predictions, labels))), n)
        for name, order in orders.items()
    ]
    best = max(candidates, key=lambda candidate: candidate.accuracy)
    predicted = [best.classes[index] for index in predictions]
    confusion = pd.crosstab(pd.Series(labels, name="true"), pd.Series(predicted, name="predicted"))
    better = better_order(confusion, best.classes)
    if better is None:
        return candidates
    return [*candidates, Candidate(spec, SPELLED_OUT, better[0], better[2], n)]
