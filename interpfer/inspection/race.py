"""Compares inputs of a network by their accuracy on the first labelled faces, and drops the worst step by step.

A forward pass per input and image is what an inspection costs, so few inputs see many images: normalisations are
compared first, then sizes and colours with the best normalisations, and only the best two and the card's see all
images.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from interpfer.errors import InterpferError
from interpfer.inspection.candidates import Candidate, Predictions, compare_orders, is_right, list_inputs, predict
from interpfer.inspection.forward import COMMON_SIZES
from interpfer.inspection.labelled import LabelledFaces
from interpfer.models.input import GEOMETRY, InputSpec
from interpfer.models.model import Model
from interpfer.models.preparation import prepare_pixels
from interpfer.runtime.progress import Progress

FIRST, SECOND, THIRD, FOURTH = 12, 24, 48, 84
"""Images after which inputs are compared; they are the first images."""
NORMALISATIONS_KEPT, FIRST_KEPT, SECOND_KEPT, LAST_KEPT = 3, 6, 3, 2
"""Inputs that stay after each comparison, beside the card's."""
ALPHA = 0.05
"""Significance level at which an input is dropped before it saw all images."""


@dataclass
class Race:
    """The inputs of a network, and what each has predicted so far.

    Attributes:
        model: the model whose card is checked.
        faces: labelled faces.
        has_classes: whether the card names the classes.
        has_size: whether the card has the input size; otherwise common sizes are tried.
        progress: receives the progress in images.
        seen: predictions per input, for the first images.
    """

    model: Model
    faces: LabelledFaces
    has_classes: bool
    has_size: bool
    progress: Progress
    seen: dict[InputSpec, Predictions] = field(default_factory=dict)
    _prepared: dict[InputSpec, list[Tensor]] = field(default_factory=dict)

    @property
    def tried(self) -> int:
        """Number of inputs that the network accepted."""
        return len(self.seen)

    def run(self) -> dict[InputSpec, Predictions]:
        """Return the predictions of the best inputs, and of the card's, on all images.

        Raises:
            InterpferError: the network fails on all inputs, or no class order of that length is known.
        """
        card = self.model.card.input
        inputs = list_inputs(card)
        first = [spec for spec in inputs if spec.color == card.color]
        self._predict(first, FIRST, "inputs")
        if not self.seen:
            raise InterpferError(
                f"model {self.model.name} fails on all inputs that were tried: check --input-size and --color."
            )
        if not self.has_size:
            kept = self._best(first, NORMALISATIONS_KEPT)
            sizes = [replace(spec, size=size) for spec in kept for size in COMMON_SIZES if size != spec.size]
            self._predict(sizes, FIRST, "sizes")
            first += sizes
        kept = self._best(first, NORMALISATIONS_KEPT)
        colors = [color for spec in kept for color in _other_colors(spec, inputs, card.size)]
        self._predict(colors, FIRST, "colours")
        running = self._best([*first, *colors], FIRST_KEPT)
        self._predict(running, SECOND, "best inputs")
        running = self._best(running, SECOND_KEPT)
        self._predict(running, THIRD, "best inputs")
        running = self._not_worse(self._best(running, SECOND_KEPT))
        self._predict(running, FOURTH, "best inputs")
        running = self._not_worse(self._best(running, LAST_KEPT))
        self._predict(running, len(self.faces.images), "all images")
        return {spec: self.seen[spec] for spec in running}

    def dropped(self, running: Collection[InputSpec]) -> list[Candidate]:
        """Return the best class order of each other input, those that saw most images first."""
        others = [self._leader(spec) for spec in self.seen if spec not in running]
        return sorted(others, key=lambda candidate: (-candidate.n, -candidate.accuracy))

    def _predict(self, specs: Sequence[InputSpec], stop: int, what: str) -> None:
        """Predict the first images with each input; inputs that the network does not accept are left out."""
        stop = min(stop, len(self.faces.images))
        starts = [len(self.seen.get(spec, ())) for spec in specs]
        total, done = sum(stop - start for start in starts), 0
        for spec, start in zip(specs, starts, strict=True):
            self.progress(what, done, total)
            new = predict(self.model, spec, self._prepare(spec, start, stop)) if start < stop else None
            if new is not None:
                self.seen[spec] = np.concatenate([self.seen[spec], new]) if start else new
            done += stop - start
        self.progress(what, total, total)

    def _prepare(self, spec: InputSpec, start: int, stop: int) -> Tensor:
        """Return prepared images; inputs of one size and geometry share them."""
        shape = InputSpec(spec.size, **{name: getattr(spec, name) for name in GEOMETRY})
        ready = self._prepared.setdefault(shape, [])
        ready += [prepare_pixels(np.array(image), shape) for image in self.faces.images[len(ready) : stop]]
        return torch.stack(ready[start:stop])

    def _best(self, specs: Sequence[InputSpec], count: int) -> list[InputSpec]:
        """Return the inputs with the highest accuracy, and the card's input."""
        running = [spec for spec in specs if spec in self.seen]
        best = sorted(running, key=lambda spec: -self._leader(spec).accuracy)[:count]
        return best + [spec for spec in running if spec == self.model.card.input and spec not in best]

    def _leader(self, spec: InputSpec) -> Candidate:
        """Return the best class order of an input on what it has seen."""
        labels = self.faces.labels[: len(self.seen[spec])]
        orders = compare_orders(self.model, spec, self.seen[spec], labels, self.has_classes)
        return max(orders, key=lambda candidate: candidate.accuracy)

    def _not_worse(self, specs: Sequence[InputSpec]) -> list[InputSpec]:
        """Return the inputs, the best first, without others that are significantly worse; the card's stays."""
        rights = [is_right(self._leader(spec).classes, self.seen[spec], self._labels(spec)) for spec in specs]
        return [
            spec
            for spec, right in zip(specs, rights, strict=True)
            if spec == self.model.card.input or not _is_worse(right, rights[0])
        ]

    def _labels(self, spec: InputSpec) -> Sequence[str]:
        return self.faces.labels[: len(self.seen[spec])]


def _other_colors(spec: InputSpec, inputs: Mapping[InputSpec, str], size: int) -> list[InputSpec]:
    """Return an input in other colours; ``inputs`` are all at ``size``."""
    name = inputs[replace(spec, size=size)]
    return [
        replace(other, size=spec.size) for other, known in inputs.items() if known == name and other.color != spec.color
    ]


def _is_worse(right: np.ndarray, best: np.ndarray) -> bool:
    gains, losses = int((best & ~right).sum()), int((right & ~best).sum())
    return gains > losses and bool(binomtest(gains, gains + losses, alternative="greater").pvalue < ALPHA)
