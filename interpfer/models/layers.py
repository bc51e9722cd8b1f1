"""Finds the layers of a network that keep the picture's layout, and lays their output out as a grid.

One forward and one backward of a noise picture tell everything: the shape each module returns, and whether the logits
depend on its grid at all. (After class-token pooling the last block of a ViT does not: its patch tokens get no
gradient.)
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

LEAST_GRID = 2
MOST_STAGES = 6
"""A trunk of more modules than this is a row of blocks, of which only the last of each grid ends a stage."""
PREFIX_TOKENS = (0, 1, 2, 5)
"""Numbers of class and register tokens tried where the network does not tell its own."""


@dataclass(frozen=True)
class Layer:
    """A module whose output lies on a grid.

    Attributes:
        name: out of ``named_modules()``.
        channels: of the output.
        grid: (height, width).
        layout: "nchw", "nhwc", or "tokens".
        prefix: class and register tokens before the patch tokens.
        composite: whether it is made of other modules.
        norm: whether it is a normalisation.
        used: whether the logits depend on its grid.
        calls: how often it runs in one forward.
    """

    name: str
    channels: int
    grid: tuple[int, int]
    layout: str
    prefix: int = 0
    composite: bool = False
    norm: bool = False
    used: bool = True
    calls: int = 1

    @property
    def depth(self) -> int:
        """How many modules it is nested in."""
        return self.name.count(".")

    def to_grid(self, activation: Tensor) -> Float[Tensor, "n c gh gw"]:
        """Lay an output, or the gradient of one, out as channels on a grid."""
        if self.layout == "nhwc":
            return activation.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            return activation[:, self.prefix :].mT.reshape(len(activation), -1, *self.grid)
        return activation

    def describe(self) -> str:
        """Return the name with the shape of the grid."""
        return f"{self.name} ({self.channels} x {self.grid[0]} x {self.grid[1]})"


def find_layers(
    network: nn.Module, x: Float[Tensor, "1 c s s"], logits: Callable[[Tensor], Tensor]
) -> tuple[Layer, ...]:
    """Return the spatial layers of a network in the order in which they finish.

    Args:
        network: left as it was found.
        x: an input that excites the network, such as noise.
        logits: runs the network on an input and returns its logits.
    """
    outputs: dict[str, Tensor] = {}
    calls: dict[str, int] = {}
    names = {module: name for name, module in network.named_modules() if name}

    def remember(module: nn.Module, _: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        if tensor is None or not tensor.is_floating_point() or tensor.dim() not in (3, 4) or len(tensor) != 1:
            return None
        if not tensor.requires_grad:
            tensor = tensor.detach().requires_grad_()
        calls[names[module]] = calls.get(names[module], 0) + 1
        outputs.pop(names[module], None)
        outputs[names[module]] = tensor
        return replace_first(output, tensor.clone())

    with hooked(network, dict.fromkeys(names, remember)), torch.enable_grad():
        scores = logits(x)
        gradients: Sequence[Tensor | None] = [None] * len(outputs)
        if scores.requires_grad:
            gradients = torch.autograd.grad(scores.square().sum(), list(outputs.values()), allow_unused=True)
    prefix = getattr(network, "num_prefix_tokens", None)
    token_counts = {output.shape[1] for output in outputs.values() if output.dim() == 3}
    found = []
    for (name, output), gradient in zip(outputs.items(), gradients, strict=True):
        layer = _layer(name, output, prefix, scores.shape[1])
        attends = output.dim() == 4 and layer is not None and layer.layout == "nchw" and layer.grid[0] in token_counts
        if layer is None or attends:  # attention weights are heads x tokens x tokens
            continue
        module = network.get_submodule(name)
        composite, norm = any(True for _ in module.children()), "norm" in type(module).__name__.lower()
        used = gradient is not None and bool(layer.to_grid(gradient).any())
        found.append(replace(layer, composite=composite, norm=norm, used=used, calls=calls[name]))
    return tuple(found)


def _layer(name: str, output: Tensor, prefix: int | None, classes: int) -> Layer | None:
    if output.dim() == 4:
        _, a, b, c = output.shape
        layout, channels, grid = ("nhwc", c, (a, b)) if a == b != c else ("nchw", a, (b, c))
        if channels == classes:  # class maps are a head, no feature
            return None
        return Layer(name, channels, grid, layout) if grid[0] == grid[1] >= LEAST_GRID else None
    tokens, channels = output.shape[1:]
    for extra in PREFIX_TOKENS if prefix is None else (prefix, 0):
        side = math.isqrt(max(tokens - extra, 0))
        if side >= LEAST_GRID and side * side == tokens - extra:
            return Layer(name, channels, (side, side), "tokens", extra)
    return None


def split_call(name: str) -> tuple[str, int | None]:
    """Take ``name@2``, the second call of a module in one forward, apart.

    >>> split_call("features.3@2"), split_call("layer4")
    (('features.3', 2), ('layer4', None))
    """
    base, mark, call = name.rpartition("@")
    return (base, int(call)) if mark and call.isdecimal() else (name, None)


def _last_call(layer: Layer) -> str:
    return layer.name if layer.calls == 1 else f"{layer.name}@{layer.calls}"


def describe_outputs(network: nn.Module, run: Callable[[], Any]) -> str:
    """Say what shape each module of a network returns, for the message that none of them is a grid."""
    shown = [f"{name} ({shape})" for name, shape in output_shapes(network, run).items()]
    return ", ".join([*shown[:8], "...", *shown[-8:]] if len(shown) > 16 else shown)


def output_shapes(network: nn.Module, run: Callable[[], Any]) -> dict[str, str]:
    """Return the shape that each module returns, without the batch, in the order in which they finish.

    Args:
        network: left as it was found.
        run: runs it on one image.
    """
    shapes: dict[str, str] = {}
    names = {module: name for name, module in network.named_modules() if name}

    def remember(module: nn.Module, _: Any, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            shapes[names[module]] = " x ".join(map(str, tensor.shape[1:]))

    with hooked(network, dict.fromkeys(names, remember)), torch.no_grad():
        run()
    return shapes


def resolve_layers(
    layers: Sequence[Layer], wanted: Sequence[str], preferred: Sequence[str] | None, model: str
) -> tuple[str, ...]:
    """Resolve ``last``, ``all`` or names.

    Args:
        layers: what ``find_layers`` returned.
        wanted: "last" or "all" alone, or names.
        preferred: the card's layers, shallow to deep.
        model: the model's name, for messages.

    Raises:
        ModelError: there is no spatial layer, or none of that name.
    """
    by_name = {layer.name: layer for layer in layers}
    if not by_name:
        raise ModelError(f"model {model}: no layer keeps a grid of at least 2 x 2, so there is nothing to map.")
    names = tuple(wanted)
    if names in (("last",), ("all",)):
        stages = tuple(preferred) if preferred else tuple(_last_call(by_name[name]) for name in _stage_ends(layers))
        names = stages[-1:] if names == ("last",) else stages
    for name in names:
        if split_call(name)[0] not in by_name:
            shown = [by_name[key].describe() for key in dict.fromkeys([*_stage_ends(layers)])]
            raise ModelError(
                f"model {model} has no spatial layer '{name}'.{nearest(name, by_name)} "
                f"The ends of its stages are {', '.join(shown)}; `interpfer inspect` lists all {len(by_name)}."
            )
    return tuple(dict.fromkeys(names))


def _stage_ends(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the ends of the stages, shallow to deep.

    The trunk is the family of sibling modules that covers most grids. Few siblings are stages; of many, the last one of
    each grid ends a stage. A module after the trunk with the same grid as its end takes that end's place. A trunk of
    tokens keeps one grid: there every block counts, and the norm in the last block where the block itself does not
    reach the logits.
    """
    usable = [layer for layer in layers if layer.used] or list(layers)
    usable = [layer for layer in usable if layer.calls == 1] or usable
    candidates = [layer for layer in usable if layer.composite]
    if len({layer.grid for layer in candidates}) < 2 and usable[-1].layout != "tokens":
        candidates = usable
    families: dict[str, list[Layer]] = {}
    for layer in candidates or usable:
        families.setdefault(layer.name.rpartition(".")[0], []).append(layer)
    if usable[-1].layout == "tokens":
        blocks = max(families.values(), key=lambda family: (len(family), -family[0].depth))
        norms = [layer for layer in usable[usable.index(blocks[-1]) + 1 :] if layer.norm]
        return tuple(layer.name for layer in [*blocks, *norms[:1]])
    trunk = max(families.values(), key=lambda family: (len({layer.grid for layer in family}), -family[0].depth))
    names = [layer.name for layer in trunk]
    if len(trunk) > MOST_STAGES:
        names = list({layer.grid: layer.name for layer in trunk}.values())
    parent = trunk[-1].name.rpartition(".")[0]
    later = [layer for layer in candidates[candidates.index(trunk[-1]) + 1 :] if layer.grid == trunk[-1].grid]
    after = [layer.name for layer in later if layer.name != parent and not parent.startswith(f"{layer.name}.")]
    return (*names[:-1], after[-1] if after else names[-1])
