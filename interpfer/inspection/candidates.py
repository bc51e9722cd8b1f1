"""Candidate model cards, and their accuracy on labelled faces.

A candidate is an input (size, colour, normalisation) and a class order. Each input needs a forward pass; all class
orders are then compared on the same predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.choices import COLORS
from interpfer.errors import InterpferError, ModelError
from interpfer.labels import CLASS_ORDERS
from interpfer.models.input import GEOMETRY, InputSpec, parse_input
from interpfer.models.model import Model
from interpfer.statistics.classification import better_order

CARD, SPELLED_OUT = "card", "spelled out"
"""Names of the card's class order, and of an order that no known data set uses."""
NORMALISATIONS_TRIED = ("none", "bytes", "half", "imagenet", "caffe")
BATCH_PIXELS = 2**18
"""Pixels in a forward pass: five images of 224 px; more are slower on a processor, whose cache they leave."""

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


def list_inputs(spec: InputSpec) -> dict[InputSpec, str]:
    """Return the card's input, then other plausible ones of the same size and number of channels.

    Args:
        spec: the card's input.

    Returns:
        Input -> name of its normalisation; "" for that of the card where no name is known.

    Examples:
        >>> [name for each, name in list_inputs(InputSpec(64, "gray", mean=(0.5,), std=(0.5,))).items()]
        ['half', 'none', 'bytes', 'imagenet', 'caffe']
    """
    colors = [color for color, channels in COLORS.items() if channels == COLORS[spec.color]]
    geometry = {name: getattr(spec, name) for name in GEOMETRY}
    others = {
        replace(parse_input({"size": spec.size, "color": color, "mean": name}, "candidate"), **geometry): name
        for color in colors
        for name in NORMALISATIONS_TRIED
    }
    return {spec: others.pop(spec, "")} | others


def batch_size(spec: InputSpec) -> int:
    """Return the number of images in a forward pass.

    Examples:
        >>> batch_size(InputSpec(224)), batch_size(InputSpec(48))
        (5, 113)
    """
    return max(BATCH_PIXELS // spec.size**2, 1)


def predict(model: Model, spec: InputSpec, images: Float[Tensor, "n 3 s s"]) -> Predictions | None:
    """Return the index of the largest logit per image; None if the network does not accept the input.

    Args:
        model: the model.
        spec: its input.
        images: images that ``prepare_pixels`` has prepared for that input.
    """
    candidate = Model(model.name, model.module, replace(model.card, input=spec), model.device)
    try:
        logits = [candidate.predict_logits(batch) for batch in torch.split(images, batch_size(spec))]
    except (ModelError, RuntimeError):
        return None
    return torch.cat(logits).argmax(1).cpu().numpy()


def is_right(classes: Sequence[str], predictions: Predictions, labels: Sequence[str]) -> NDArray[np.bool_]:
    """Return for each image whether the prediction is its label, under a class order."""
    return np.array([classes[index] == label for index, label in zip(predictions, labels, strict=True)])


def compare_orders(
    model: Model, spec: InputSpec, predictions: Predictions, labels: Sequence[str], has_classes: bool
) -> list[Candidate]:
    """Return a candidate per class order of that length, and one with a better order if there clearly is one.

    The classes of an image-text model are texts, so that only its own order is right.

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
    if model.card.prompts is not None:
        right = is_right(model.classes, predictions, labels)
        return [Candidate(spec, CARD, model.classes, float(np.mean(right)), n)]
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
