"""A loss of features that are computed patch by patch (``--cut-patches``).

At the end of a stage the features are cut into quarters, the further stages run on each quarter alone, and their
outputs are put together again; what is then pooled has to give the class too. So no quarter can rely on the evidence of
another one. One such branch per stage, each with its own forward; the gradient stops at the cut.

The idea is that of progressive patch learning (PPL, Li et al. 2022, IEEE TMM), whose code never appeared. Ours: the
branches share the head, so that the network is the same without them, have a plain cross-entropy, and are trained all
at once; a cut into 2 x 2 is that of its figure.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import InterpferError
from interpfer.finetuning.plugins import Plugin
from interpfer.models.hooks import first_tensor, replace_first
from interpfer.models.model import Model

PIECES = 2
"""Number of patches along each side."""

SMALLEST = 2
"""Fewest cells along the side of a patch."""


class CutPatches(Plugin):
    """The branches of a network.

    Args:
        model: the classifier.
        weight: of the mean cross-entropy of the branches.
        pieces: number of patches along each side.

    Attributes:
        layers: names of the layers at whose output features are cut, shallow to deep.

    Raises:
        InterpferError: the stages of the network lie on no grid that can be cut.
    """

    def __init__(self, model: Model, weight: float, pieces: int = PIECES) -> None:
        self._weight, self._pieces, self._model = weight, pieces, model
        self._last = model.layer(model.layers("last")[0])
        stages = model.layers("all")
        self.layers = tuple(name for name in stages[:-1] if self._can_cut(name))
        if not self.layers:
            raise InterpferError(
                f"--cut-patches cuts the grid of a stage into {pieces} x {pieces} patches of {SMALLEST} x {SMALLEST} "
                f"cells or more, and {model.name} has no stage with such a grid before its last one: leave it out."
            )
        self._twin = copy.deepcopy(model.module)
        try:
            with torch.no_grad():
                for name in self.layers:
                    self._logits(name, model.module, model.noise)
        except RuntimeError as error:
            raise InterpferError(
                f"--cut-patches: further stages of {model.name} do not run on patches alone ({error}); leave it out."
            ) from error

    def loss(self, module: nn.Module, x: Tensor, targets: Sequence[tuple[float, Tensor]]) -> Tensor | None:
        """Return the weighted mean cross-entropy of the branches; None where no face has a class."""
        losses = []
        for name in self.layers:
            logits = self._logits(name, module, x)
            losses += [
                share * F.cross_entropy(logits, classes, ignore_index=-1)
                for share, classes in targets
                if share and bool((classes >= 0).any())
            ]
        return self._weight * torch.stack(losses).sum() / len(self.layers) if losses else None

    def _can_cut(self, name: str) -> bool:
        if "@" in name or "@" in self._last.name:
            return False
        layer = self._model.layer(name)
        least = SMALLEST * self._pieces
        fits = all(side % self._pieces == 0 and side >= least for side in layer.grid)
        return layer.layout == self._last.layout == "nchw" and fits

    def _logits(self, name: str, module: nn.Module, x: Tensor) -> Float[Tensor, "n k"]:
        """Return the logits of the branch that is cut after a layer.

        It is a twin of the network with the same parameters and no hooks of others, and leaves the statistics of batch
        normalisation alone.
        """
        twin = self._twin
        for own, other in zip(module.modules(), twin.modules(), strict=True):
            other.training = own.training
            if isinstance(other, nn.modules.batchnorm._BatchNorm):
                other.track_running_stats = not own.training
        handles = [
            twin.get_submodule(name).register_forward_hook(self._cut),
            twin.get_submodule(self._last.name).register_forward_hook(self._merge),
        ]
        tensors = dict(module.named_parameters()) | dict(module.named_buffers())
        try:
            output = torch.func.functional_call(twin, tensors, (x,), dict(self._model.card.forward_args))
        finally:
            for handle in handles:
                handle.remove()
        logits: Tensor = self._model.select(output, len(x))
        return logits

    def _cut(self, _: nn.Module, __: Any, output: Any) -> Any:
        features = first_tensor(output)
        assert features is not None
        return replace_first(output, cut(features.detach(), self._pieces))

    def _merge(self, _: nn.Module, __: Any, output: Any) -> Any:
        features = first_tensor(output, self._last.part)
        assert features is not None
        merged = merge(features, self._pieces)
        if merged.shape[2:] != self._last.grid:
            merged = F.adaptive_avg_pool2d(merged, self._last.grid)
        return replace_first(output, merged, self._last.part)


def cut(features: Float[Tensor, "n c h w"], pieces: int = PIECES) -> Float[Tensor, "m c u v"]:
    """Return the patches of features as images of their own, those of an image row by row, image after image.

    Examples:
        >>> cut(torch.arange(4.0).reshape(1, 1, 2, 2)).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    rows = torch.stack([part for row in features.chunk(pieces, 2) for part in row.chunk(pieces, 3)], 1)
    return rows.flatten(0, 1)


def merge(patches: Float[Tensor, "m c u v"], pieces: int = PIECES) -> Float[Tensor, "n c h w"]:
    """Put patches together again, where ``cut`` took them from.

    Examples:
        >>> features = torch.rand(2, 3, 4, 6)
        >>> torch.equal(merge(cut(features)), features)
        True
    """
    parts = patches.reshape(-1, pieces, pieces, *patches.shape[1:])
    rows = [torch.cat([parts[:, i, j] for j in range(pieces)], 3) for i in range(pieces)]
    return torch.cat(rows, 2)
