"""Spatial layers: finds the layers of a network whose output lies on a grid, and reshapes that output to the grid.

One forward and one backward pass of a noise image are enough: they give the shape of each module's output, and whether
the logits depend on it. (With class-token pooling they do not depend on the last block of a ViT: its patch tokens get
no gradient.)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError, nearest
from interpfer.models.hooks import first_tensor, hooked, replace_first

MIN_GRID = 2
"""Smallest side of a grid."""
MAX_STAGES = 6
"""A trunk of more modules than this consists of blocks; the last block of each grid size ends a stage."""
PREFIX_TOKENS = (0, 1, 2, 5)
"""Numbers of class and register tokens to try if the network has no ``num_prefix_tokens``."""
MAX_LISTED = 16
"""Modules that a message lists."""


@dataclass(frozen=True)
class Layer:
    """A module whose output lies on a grid.

    Attributes:
        name: name in ``named_modules()``.
        channels: number of channels of the output.
        grid: (height, width) of the output.
        layout: "nchw", "nhwc", or "tokens".
        prefix: number of class and register tokens before the patch tokens.
        is_composite: whether it contains other modules.
        is_norm: whether it is a normalisation.
        is_used: whether the logits depend on its output.
        calls: number of calls in one forward pass.
    """

    name: str
    channels: int
    grid: tuple[int, int]
    layout: str
    prefix: int = 0
    is_composite: bool = False
    is_norm: bool = False
    is_used: bool = True
    calls: int = 1

    @property
    def depth(self) -> int:
        """Number of modules that contain it."""
        return self.name.count(".")

    def to_grid(self, activation: Tensor) -> Float[Tensor, "n c gh gw"]:
        """Reshape an output, or its gradient, to channels on a grid."""
        if self.layout == "nhwc":
            return activation.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            return activation[:, self.prefix :].mT.reshape(len(activation), -1, *self.grid)
        return activation

    def describe(self) -> str:
        """Return the name and the shape of the output."""
        return f"{self.name} ({self.channels} x {self.grid[0]} x {self.grid[1]})"


def find_layers(
    network: nn.Module, x: Float[Tensor, "1 c s s"], logits: Callable[[Tensor], Tensor]
) -> tuple[Layer, ...]:
    """Return the spatial layers of a network in the order in which they finish.

    Args:
        network: the network; it is not changed.
        x: one input, such as noise.
        logits: function that runs the network on an input and returns its logits.
    """
    outputs: dict[str, Tensor] = {}
    calls: dict[str, int] = {}
    names = {module: name for name, module in network.named_modules() if name}

    def record(module: nn.Module, _: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        if tensor is None or not tensor.is_floating_point() or tensor.dim() not in (3, 4) or len(tensor) != 1:
            return None
        if not tensor.requires_grad:
            tensor = tensor.detach().requires_grad_()
        calls[names[module]] = calls.get(names[module], 0) + 1
        outputs.pop(names[module], None)
        outputs[names[module]] = tensor
        return replace_first(output, tensor.clone())

    with hooked(network, dict.fromkeys(names, record)), torch.enable_grad():
        scores = logits(x)
        gradients: Sequence[Tensor | None] = [None] * len(outputs)
        if scores.requires_grad:
            gradients = torch.autograd.grad(scores.square().sum(), list(outputs.values()), allow_unused=True)
    prefix = getattr(network, "num_prefix_tokens", None)
    token_counts = {output.shape[1] for output in outputs.values() if output.dim() == 3}
    layers = []
    for (name, output), gradient in zip(outputs.items(), gradients, strict=True):
        layer = _spatial_layer(name, output, prefix, scores.shape[1])
        if layer is None:
            continue
        if output.dim() == 4 and layer.layout == "nchw" and layer.grid[0] in token_counts:
            continue  # attention weights: heads x tokens x tokens
        module = network.get_submodule(name)
        is_composite, is_norm = any(True for _ in module.children()), "norm" in type(module).__name__.lower()
        is_used = gradient is not None and bool(layer.to_grid(gradient).any())
        layers.append(replace(layer, is_composite=is_composite, is_norm=is_norm, is_used=is_used, calls=calls[name]))
    return tuple(layers)


def _spatial_layer(name: str, output: Tensor, prefix: int | None, classes: int) -> Layer | None:
    if output.dim() == 4:
        _, a, b, c = output.shape
        layout, channels, grid = ("nhwc", c, (a, b)) if a == b != c else ("nchw", a, (b, c))
        if channels == classes:  # class maps belong to the head
            return None
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
        names: "last" or "all" alone, or names.
        card_layers: layers of the model card, shallow to deep; None to find the ends of the stages.
        model: name of the model, for messages.

    Raises:
        ModelError: there is no spatial layer of that name.
    """
    by_name = {layer.name: layer for layer in layers}
    resolved = tuple(names)
    if resolved in (("last",), ("all",)):
        stages = tuple(card_layers or (_name_last_call(by_name[name]) for name in _find_stage_ends(layers)))
        resolved = stages[-1:] if resolved == ("last",) else stages
    for name in resolved:
        if split_call(name)[0] not in by_name:
            stage_ends = [by_name[key].describe() for key in dict.fromkeys(_find_stage_ends(layers))]
            raise ModelError(
                f"model {model} has no spatial layer '{name}'.{nearest(name, by_name)} "
                f"Its stages end in {', '.join(stage_ends)}; `interpfer inspect` lists all {len(by_name)} layers."
            )
    return tuple(dict.fromkeys(resolved))


def _find_stage_ends(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the names of the layers that end a stage, shallow to deep.

    The trunk is the group of sibling modules with the largest number of different grids. Up to ``MAX_STAGES`` siblings
    are stages; of more, the last one of each grid ends a stage. A module after the trunk with the grid of the last
    stage replaces it. The blocks of a transformer have one grid: there every block is a stage, and so is the norm in
    the last block if the logits do not depend on the block's output.
    """
    usable = [layer for layer in layers if layer.is_used] or list(layers)
    usable = [layer for layer in usable if layer.calls == 1] or usable
    candidates = [layer for layer in usable if layer.is_composite]
    if len({layer.grid for layer in candidates}) < 2 and usable[-1].layout != "tokens":
        candidates = usable
    siblings: dict[str, list[Layer]] = {}
    for layer in candidates or usable:
        siblings.setdefault(layer.name.rpartition(".")[0], []).append(layer)
    if usable[-1].layout == "tokens":
        blocks = max(siblings.values(), key=lambda group: (len(group), -group[0].depth))
        norms = [layer for layer in usable[usable.index(blocks[-1]) + 1 :] if layer.is_norm]
        return tuple(layer.name for layer in [*blocks, *norms[:1]])
    trunk = max(siblings.values(), key=lambda group: (len({layer.grid for layer in group}), -group[0].depth))
    names = [layer.name for layer in trunk]
    if len(trunk) > MAX_STAGES:
        names = list({layer.grid: layer.name for layer in trunk}.values())
    parent = trunk[-1].name.rpartition(".")[0]
    later = [layer for layer in candidates[candidates.index(trunk[-1]) + 1 :] if layer.grid == trunk[-1].grid]
    after = [layer.name for layer in later if layer.name != parent and not parent.startswith(f"{layer.name}.")]
    return (*names[:-1], after[-1] if after else names[-1])
