"""Relevance of transformers whose attention is within windows, after Chefer et al.

A row of relevance, one value per place, goes back from the last block to the first: what a block's attention, weighted
by its positive gradients, brought to a place goes to where it came from. Windows are those of the block, shifted or
spread as a grid; where a stage has a larger grid, a place hands its value to the places that it was made of.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from interpfer.errors import ModelError
from interpfer.maps.base import ONE_PASS, MapContext, RawMap, model_map
from interpfer.models.hooks import hooked


@dataclass(frozen=True)
class Windows:
    """How a block divides its grid.

    Attributes:
        grid: (height, width) of the grid.
        size: (height, width) of a window, or of the grid of places that attend to each other.
        shift: (rows, columns) by which the grid is rolled up and left.
        is_spread: whether places attend to each other that are as far apart as possible (MaxViT's grid attention).
        pads_first: whether the grid is filled up to whole windows before it is rolled; else after.
    """

    grid: tuple[int, int]
    size: tuple[int, int]
    shift: tuple[int, int] = (0, 0)
    is_spread: bool = False
    pads_first: bool = False

    def divide(self, values: Float[Tensor, "n h w"]) -> Float[Tensor, "n windows t"]:
        """Return the values of each window; places that fill up the last windows are 0."""
        back, missing = (-self.shift[0], -self.shift[1]), (-self.grid[0] % self.size[0], -self.grid[1] % self.size[1])
        if self.pads_first:
            values = F.pad(values, (0, missing[1], 0, missing[0])).roll(back, (1, 2))
        else:
            values = F.pad(values.roll(back, (1, 2)), (0, missing[1], 0, missing[0]))
        rows, columns = values.shape[1] // self.size[0], values.shape[2] // self.size[1]
        if self.is_spread:
            split = values.reshape(-1, self.size[0], rows, self.size[1], columns).permute(0, 2, 4, 1, 3)
        else:
            split = values.reshape(-1, rows, self.size[0], columns, self.size[1]).permute(0, 1, 3, 2, 4)
        return split.flatten(3).flatten(1, 2)

    def unite(self, windows: Float[Tensor, "n windows t"]) -> Float[Tensor, "n h w"]:
        """Undo ``divide``."""
        rows, columns = -(-self.grid[0] // self.size[0]), -(-self.grid[1] // self.size[1])
        split = windows.reshape(-1, rows, columns, *self.size)
        order = (0, 3, 1, 4, 2) if self.is_spread else (0, 1, 3, 2, 4)
        values = split.permute(order).reshape(-1, rows * self.size[0], columns * self.size[1])
        height, width = self.grid
        if self.pads_first:
            return values.roll(self.shift, (1, 2))[:, :height, :width]
        return values[:, :height, :width].roll(self.shift, (1, 2))


class SoftmaxRecorder(TorchFunctionMode):
    """Records every softmax, also that of fused attention, with the latest division into windows.

    Attributes:
        windows: of the module that runs; None before the first.
        found: windows and probabilities, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.windows: Windows | None = None
        self.found: list[tuple[Windows, Tensor]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function; record a softmax."""
        del types
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if self.windows is None or name not in ("softmax", "scaled_dot_product_attention"):
            return func(*args, **kwargs)
        if name == "softmax":
            probabilities = func(*args, **kwargs)
            self.found.append((self.windows, probabilities))
            return probabilities
        query, key, value = args[:3]
        scale, mask = kwargs.get("scale"), kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
        scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
        scores = scores if mask is None else scores + mask
        probabilities = scores.softmax(-1)
        self.found.append((self.windows, probabilities))
        return probabilities @ value


def find_windows(module: nn.Module, x: Any, grid_of_tokens: Any = None) -> Windows | None:
    """Return how a module of timm, torchvision or Hugging Face divides its input; None for other modules.

    Args:
        module: the module.
        x: its first argument.
        grid_of_tokens: its second, which is (height, width) of the grid in Hugging Face's Swin.
    """
    kind, owner = type(module).__name__, type(module).__module__
    known: Any = module
    if owner.startswith("transformers.") and kind in ("SwinLayer", "Swinv2Layer"):
        height, width = (int(side) for side in grid_of_tokens)
        fits = min(height, width) > known.window_size
        size, shift = (known.window_size, known.shift_size) if fits else (min(height, width), 0)
        return Windows((height, width), (int(size),) * 2, (int(shift),) * 2, pads_first=True)
    if not isinstance(x, Tensor) or x.dim() != 4:
        return None
    if owner.startswith("timm.") and kind in ("SwinTransformerBlock", "SwinTransformerV2Block"):
        height, width = x.shape[1:3]
        return Windows((height, width), tuple(known.window_size), tuple(known.shift_size))
    if owner.startswith("torchvision.") and kind in ("ShiftedWindowAttention", "ShiftedWindowAttentionV2"):
        grid, size, shift = tuple(x.shape[1:3]), tuple(known.window_size), tuple(known.shift_size)
        shift = tuple(0 if window >= side else each for side, window, each in zip(grid, size, shift, strict=True))
        return Windows((grid[0], grid[1]), (size[0], size[1]), (shift[0], shift[1]), pads_first=True)
    if owner.startswith("timm.") and kind == "PartitionAttentionCl":
        height, width = x.shape[1:3]
        return Windows((height, width), tuple(known.partition_size), is_spread=not known.partition_block)
    if owner.startswith("torchvision.") and kind == "PartitionAttentionLayer":
        height, width = x.shape[2:]
        is_spread = known.partition_type == "grid"
        size = (height // known.p, width // known.p) if is_spread else (known.p, known.p)
        return Windows((height, width), size, is_spread=is_spread)
    return None


@model_map(
    source="after Chefer et al. 2021, arXiv 2103.15679, for attention within windows",
    layer=False,
    gradient=True,
    cost=ONE_PASS,
    inside=True,
)
def window_rollout(context: MapContext) -> RawMap:
    """Attention within windows weighted by its positive gradients, rolled out from the last block to the first."""
    recorder, n = SoftmaxRecorder(), len(context.x)
    with hooked(context.model.module, {}), torch.enable_grad(), _announced(context.model.module, recorder):
        with recorder:
            logits = context.model.logits(context.x.detach().clone().requires_grad_())
        if not recorder.found:
            raise ModelError(
                "window-rollout needs a Swin transformer of timm, torchvision or Hugging Face, or MaxViT of timm or "
                "torchvision."
            )
        blocks = [(windows, probabilities) for windows, probabilities in recorder.found]
        chosen = logits.gather(1, context.targets[:, None]).sum()
        slopes = torch.autograd.grad(chosen, [each for _, each in blocks], materialize_grads=True)
    row = context.x.new_zeros((n, *blocks[-1][0].grid), dtype=torch.float32)
    for (windows, probabilities), slope in zip(reversed(blocks), reversed(slopes), strict=True):
        weighted = (probabilities.detach() * slope).float().relu().mean(-3)  # over the heads
        row = hand_back(row, weighted.reshape(n, -1, *weighted.shape[-2:]), windows)
    return row


def hand_back(
    row: Float[Tensor, "n h w"], attention: Float[Tensor, "n windows t t"], windows: Windows
) -> Float[Tensor, "n h2 w2"]:
    """Return what is brought to the places before a block, out of that after it.

    All places of the last grid count the same. This equal part, which sums to 1, is passed on as well, and left out of
    the result, beside which it would be large.
    """
    places = windows.grid[0] * windows.grid[1]
    if tuple(row.shape[1:]) != windows.grid:
        row = F.interpolate(row[:, None], size=windows.grid, mode="nearest")[:, 0] * (row[0].numel() / places)
    return row + windows.unite(torch.einsum("nwq,nwqk->nwk", windows.divide(row + 1 / places), attention))


@contextmanager
def _announced(network: nn.Module, recorder: SoftmaxRecorder) -> Iterator[None]:
    """Tell the recorder which module runs."""

    def announce(module: nn.Module, arguments: Any, options: dict[str, Any]) -> None:
        grid = arguments[1] if len(arguments) > 1 else options.get("input_dimensions")
        found = find_windows(module, arguments[0] if arguments else None, grid)
        if found is not None:
            recorder.windows = found

    handles = [module.register_forward_pre_hook(announce, with_kwargs=True) for module in network.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
