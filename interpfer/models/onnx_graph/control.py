"""Conditions: one of two branches of a graph runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from interpfer.models.onnx_graph.steps import Step, run_steps


class Branch(nn.Module):
    """A branch, which uses values of the graph around it.

    Args:
        modules: name -> module of a node, in the order of execution.
        steps: the calls of the modules.
        results: names of the outputs.
        constants: outputs that are constant.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        steps: Sequence[Step],
        results: tuple[str, ...],
        constants: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.steps = list(steps)
        self.results = results
        self.constants = dict(constants)

    def forward(self, values: dict[str, Any]) -> Any:
        """Return the output; a tuple of several."""
        values = self.constants | values
        run_steps(self._modules, self.steps, values)
        outputs = tuple(values[name] for name in self.results)
        return outputs[0] if len(outputs) == 1 else outputs


class If(nn.Module):
    """Runs a branch if its condition is met, else the other one.

    Args:
        branch: the first branch.
        other: the second branch.
        names: names of the values that the branches use, in the order in which they are passed.
    """

    def __init__(self, branch: Branch, other: Branch, names: tuple[str, ...]) -> None:
        super().__init__()
        self.branch = branch
        self.other = other
        self.names = names

    def forward(self, condition: Tensor, *values: Any) -> Any:
        """Return the output of the branch that the condition chooses."""
        chosen = self.branch if bool(condition) else self.other
        return chosen(dict(zip(self.names, values, strict=True)))
