"""The same interface to every classifier: preprocessing, logits, probabilities and layers."""

import hashlib
import html
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.choices import AUTOCAST, COLORS
from interpfer.errors import InterpferError, ModelError
from interpfer.models.card import ModelCard
from interpfer.models.clips import count_clips, repeat_logits, to_clips
from interpfer.models.failures import explain_failure
from interpfer.models.hooks import hooked, unwrap
from interpfer.models.layer_access import LayerAccess
from interpfer.models.output import select_logits
from interpfer.models.preparation import normalise, prepare
from interpfer.models.softmax import (
    LOGITS,
    SIGMOIDS,
    SoftmaxCalls,
    describe_sigmoid,
    describe_softmax,
    is_distribution,
    name_au_output,
    name_output,
    odds,
)
from interpfer.validation import require_choice


class Model(LayerAccess):
    """A trained classifier.

    Attributes:
        name: name in tables.
        module: the network, unwrapped from DataParallel and from compilation.
        card: its model card.
        classes: canonical expressions in output order; none for a network with outputs for action units alone.
        outputs: names of the logits: the classes, or the action units ("AU12") of a network without classes.
        output_kind: "logits", "probabilities" or "log-probabilities", what the network returns; None before it ran.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        card: ModelCard,
        device: str | torch.device = "cpu",
        sha256: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.name = name
        self.module = unwrap(module).to(device)
        self.card = card
        self.classes = card.classes
        self.outputs = card.classes or tuple(f"AU{au}" for au in card.aus)
        self.output_kind: str | None = LOGITS if getattr(self.module, "returns_logits", False) else None
        self._notes = dict.fromkeys(notes)
        self._has_softmax = False
        self._sha256 = sha256
        self._autocast: torch.dtype | None = None

    def __repr__(self) -> str:
        size = self.card.input.size
        return f"Model {self.name}: {type(self.module).__name__}, {size} px {self.card.input.color}, {self.outputs}"

    def _repr_html_(self) -> str:
        """Return a table of the model's properties for a notebook."""
        spec = self.card.input
        facts = {
            "network": type(self.module).__name__,
            "parameters": f"{sum(p.numel() for p in self.module.parameters()):,}",
            "classes": ", ".join(self.outputs),
            "input": f"{spec.size} x {spec.size} {spec.color}",
            "device": str(self.device),
        }
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in facts.items())
        return f"<table><caption>{html.escape(self.name)}</caption>{rows}</table>"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed while it was loaded, and what was found while it ran, one sentence each."""
        return tuple(self._notes)

    @property
    def _parameter(self) -> Tensor:
        return next((p for p in self.module.parameters() if p.is_floating_point()), torch.zeros(()))

    @property
    def sha256(self) -> str:
        """Hash of the checkpoint file, or of the weights of a module in memory."""
        if self._sha256 is not None:
            return self._sha256
        content = hashlib.sha256()
        for name, value in self.module.state_dict().items():
            content.update(name.encode())
            content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return content.hexdigest()

    def to(self, device: str | torch.device) -> "Model":
        """Move the network, and return this model."""
        self.module.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._parameter.device

    @contextmanager
    def autocast(self, kind: str) -> Iterator[None]:
        """Compute in half precision where possible inside the block: faster, but maps of early layers change.

        Args:
            kind: "bf16", "fp16", or "off" for the precision of the weights.

        Raises:
            InterpferError: ``kind`` is not one of these.
        """
        require_choice("autocast", kind, tuple(AUTOCAST))
        dtype = AUTOCAST[kind]
        before, self._autocast = self._autocast, None if dtype is None else getattr(torch, dtype)
        try:
            yield
        finally:
            self._autocast = before

    @property
    def precision(self) -> torch.dtype:
        """Data type of the computation: that of the weights, or of autocast."""
        return self._autocast or self._parameter.dtype

    def for_prepared(self) -> "Model":
        """Return this model for images that ``FaceStream`` has prepared: ``preprocess`` only normalises them."""
        spec = self.card.input
        if spec.is_whole:
            return self
        card = replace(self.card, input=replace(spec, resize=None, crop=None, pad=None))
        return Model(self.name, self.module, card, self.device, self._sha256, self.notes)

    def preprocess(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c s s"]:
        """Return the input of the network: pictures padded, resized and cropped as its card says, normalised.

        Images of ``FaceStream`` are prepared already; ``normalise`` takes those.

        Args:
            images: (n, 3, h, w) RGB in [0, 1].
        """
        return self.normalise(self.resize(images))

    def resize(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 s s"]:
        """Return what the network sees of pictures, at its input size."""
        return prepare(images, self.card.input)

    def normalise(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n c s s"]:
        """Return images of the input size in the model's channels, range, data type and device."""
        x = images.to(self.device, torch.float32)
        return normalise(x, self.card.input).to(self._parameter.dtype)

    def logits(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n k"]:
        """Run the network on preprocessed input, and return its logits; of a softmax at its end, what it is given.

        Of a classifier of clips, x holds whole clips, and each frame has the logits of its clip.

        Raises:
            ModelError: the output does not hold one logit per class, or x holds no whole clips.
        """
        if not self.classes:
            return self._au_logits(x)
        logits = self._class_logits(x, count_clips(len(x), self.frames, self.name))
        return logits if self.frames == 1 else repeat_logits(logits, self.frames)

    def _class_logits(self, x: Float[Tensor, "m c s s"], n: int) -> Float[Tensor, "n k"]:
        if self.output_kind is not None and not self._has_softmax:
            return self.select(self.forward(x), n)
        with SoftmaxCalls() as calls:
            scores = self.select(self.forward(x), n)
        if self.output_kind is None and n:
            self.output_kind = name_output(scores, self.precision)
            if self.output_kind != LOGITS:
                self._has_softmax = calls.logits_of(scores) is not None
                self._notes[describe_softmax(self.output_kind, self._has_softmax)] = None
        logits = calls.logits_of(scores) if self._has_softmax else None
        return scores if logits is None else logits

    def _au_logits(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n k"]:
        """Return the logits of action units; of a sigmoid at the end of the network, what it is given."""
        with SoftmaxCalls(SIGMOIDS) as calls:
            scores = self.select(self.forward(x), len(x))
        logits: Tensor | None = calls.logits_of(scores) if len(x) else None
        kind, is_certain = (self.output_kind, False) if self.output_kind else name_au_output(scores)
        if is_certain:
            self.output_kind = kind
            self._notes |= {} if kind == LOGITS else {describe_sigmoid(logits is not None): None}
        if logits is not None:
            return logits
        return scores if kind == LOGITS else odds(scores)

    def require_classes(self) -> None:
        """Check that there are classes.

        Raises:
            ModelError: the network has outputs for action units alone.
        """
        if not self.classes:
            raise ModelError(f"model {self.name} has AU outputs and no classes: score it, with --target au.")

    def for_aus(self) -> "Model":
        """Return this network as a classifier of action units: ``outputs`` are those, and there are no classes.

        Raises:
            ModelError: its card names no output for action units.
        """
        if not self.card.aus:
            raise ModelError(
                f"model {self.name} has no AU output: write aus (FACS numbers in output order) and aus_output into its "
                "card, or leave out --target au."
            )
        if not self.classes:
            return self
        card = replace(self.card, classes=(), output=None)
        head = Model(self.name, self.module, card, self.device, self._sha256, self.notes)
        head._autocast = self._autocast
        return head

    def predict_logits(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n k"]:
        """Return the logits of images of the input size, computed in evaluation mode and without gradients."""
        with hooked(self.module, {}), torch.no_grad():
            return self.logits(self.normalise(images))

    def probabilities(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Return the probability of each class: the softmax, unless they are probabilities already.

        Args:
            logits: what ``logits`` returns; where the network returns probabilities and their logits are not found, a
                row without negative values that sums to 1 is returned as it is.
        """
        if not self.classes:
            return logits.sigmoid()
        if self._has_softmax or self.output_kind == LOGITS:
            return logits.softmax(1)
        return torch.where(is_distribution(logits, self.precision)[:, None], logits, logits.softmax(1))

    def predict_probabilities(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n k"]:
        """Return the probabilities of images of the input size; see ``predict_logits``."""
        return self.probabilities(self.predict_logits(images))

    def forward(self, x: Float[Tensor, "n c s s"]) -> Any:
        """Run the network on preprocessed input, and return its output as it is.

        Raises:
            ModelError: the network raises; the message says what it was given and what may help.
        """
        try:
            return self.run(x)
        except (InterpferError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # the network of a user may raise anything
            raise explain_failure(self.name, self.card, x, error, self.run) from error

    def run(self, x: Float[Tensor, "n c s s"]) -> Any:
        """Run the network as ``forward`` does, but let through what it raises."""
        with torch.autocast(x.device.type, self._autocast, enabled=self._autocast is not None):
            return self.module(to_clips(x, self.card.input), **self.card.forward_args)

    def select(self, output: Any, n: int) -> Float[Tensor, "n k"]:
        """Return the logits in an output of the network.

        Args:
            output: return value of ``forward``.
            n: size of the batch.

        Raises:
            ModelError: no part of it, or more than one, has one logit per class.
        """
        card, is_au = self.card, not self.classes
        place = (card.aus_output or card.output) if is_au else card.output
        return select_logits(output, n, place, self.outputs, self.name, is_au)

    @property
    def noise(self) -> Tensor:
        """One preprocessed input of seeded noise: a picture, or the frames of a clip."""
        channels, size = COLORS[self.card.input.color], self.card.input.size
        noise = torch.randn(self.frames, channels, size, size, generator=torch.Generator().manual_seed(0))
        return noise.to(self.device, self._parameter.dtype)
