"""One face for every classifier: prepared input in, logits and layers out."""

import hashlib
import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError, nearest
from interpfer.models.card import ModelCard
from interpfer.models.hooks import hooked
from interpfer.models.input import COLORS
from interpfer.models.layers import Layer, describe_outputs, find_layers, resolve_layers, split_call
from interpfer.models.output import describe, stacked, tensors
from interpfer.models.program import Program
from interpfer.models.resizing import to_square

LUMA = (0.299, 0.587, 0.114)

AUTOCAST: dict[str, torch.dtype | None] = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What the network computes in where it can."""


class Model:
    """A trained classifier.

    Attributes:
        name: as tables call it.
        module: the network, unwrapped from DataParallel and from compilation.
        card: its card.
        classes: canonical expressions in output order.
        notes: what was assumed when it was loaded, one sentence each.
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
        """Return what is known of the model for a notebook."""
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
        """Hash of the checkpoint file, or of the weights of a module that came from memory."""
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
        """Where the weights are."""
        return self._parameter.device

    @contextmanager
    def autocast(self, kind: str) -> Iterator[None]:
        """Let the network compute in half precision where it can: "bf16", "fp16", or "off".

        It is faster and takes less memory, but maps of early layers move.

        Raises:
            ModelError: ``kind`` is none of these.
        """
        if kind not in AUTOCAST:
            raise ModelError(f"autocast '{kind}' is none of {', '.join(AUTOCAST)}.{nearest(kind, AUTOCAST)}")
        before, self._autocast = self._autocast, AUTOCAST[kind]
        try:
            yield
        finally:
            self._autocast = before

    @property
    def precision(self) -> torch.dtype:
        """What the network computes in: that of its weights, or of autocast."""
        return self._autocast or self._parameter.dtype

    def preprocess(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c s s"]:
        """Return what the network eats: resized (bilinear, antialiased), its channels, its normalisation.

        Args:
            images: RGB in [0, 1].
        """
        return self.normalise(self.resize(images))

    def resize(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 s s"]:
        """Return the images at the model's input size."""
        return to_square(images, self.card.input.size)

    def normalise(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n c s s"]:
        """Return images of the right size in the model's channels, range, type and place."""
        spec = self.card.input
        x = images.to(self.device, torch.float32)
        if spec.color == "bgr":
            x = x.flip(1)
        elif spec.color in ("gray", "gray3"):
            x = (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True).expand(-1, COLORS[spec.color], -1, -1)
        mean, std = (x.new_tensor(value)[:, None, None] for value in (spec.mean, spec.std))
        return ((x * spec.scale - mean) / std).to(self._parameter.dtype)

    def logits(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n k"]:
        """Run the network on prepared input.

        Raises:
            ModelError: the output is not one logit per class.
        """
        return self.select(self.forward(x), len(x))

    def predict_logits(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n k"]:
        """Return the logits of images of the right size; the network is asked in evaluation, and left as it was."""
        with hooked(self.module, {}), torch.no_grad():
            return self.logits(self.normalise(images))

    def probabilities(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Return the probability of each class: the softmax, unless the network returns probabilities already.

        Args:
            logits: what ``logits`` returned; a row that is not negative and adds up to 1 is left as it is.
        """
        is_distribution = (logits >= 0).all(1) & ((logits.sum(1) - 1).abs() < 1e-4)
        return torch.where(is_distribution[:, None], logits, logits.softmax(1))

    def predict_probabilities(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n k"]:
        """Return the probabilities of images of the right size; see ``predict_logits``."""
        return self.probabilities(self.predict_logits(images))

    def forward(self, x: Float[Tensor, "n c s s"]) -> Any:
        """Run the network on prepared input, and return whatever it returns."""
        with torch.autocast(x.device.type, self._autocast, enabled=self._autocast is not None):
            return self.module(x, **self.card.forward_args)

    def select(self, output: Any, n: int) -> Float[Tensor, "n k"]:
        """Pick the logits out of what the network returned.

        Raises:
            ModelError: no part of it, or more than one, is one logit per class.
        """
        output = stacked(output, n)
        picked = output if self.card.output is None else self.card.output.pick(output, n)
        if self.card.output is None and not isinstance(output, Tensor):
            fitting = [value for _, value in tensors(output) if self._fits(value, n)]
            if len(fitting) != 1:
                raise ModelError(
                    f"model {self.name} returned {describe(output)}: say which holds the logits "
                    "(output: in the card, or --output)."
                )
            picked = fitting[0]
        if not isinstance(picked, Tensor) or not self._fits(picked, n):
            raise ModelError(
                f"model {self.name} returned {describe(picked)} where {n} x {len(self.classes)} logits were expected: "
                f"its classes are {', '.join(self.classes)}."
            )
        return picked.reshape(n, len(self.classes)).float()

    def _fits(self, value: Tensor, n: int) -> bool:
        return value.dim() >= 2 and tuple(value.shape) == (n, len(self.classes), *[1] * (value.dim() - 2))

    @property
    def program(self) -> Program | None:
        """The network, if it can only be called: no layer of it can be seen."""
        return self.module if isinstance(self.module, Program) else None

    @cached_property
    def spatial_layers(self) -> tuple[Layer, ...]:
        """All layers whose output lies on a grid of at least 2 x 2, in the order in which they finish."""
        return find_layers(self.module, self.noise, self.logits)

    @property
    def noise(self) -> Tensor:
        """One prepared input of seeded noise."""
        channels, size = COLORS[self.card.input.color], self.card.input.size
        noise = torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(0))
        return noise.to(self.device, self._parameter.dtype)

    def layers(self, wanted: str | Sequence[str] = "last") -> tuple[str, ...]:
        """Resolve ``last``, ``all`` or names of layers, a list or comma-separated; a program's stay as they are.

        Raises:
            ModelError: no such layer, or it is not spatial; the message suggests and lists.
        """
        names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
        if self.program is not None:
            return tuple(names)
        if not self.spatial_layers:
            raise ModelError(
                f"model {self.name}: no layer keeps a grid of at least 2 x 2, so there is nothing to map. "
                f"Its layers return {describe_outputs(self.module, lambda: self.forward(self.noise))}."
            )
        return resolve_layers(self.spatial_layers, names, self.card.layers, self.name)

    def to_grid(self, layer: str, activation: Tensor) -> Float[Tensor, "n c gh gw"]:
        """Lay the output (or gradient) of a layer out as channels on a grid; class and register tokens are dropped."""
        return self.layer(layer).to_grid(activation)

    def layer(self, name: str) -> Layer:
        """Return a spatial layer by name, with or without the number of a call."""
        return next(item for item in self.spatial_layers if item.name == split_call(name)[0])


def unwrap(module: nn.Module) -> nn.Module:
    """Take a network out of DataParallel and of a compiled wrapper."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if inner is None:
            return module
        module = inner
