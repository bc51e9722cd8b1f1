"""Padding at the borders of an image, as convolutions and pooling of ONNX write it."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from interpfer.models.onnx_graph.node import Node


class Padding:
    """Padding before a window operation.

    Args:
        kernel: size of the window per axis.
        stride: stride per axis.
        dilation: dilation per axis.
        pads: begins, then ends, per axis; None for padding that depends on the input's size.
        upper: whether the larger part goes to the end, if the padding depends on the input's size.
    """

    def __init__(
        self,
        kernel: Sequence[int],
        stride: Sequence[int],
        dilation: Sequence[int],
        pads: Sequence[int] | None,
        upper: bool = True,
    ) -> None:
        self.kernel, self.stride, self.dilation = tuple(kernel), tuple(stride), tuple(dilation)
        self.pads = None if pads is None else tuple(pads)
        self.upper = upper

    @property
    def symmetric(self) -> tuple[int, ...] | None:
        """Padding per axis if begin and end are the same for every input, else None."""
        rank = len(self.kernel)
        return self.pads[:rank] if self.pads is not None and self.pads[:rank] == self.pads[rank:] else None

    def amounts(self, x: Tensor) -> list[int]:
        """Return the padding of an input as ``torch.nn.functional.pad`` takes it: last axis first."""
        rank = len(self.kernel)
        if self.pads is not None:
            pairs = list(zip(self.pads[:rank], self.pads[rank:], strict=True))
        else:
            pairs = [self._same(size, axis) for axis, size in enumerate(x.shape[-rank:])]
        return [amount for pair in reversed(pairs) for amount in pair]

    def pad(self, x: Tensor, value: float = 0.0) -> Tensor:
        """Return the padded input."""
        amounts = self.amounts(x)
        return F.pad(x, amounts, value=value) if any(amounts) else x

    def _same(self, size: int, axis: int) -> tuple[int, int]:
        count = -(-size // self.stride[axis])
        reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1
        total = max((count - 1) * self.stride[axis] + reach - size, 0)
        small, large = total // 2, total - total // 2
        return (small, large) if self.upper else (large, small)


def parse_padding(node: Node, kernel: Sequence[int]) -> Padding:
    """Return the padding of a convolution or pooling.

    Args:
        node: the node.
        kernel: size of the window per axis.
    """
    rank = len(kernel)
    stride, dilation = (node.get(name) or [1] * rank for name in ("strides", "dilations"))
    mode = node.get("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        return Padding(kernel, stride, dilation, None, mode == "SAME_UPPER")
    pads = [0] * 2 * rank if mode == "VALID" else node.get("pads") or [0] * 2 * rank
    if min(pads) < 0:
        raise node.error("with negative pads")
    return Padding(kernel, stride, dilation, pads)
