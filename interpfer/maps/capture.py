"""Capture of the activations and gradients of all chosen layers in one forward and one backward.

The network is restored afterwards (hooks, train/eval of every submodule, ``requires_grad``, ``.grad``), also when
something raises. Gradients are those of the layers alone: parameters are frozen, and the graph begins at the shallowest
chosen layer. For a module that runs several times in one forward, ``name@2`` is its second call.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.hooks import Hook, first_tensor, hooked, in_forward, replace_first
from interpfer.models.layers import split_call
from interpfer.models.model import Model

HALF_SCALE = 1024.0
"""Factor on the target logits in a float16 backward, divided out of the gradients again; small ones would be zero."""


@dataclass(frozen=True)
class LayerCapture:
    """Activation and gradient of one layer.

    Attributes:
        activation: (n, c, gh, gw), float32.
        gradient: (n, c, gh, gw) of the target logit, zero for a face without a target; None without a backward.
        class_map: function that returns the (n, gh, gw) map of the target class in a linear head, or raises
            ``ModelError`` where the layer has none; None where the head is unknown.
        seeds: function that returns n random seeds, one per face.
    """

    activation: Float[Tensor, "n c gh gw"]
    gradient: Float[Tensor, "n c gh gw"] | None
    class_map: Callable[[], Float[Tensor, "n gh gw"]] | None = None
    seeds: Callable[[], tuple[int, ...]] | None = None

    @cached_property
    def product(self) -> Float[Tensor, "n c gh gw"]:
        """Gradient times activation: (n, c, gh, gw)."""
        assert self.gradient is not None
        return self.gradient * self.activation


@dataclass(frozen=True)
class AttentionCapture:
    """What the attention of a network computed in a forward, block by block.

    Attributes:
        probabilities: (n, heads, rows, t) after the softmax, rows the queries; the last may be of a pooling probe.
        gradients: of the target logit, as ``probabilities``; None without a backward.
        projections: queries, keys and values, each (n, heads, t, d); None where they are not read.
    """

    probabilities: tuple[Float[Tensor, "n heads _ t"], ...]
    gradients: tuple[Float[Tensor, "n heads _ t"], ...] | None = None
    projections: tuple[tuple[Tensor, Tensor, Tensor], ...] | None = None


@dataclass(frozen=True)
class Capture:
    """Logits and layers of a batch.

    Attributes:
        logits: (n, k), float32.
        targets: (n,) class index; -1 for none.
        layers: name -> its activation and gradient.
        others: gradients of other tensors of the graph.
        drawn: maps of the input that were computed while the graph was there, by name.
        refused: those of them that cannot be computed, and why.
    """

    logits: Float[Tensor, "n k"]
    targets: Int[Tensor, " n"]
    layers: dict[str, LayerCapture]
    others: list[Tensor] = field(default_factory=list)
    drawn: dict[str, Tensor] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Forward:
    """A forward with its graph.

    Attributes:
        model: the classifier.
        logits: (n, k), part of the graph.
        outputs: layer -> its output, in the layout of the network.
    """

    model: Model
    logits: Float[Tensor, "n k"]
    outputs: dict[str, Tensor]

    @cached_property
    def activations(self) -> dict[str, Float[Tensor, "n c gh gw"]]:
        """Layer -> its activation on its grid, float32."""
        return {name: self.model.to_grid(name, output.detach()).float() for name, output in self.outputs.items()}

    def backward(self, targets: Int[Tensor, " n"], keep: bool = False, others: Sequence[Tensor] = ()) -> Capture:
        """Return the gradients of the target logits at all layers, out of one backward.

        Args:
            targets: (n,) class index; -1 for none.
            keep: whether to keep the graph for another target.
            others: further tensors of the graph, whose gradients are returned too.
        """
        chosen = self.logits.gather(1, targets.clamp(min=0)[:, None])[:, 0]
        scale = HALF_SCALE if self.model.precision == torch.float16 else 1.0
        attached = {name: output for name, output in self.outputs.items() if output.requires_grad}
        found = torch.autograd.grad(
            (chosen * (targets >= 0)).sum() * scale,
            [*attached.values(), *others],
            retain_graph=keep,
            materialize_grads=True,
        )
        of_layer = dict(zip(attached, found, strict=False))
        gradients = [of_layer[name] if name in of_layer else torch.zeros_like(o) for name, o in self.outputs.items()]
        on_grid = (
            self.model.to_grid(name, gradient).float() / scale
            for name, gradient in zip(self.outputs, gradients, strict=True)
        )
        of_others = [gradient / scale for gradient in found[len(attached) :]]
        return replace(self._captured(targets, list(on_grid)), others=of_others)

    def without_gradients(self, targets: Int[Tensor, " n"]) -> Capture:
        """Return the activations alone."""
        return self._captured(targets, [None] * len(self.outputs))

    def _captured(self, targets: Tensor, gradients: Sequence[Tensor | None]) -> Capture:
        layers = zip(self.activations.items(), gradients, strict=True)
        return Capture(
            self.logits.detach(),
            targets,
            {name: LayerCapture(activation, gradient) for (name, activation), gradient in layers},
        )


def capture(
    model: Model,
    x: Float[Tensor, "n c s s"],
    layers: Sequence[str],
    targets: Int[Tensor, " n"] | None = None,
    gradients: bool = True,
) -> Capture:
    """Run a batch once and return the activations and gradients of layers.

    Args:
        model: the classifier.
        x: (n, c, s, s) prepared input (``Model.preprocess``).
        layers: names of spatial layers.
        targets: (n,) class index per face, -1 for none; None for the predicted class.
        gradients: whether to run a backward.

    Raises:
        ModelError: a layer did not run, or ran more than once.
    """
    with forward(model, x, layers, gradients) as run:
        chosen = run.logits.argmax(1) if targets is None else targets.to(run.logits.device)
        return run.backward(chosen) if gradients and layers else run.without_gradients(chosen)


@contextmanager
def forward(
    model: Model, x: Float[Tensor, "n c s s"], layers: Sequence[str], gradients: bool = True
) -> Iterator[Forward]:
    """Run a batch forward; within the context its graph allows backwards, also for several targets.

    Raises:
        ModelError: a layer did not run, or ran more than once.
    """
    recorder = LayerRecorder(model, layers, gradients)
    with hooked(model.module, recorder.hooks), torch.set_grad_enabled(gradients):
        yield Forward(model, model.logits(x), recorder.collect())


class LayerRecorder:
    """Records what chosen layers return in a forward; later modules that work in place get a copy.

    Args:
        model: the classifier.
        layers: names of spatial layers.
        gradients: whether the outputs must be part of a graph, even where nothing before them is.
    """

    def __init__(self, model: Model, layers: Sequence[str], gradients: bool = True) -> None:
        self._model = model
        self._layers = tuple(layers)
        self._gradients = gradients
        self._wanted: dict[nn.Module, dict[int | None, str]] = {}
        self._parts: dict[nn.Module, int] = {}
        spatial = {layer.name for layer in model.spatial_layers} if layers else set()
        for layer in layers:
            name, call = split_call(layer)
            module = model.module.get_submodule(name)
            self._wanted.setdefault(module, {})[call] = layer
            self._parts[module] = model.layer(name).part if name in spatial else 0
        self._calls: dict[nn.Module, int] = {}
        self._outputs: dict[str, Tensor] = {}

    @property
    def hooks(self) -> dict[nn.Module, Hook]:
        """One forward hook per module."""
        return dict.fromkeys(self._wanted, self._record)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Record inside the block as the network is: its mode and its parameters stay as they are."""
        handles = [module.register_forward_hook(in_forward(hook)) for module, hook in self.hooks.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def forget(self) -> None:
        """Drop what an unfinished forward recorded."""
        self._calls, self._outputs = {}, {}

    def collect(self) -> dict[str, Tensor]:
        """Return the outputs of the last forward, in the layout of the network, and forget them.

        Raises:
            ModelError: a layer did not run, or ran more than once.
        """
        calls, outputs = self._calls, self._outputs
        self.forget()
        for module, names in self._wanted.items():
            _require_calls(self._model, calls.get(module, 0), names)
        return {layer: outputs[layer] for layer in self._layers}

    def _record(self, module: nn.Module, _: Any, output: Any) -> Any:
        self._calls[module] = self._calls.get(module, 0) + 1
        names = [self._wanted[module][call] for call in (self._calls[module], None) if call in self._wanted[module]]
        part = self._parts[module]
        tensor = first_tensor(output, part)
        if tensor is None or not names:
            return None
        if self._gradients and not (tensor.requires_grad or tensor.is_inference()):
            tensor = tensor.detach().requires_grad_()
        self._outputs.update(dict.fromkeys(names, tensor))
        return replace_first(output, tensor.clone(), part)  # the next module may work in place


def _require_calls(model: Model, ran: int, names: dict[int | None, str]) -> None:
    for call, layer in names.items():
        if call is None and ran > 1:
            choices = ", ".join(f"{layer}@{number}" for number in range(1, ran + 1))
            advice = f"choose one that runs once, or name the call: {choices}"
        elif ran < (call or 1):
            advice = "choose another"
        else:
            continue
        raise ModelError(f"layer {layer} of model {model.name} ran {ran} times in one forward; {advice}.")
