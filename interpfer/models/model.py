"""The same interface to every classifier: preprocessing, logits, probabilities and layers."""

import hashlib
import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.choices import AUTOCAST, COLORS
from interpfer.errors import ModelError
from interpfer.models.card import ModelCard
from interpfer.models.hooks import hooked
from interpfer.models.input import LUMA, to_square
from interpfer.models.layers import Layer, describe_output_shapes, find_layers, resolve_layers, split_call
from interpfer.models.output import describe_output, find_tensors, stack_vectors
from interpfer.models.program import Program
from interpfer.validation import require_choice

PROBABILITY_TOLERANCE = 1e-4
"""Largest difference from 1 of the sum of a row that counts as probabilities."""


class Model:
    """A trained classifier.

    Attributes:
        name: name in tables.
        module: the network, unwrapped from DataParallel and from compilation.
        card: its model card.
        classes: canonical expressions in output order.
        notes: assumptions made while it was loaded, one sentence each.
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
        self.name = name
        self.module = unwrap(module).to(device)
        self.card = card
        self.classes = card.classes
        self.notes = notes
        self._sha256 = sha256
        self._autocast: torch.dtype | None = None

    def __repr__(self) -> str:
        size = self.card.input.size
        return f"Model {self.name}: {type(self.module).__name__}, {size} px {self.card.input.color}, {self.classes}"

    def _repr_html_(self) -> str:
        """Return a table of the model's properties for a notebook."""
        spec = self.card.input
        facts = {
            "network": type(self.module).__name__,
            "parameters": f"{sum(p.numel() for p in self.module.parameters()):,}",
            "classes": ", ".join(self.classes),
            "input": f"{spec.size} x {spec.size} {spec.color}",
            "device": str(self.device),
        }
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in facts.items())
        return f"<table><caption>{html.escape(self.name)}</caption>{rows}</table>"

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

    def preprocess(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c s s"]:
        """Return the input of the network: images resized (bilinear, antialiased), in its channels, normalised.

        Args:
            images: (n, 3, h, w) RGB in [0, 1].
        """
        return self.normalise(self.resize(images))

    def resize(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 s s"]:
        """Return the images at the model's input size."""
        return to_square(images, self.card.input.size)

    def normalise(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n c s s"]:
        """Return images of the input size in the model's channels, range, data type and device."""
        spec = self.card.input
        x = images.to(self.device, torch.float32)
        if spec.color == "bgr":
            x = x.flip(1)
        elif spec.color in ("gray", "gray3"):
            x = (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True).expand(-1, COLORS[spec.color], -1, -1)
        mean, std = (x.new_tensor(value)[:, None, None] for value in (spec.mean, spec.std))
        return ((x * spec.scale - mean) / std).to(self._parameter.dtype)

    def logits(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n k"]:
        """Run the network on preprocessed input, and return its logits.

        Raises:
            ModelError: the output does not hold one logit per class.
        """
        return self.select(self.forward(x), len(x))

    def predict_logits(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n k"]:
        """Return the logits of images of the input size, computed in evaluation mode and without gradients."""
        with hooked(self.module, {}), torch.no_grad():
            return self.logits(self.normalise(images))

    def probabilities(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Return the probability of each class: the softmax, unless the network returns probabilities already.

        Args:
            logits: output of the network; a row without negative values that sums to 1 is returned as it is.
        """
        is_distribution = (logits >= 0).all(1) & ((logits.sum(1) - 1).abs() < PROBABILITY_TOLERANCE)
        return torch.where(is_distribution[:, None], logits, logits.softmax(1))

    def predict_probabilities(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n k"]:
        """Return the probabilities of images of the input size; see ``predict_logits``."""
        return self.probabilities(self.predict_logits(images))

    def forward(self, x: Float[Tensor, "n c s s"]) -> Any:
        """Run the network on preprocessed input, and return its output as it is."""
        with torch.autocast(x.device.type, self._autocast, enabled=self._autocast is not None):
            return self.module(x, **self.card.forward_args)

    def select(self, output: Any, n: int) -> Float[Tensor, "n k"]:
        """Return the logits in an output of the network.

        Args:
            output: return value of ``forward``.
            n: size of the batch.

        Raises:
            ModelError: no part of it, or more than one, has one logit per class.
        """
        output = stack_vectors(output, n)
        logits = output if self.card.output is None else self.card.output.pick(output, n)
        if self.card.output is None and not isinstance(output, Tensor):
            candidates = [value for _, value in find_tensors(output) if self._is_logits(value, n)]
            if len(candidates) != 1:
                raise ModelError(
                    f"model {self.name} returned {describe_output(output)}: specify which one holds the logits "
                    "(output: in the card, or --output)."
                )
            logits = candidates[0]
        if not isinstance(logits, Tensor) or not self._is_logits(logits, n):
            raise ModelError(
                f"model {self.name} must return {n} x {len(self.classes)} logits, got {describe_output(logits)}; "
                f"its classes are {', '.join(self.classes)}."
            )
        return logits.reshape(n, len(self.classes)).float()

    def _is_logits(self, value: Tensor, n: int) -> bool:
        return value.dim() >= 2 and tuple(value.shape) == (n, len(self.classes), *[1] * (value.dim() - 2))

    @property
    def program(self) -> Program | None:
        """The network if it is a program, whose layers are not accessible; else None."""
        return self.module if isinstance(self.module, Program) else None

    @cached_property
    def spatial_layers(self) -> tuple[Layer, ...]:
        """All layers with a spatial output of at least 2 x 2, in the order in which they finish."""
        return find_layers(self.module, self.noise, self.logits)

    @property
    def noise(self) -> Tensor:
        """One preprocessed input of seeded noise."""
        channels, size = COLORS[self.card.input.color], self.card.input.size
        noise = torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(0))
        return noise.to(self.device, self._parameter.dtype)

    def layers(self, names: str | Sequence[str] = "last") -> tuple[str, ...]:
        """Resolve the names of layers.

        Args:
            names: "last", "all", or names as a list or a comma-separated text; those of a program are not checked.

        Raises:
            ModelError: a layer does not exist or is not spatial; the message lists the nearest names and the stages.
        """
        parts = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        if self.program is not None:
            return tuple(parts)
        if not self.spatial_layers:
            shapes = describe_output_shapes(self.module, lambda: self.forward(self.noise))
            raise ModelError(
                f"model {self.name}: no layer has a spatial output of at least 2 x 2, so no layer can be mapped. "
                f"Its layers return {shapes}."
            )
        return resolve_layers(self.spatial_layers, parts, self.card.layers, self.name)

    def to_grid(self, layer: str, activation: Tensor) -> Float[Tensor, "n c gh gw"]:
        """Reshape the output (or gradient) of a layer to channels on a grid, without class and register tokens."""
        return self.layer(layer).to_grid(activation)

    def layer(self, name: str) -> Layer:
        """Return a spatial layer by its name; the number of a call (``name@2``) is ignored."""
        return next(item for item in self.spatial_layers if item.name == split_call(name)[0])


def unwrap(module: nn.Module) -> nn.Module:
    """Return the network inside DataParallel and compiled wrappers."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if inner is None:
            return module
        module = inner
