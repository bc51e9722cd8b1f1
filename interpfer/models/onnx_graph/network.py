"""The network of an ONNX graph."""

from collections.abc import Iterator, Mapping
from itertools import combinations, islice
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.models.onnx_graph import shape
from interpfer.models.onnx_graph.steps import Step, run_steps

MAX_CHOICES = 64
"""Possibilities that are tried to free the number of images."""


class OnnxNetwork(nn.Module):
    """An ONNX graph of one input, run node by node.

    Args:
        modules: name -> module of a node, in the order of execution.
        steps: the calls of the modules.
        source: name of the input.
        results: names of the outputs.
        is_channels_last: whether the graph takes (n, height, width, channels); images are turned for it.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        steps: list[Step],
        source: str,
        results: tuple[str, ...],
        is_channels_last: bool = False,
    ) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.steps = steps
        self.source = source
        self.results = results
        self.is_channels_last = is_channels_last

    def forward(self, x: Tensor) -> Any:
        """Return the output for images (n, c, h, w); a tuple of several."""
        values: dict[str, Any] = {self.source: x.permute(0, 2, 3, 1) if self.is_channels_last else x}
        run_steps(self._modules, self.steps, values)
        outputs = tuple(values[name] for name in self.results)
        return outputs[0] if len(outputs) == 1 else outputs

    def free_batch(self, images: Tensor) -> Iterator[None]:
        """Let a graph that was exported for a fixed number of images take any number.

        Where the images lie after a change of shape is not always clear: each step of the iterator is one possibility,
        and outputs decide which is right.

        Args:
            images: as many images as the graph is made for; shapes are recorded while they run.
        """
        handles = []
        reshapes = [module for module in self.modules() if isinstance(module, shape.Reshape)]
        for module in reshapes:
            handles.append(module.register_forward_hook(_Recorder(len(images))))
        for joint in self.modules():
            if isinstance(joint, shape.Concat):
                joint.repeats = True
        try:
            with torch.no_grad():
                self(images)
        finally:
            for handle in handles:
                handle.remove()
        fixed = dict.fromkeys(module.fixed for module in reshapes if module.shapes and module.fixed is not None)
        kinds = [each for each in fixed if each.is_ambiguous]
        subsets = (chosen for count in range(len(kinds) + 1) for chosen in combinations(kinds, count))
        for chosen in islice(subsets, MAX_CHOICES):
            for module in reshapes:
                module.choice = int(module.fixed in chosen)
            yield


class _Recorder:
    """A hook that records the shapes of a ``Reshape``."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        assert isinstance(module, shape.Reshape)
        module.fixed = shape.FixedShape(tuple(inputs[0].shape), tuple(output.shape), self.count)
