"""Spatial layers: finds the layers of a network whose output lies on a grid, and reshapes that output to the grid.

One forward and one backward pass of a noise image are enough: they give the shape of each module's output, and whether
the logits depend on it. (With class-token pooling they do not depend on the last block of a ViT: its patch tokens get
no gradient.)
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError, nearest
from interpfer.models.clip_layers import ClipLayouts
from interpfer.models.heads.base import Head
from interpfer.models.hooks import first_tensor, hooked, replace_first
from interpfer.models.layer import Layer
from interpfer.models.stages import find_stage_ends

MIN_GRID = 2
"""Smallest side of a grid."""
MAX_PARTS = 4
"""Elements of a tuple among which the output on a grid is looked for."""
PREFIX_TOKENS = (0, 1, 2, 5)
"""Numbers of class and register tokens to try if the network has no ``num_prefix_tokens``."""
MAX_LISTED = 16
"""Modules that a message lists."""
CONTAINERS = (nn.ParameterDict, nn.ParameterList)
"""Modules that only hold the parameters of the module that they are in."""


def find_layers(
    network: nn.Module, x: Float[Tensor, "t c s s"], logits: Callable[[Tensor], Tensor]
) -> tuple[Layer, ...]:
    """Return the spatial layers of a network in the order in which they finish.

    Args:
        network: the network; it is not changed.
        x: one input, such as noise: a picture, or the frames of a clip.
        logits: function that runs the network on an input and returns its logits.
    """
    trace = _Trace(network, len(x))
    with hooked(network, dict.fromkeys(trace.names, trace.record)), torch.enable_grad():
        scores = logits(x)
        gradients: Sequence[Tensor | None] = [None] * len(trace.outputs)
        if scores.requires_grad:
            outputs = {name: output for name, (output, _) in trace.outputs.items() if output.requires_grad}
            found = torch.autograd.grad(scores.square().sum(), list(outputs.values()), allow_unused=True)
            of_output = dict(zip(outputs, found, strict=True))
            gradients = [of_output.get(name) for name in trace.outputs]
    layers = trace.list_layers(gradients, scores.shape[1])
    if not layers:
        return ()
    ends = find_stage_ends(layers, _find_attention(network))
    return tuple(replace(layer, is_stage_end=layer.name in ends) for layer in layers)


def own_parameters(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters of a module without those of the modules in it."""
    yield from module.parameters(recurse=False)
    for child in module.children():
        if isinstance(child, CONTAINERS):
            yield from child.parameters(recurse=False)


class _Trace:
    """Records the outputs of all modules in one forward pass.

    Args:
        network: the network.
        frames: number of frames of the clips that it takes; 1 for pictures.

    Attributes:
        names: module -> its name.
        outputs: name -> output of the last call and its description, in the order in which the modules finish.
    """

    def __init__(self, network: nn.Module, frames: int) -> None:
        heads = [f"{name}." for name, module in network.named_modules() if isinstance(module, Head)]
        self.names = {
            module: name for name, module in network.named_modules() if name and not name.startswith(tuple(heads))
        }
        self.outputs: dict[str, tuple[Tensor, Layer]] = {}
        prefix, layout = getattr(network, "num_prefix_tokens", None), getattr(network, "layout", None)
        known = layout if layout in ("nhwc", "nchw") else None

        def find_picture(name: str, output: Tensor) -> Layer | None:
            return _spatial_layer(name, output, prefix, known)

        prefixes = PREFIX_TOKENS if prefix is None else (prefix, 0)
        of_clips = ClipLayouts(network, frames, prefixes, MIN_GRID, find_picture)
        self._find = find_picture if frames == 1 else of_clips.find
        self._has_token_grid = getattr(network, "has_token_grid", True) is not False
        self._calls: dict[str, int] = {}
        self._count = 0
        self._sources: dict[int, tuple[Tensor, int, int]] = {}
        self._finished: dict[str, int] = {}
        self._weighted: dict[str, int] = {}

    def record(self, module: nn.Module, _: Any, output: Any) -> Any:
        """Forward hook: record the first output on a grid, and pass on a copy, as the next module may work in place."""
        name = self.names[module]
        self._calls[name] = self._calls.get(name, 0) + 1
        self._count += 1
        self._finished[name] = self._count
        if next(own_parameters(module), None) is not None:
            self._weighted[name] = self._count
        for part in range(MAX_PARTS):
            tensor = first_tensor(output, part)
            is_dropped = tensor is not None and tensor.dim() == 3 and not self._has_token_grid
            layer = None if tensor is None or is_dropped else self._find(name, tensor)
            if tensor is None or layer is not None or isinstance(output, Tensor):
                break
        if tensor is None or layer is None:
            return None
        source = self._source(tensor)
        if not (tensor.requires_grad or tensor.is_inference()):
            tensor = tensor.detach().requires_grad_()
        layer = replace(
            layer,
            is_composite=any(not isinstance(child, CONTAINERS) for child in module.children()),
            is_norm="norm" in type(module).__name__.lower(),
            has_weights=any(True for _ in module.parameters()),
            part=part,
            source=source,
        )
        self.outputs.pop(name, None)
        self.outputs[name] = (tensor, layer)
        copy = tensor.clone()
        self._sources[id(copy)] = (copy, _version(copy), source)
        return replace_first(output, copy, part)

    def list_layers(self, gradients: Sequence[Tensor | None], classes: int) -> list[Layer]:
        """Return the layers, without attention weights and without the class maps of the head.

        Args:
            gradients: gradient of the logits with respect to each output; None for none.
            classes: number of logits.
        """
        token_counts = {output.shape[1] for output, layer in self.outputs.values() if output.dim() == 3}
        attention = {name for module, name in self.names.items() if getattr(module, "is_attention", False) is True}
        class_maps = {name for name, (_, layer) in self.outputs.items() if _has_class_maps(layer, classes)} - attention
        trunk_end = max((end for name, end in self._weighted.items() if name not in class_maps), default=-1)
        layers = []
        for (name, (output, layer)), gradient in zip(self.outputs.items(), gradients, strict=True):
            if output.dim() == 4 and layer.layout == "nchw" and layer.grid[0] in token_counts:
                continue  # attention weights: heads x tokens x tokens
            if name in class_maps and self._finished[name] > trunk_end:
                continue
            is_used = gradient is not None and bool(layer.to_grid(gradient).any())
            has_gradient = gradient is not None
            layers.append(replace(layer, is_used=is_used, has_gradient=has_gradient, calls=self._calls[name]))
        return layers

    def _source(self, tensor: Tensor) -> int:
        """Return the number of the tensor that a module passed on, or a new one if it returned another tensor."""
        known = self._sources.get(id(tensor))
        if known is not None and known[0] is tensor and known[1] == _version(tensor):
            return known[2]
        return self._count


def _has_class_maps(layer: Layer, classes: int) -> bool:
    """Return whether a layer may hold a map per class; a head may have one more, for the background."""
    is_head = any(word in layer.name.lower() for word in ("head", "classifi"))
    return layer.channels == classes or (is_head and layer.channels == classes + 1)


def _version(tensor: Tensor) -> int:
    """Return how often a tensor has been changed in place; 0 for one of inference mode, which does not count."""
    return 0 if tensor.is_inference() else tensor._version


def _find_attention(network: nn.Module) -> frozenset[str]:
    return frozenset(
        name
        for name, module in network.named_modules()
        if "att" in type(module).__name__.lower() or "att" in name.rpartition(".")[2].lower()
    )


def _spatial_layer(name: str, output: Tensor, prefix: int | None, known: str | None = None) -> Layer | None:
    if not output.is_floating_point() or output.dim() not in (3, 4) or len(output) != 1:
        return None
    if output.dim() == 4:
        _, a, b, c = output.shape
        is_last = a == b != c if known is None else known == "nhwc"
        layout, channels, grid = ("nhwc", c, (a, b)) if is_last else ("nchw", a, (b, c))
        return Layer(name, channels, grid, layout) if grid[0] == grid[1] >= MIN_GRID else None
    tokens, channels = output.shape[1:]
    for extra in PREFIX_TOKENS if prefix is None else (prefix, 0):
        side = math.isqrt(max(tokens - extra, 0))
        if side >= MIN_GRID and side * side == tokens - extra:
            return Layer(name, channels, (side, side), "tokens", extra)
    return None


def split_call(name: str) -> tuple[str, int | None]:
    """Split ``name@2``, the second call of a module in one forward pass, into name and number.

    Examples:
        >>> split_call("features.3@2"), split_call("layer4")
        (('features.3', 2), ('layer4', None))
    """
    base, mark, call = name.rpartition("@")
    return (base, int(call)) if mark and call.isdecimal() else (name, None)


def _name_last_call(layer: Layer) -> str:
    return layer.name if layer.calls == 1 else f"{layer.name}@{layer.calls}"


def describe_output_shapes(network: nn.Module, run: Callable[[], Any]) -> str:
    """Return the output shape of each module as text; of many modules, the first and the last."""
    texts = [f"{name} ({shape})" for name, shape in find_output_shapes(network, run).items()]
    half = MAX_LISTED // 2
    return ", ".join([*texts[:half], "...", *texts[-half:]] if len(texts) > MAX_LISTED else texts)


def find_output_shapes(network: nn.Module, run: Callable[[], Any]) -> dict[str, str]:
    """Return the output shape of each module, without the batch, in the order in which the modules finish.

    Args:
        network: the network; it is not changed.
        run: function that runs it on one image.
    """
    shapes: dict[str, str] = {}
    names = {module: name for name, module in network.named_modules() if name}

    def record(module: nn.Module, _: Any, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            shapes[names[module]] = " x ".join(map(str, tensor.shape[1:]))

    with hooked(network, dict.fromkeys(names, record)), torch.no_grad():
        run()
    return shapes


def resolve_layers(
    layers: Sequence[Layer], names: Sequence[str], card_layers: Sequence[str] | None, model: str
) -> tuple[str, ...]:
    """Resolve the names of layers.

    Args:
        layers: all spatial layers, at least one.
        names: "last", "all", and names of layers.
        card_layers: layers of the model card, shallow to deep; None to find the ends of the stages.
        model: name of the model, for messages.

    Raises:
        ModelError: there is no spatial layer of that name.
    """
    by_name = {layer.name: layer for layer in layers}
    stages = tuple(card_layers or (_name_last_call(layer) for layer in layers if layer.is_stage_end))
    groups = {name: ends for name, ends in {"last": stages[-1:], "all": stages}.items() if name not in by_name}
    resolved = [layer for name in names for layer in groups.get(name, (name,))]
    for name in resolved:
        if split_call(name)[0] not in by_name:
            stage_ends = [layer.describe() for layer in layers if layer.is_stage_end]
            raise ModelError(
                f"model {model} has no spatial layer '{name}'.{nearest(name, by_name)} "
                f"Its stages end in {', '.join(stage_ends)}; `interpfer inspect` lists all {len(by_name)} layers."
            )
    return tuple(dict.fromkeys(resolved))
