"""Finds the output of a network with several heads that classifies labelled faces."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from interpfer.errors import InterpferError
from interpfer.inspection.candidates import batch_size, is_right, list_inputs
from interpfer.inspection.kinds import EXPRESSIONS, FEATURES, list_tensors
from interpfer.inspection.labelled import LabelledFaces
from interpfer.inspection.report import Head, Report
from interpfer.labels import CLASS_ORDERS
from interpfer.models.model import Model
from interpfer.models.output import stack_vectors
from interpfer.models.preparation import prepare_pixels
from interpfer.runtime.progress import Progress, no_progress

TRIED_INPUTS, TRIED_FACES = 5, 42
"""Inputs and faces on which the outputs are compared."""
ALPHA = 0.05
"""Significance level of all tests together."""


@dataclass(frozen=True)
class HeadTrial:
    """The outputs of a network, compared on labelled faces.

    Attributes:
        heads: every output and slice that was tried, the best first.
        best: value of ``output:`` of the one that classifies; "" where none beats chance.
        verdict: conclusion in one sentence.
    """

    heads: tuple[Head, ...]
    best: str
    verdict: str


def needs_trial(report: Report) -> bool:
    """Return whether it is open which output of a network holds the expressions.

    Args:
        report: an inspection without labelled faces.
    """
    if "output" in report.card or not report.heads:
        return False
    lengths = {len(order) for order in CLASS_ORDERS.values()}
    is_open = "classes" in report.assumed and report.output_count is not None and report.output_count not in lengths
    return is_open or any(line.startswith(("output:", "classes: model")) for line in report.missing)


def try_heads(model: Model, faces: LabelledFaces, progress: Progress = no_progress) -> HeadTrial:
    """Find the output, or the slice of one, that classifies labelled faces, with any known class order.

    Args:
        model: a model whose card names no output.
        faces: labelled faces.
        progress: receives the progress.

    Raises:
        InterpferError: the network fails on all inputs that were tried, or no output has as many values as a known
            order of classes.
    """
    faces = faces.first(TRIED_FACES)
    found: dict[str, Head] = {}
    inputs = list(list_inputs(model.card.input))[:TRIED_INPUTS]
    for done, spec in enumerate(inputs):
        progress("outputs", done, len(inputs))
        candidate = Model(model.name, model.module, replace(model.card, input=spec), model.device)
        for head in _score_heads(candidate, faces):
            if head.output not in found or _accuracy(head) > _accuracy(found[head.output]):
                found[head.output] = head
    progress("outputs", len(inputs), len(inputs))
    if not found:
        raise InterpferError(f"model {model.name} has no output of {EXPRESSIONS[0]} or more values: check --output.")
    heads = tuple(sorted(found.values(), key=lambda head: (-_accuracy(head), len(head.output), head.output)))
    best, n = heads[0], len(faces.labels)
    tests = len(heads) * len(CLASS_ORDERS) * len(inputs)
    chance = max(1 / len(CLASS_ORDERS[best.order]), faces.most_common)
    if binomtest(round(_accuracy(best) * n), n, chance, alternative="greater").pvalue > ALPHA / tests:
        share = f"{_accuracy(best):.0%} of {n} faces at best"
        return HeadTrial(heads, "", f"no output classifies significantly better than chance ({share})")
    rival = next((head for head in heads[1:] if _place(head) != _place(best)), None)
    beside = f", with the next other output {_accuracy(rival):.1%}" if rival is not None else ""
    verdict = f"output {best.output} classifies: {_accuracy(best):.1%} of {n} faces are right{beside}"
    return HeadTrial(heads, best.output, verdict)


def _score_heads(model: Model, faces: LabelledFaces) -> list[Head]:
    """Return the accuracy of each output and slice that may be expressions; none where the network fails."""
    parts: dict[str, list[NDArray[np.float32]]] = {}
    step = batch_size(model.card.input)
    for start in range(0, len(faces.images), step):
        images = [prepare_pixels(np.array(image), model.card.input) for image in faces.images[start : start + step]]
        n = len(images)
        try:
            with torch.no_grad():
                output = stack_vectors(model.run(model.normalise(torch.stack(images).to(model.device))), n)
        except (InterpferError, RuntimeError):
            return []
        for key, value in list_tensors(output):
            if value.dim() > 1 and len(value) == n and value[0].numel() == value.shape[1]:
                parts.setdefault(key, []).append(value.reshape(n, -1).float().cpu().numpy())
    return [head for key, values in parts.items() for head in _score_slices(key, np.concatenate(values), faces)]


def _score_slices(key: str, values: NDArray[np.float32], faces: LabelledFaces) -> Iterator[Head]:
    """Yield the accuracy of a vector and of its slices, each with the best of the orders of its length."""
    for text, start, stop in _list_slices(key, values.shape[1]):
        predictions = values[:, start:stop].argmax(1)
        rights = {
            name: float(is_right(order, predictions, faces.labels).mean())
            for name, order in CLASS_ORDERS.items()
            if len(order) == stop - start
        }
        if rights:
            best = max(rights, key=lambda name: rights[name])
            guess = f"{stop - start} of {values.shape[1]} values of {key or 'the output'}"
            yield Head(text, str(stop - start), guess, rights[best], best, len(faces.labels))


def _list_slices(key: str, width: int) -> Iterator[tuple[str, int, int]]:
    """Yield the whole vector, and its first and last 8 and 7 values, as a card writes them."""
    first, last = EXPRESSIONS
    if first <= width <= last:
        yield key, 0, width
    if not first < width < FEATURES:
        return
    for count in (8, 7):
        if count < width:
            yield f"{key}[:{count}]" if key else f":{count}", 0, count
            yield f"{key}[{width - count}:]" if key else f"{width - count}:", width - count, width


def _accuracy(head: Head) -> float:
    return head.accuracy or 0.0


def _place(head: Head) -> str:
    return head.output.partition("[")[0]
