"""The nodes of a graph, run one after another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Step:
    """One node of the network.

    Attributes:
        module: name of its module.
        inputs: names of the values that the module is called with.
        outputs: names of its results; "" for one that is not used.
        finished: names of values that no later step uses.
    """

    module: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    finished: tuple[str, ...] = ()


def run_steps(modules: Mapping[str, nn.Module | None], steps: Sequence[Step], values: dict[str, Any]) -> None:
    """Run steps.

    Args:
        modules: name -> module.
        steps: the steps, in order.
        values: name -> value; results are added, and values that no later step uses are removed.
    """
    for step in steps:
        output = modules[step.module](*(values[name] for name in step.inputs))  # type: ignore[misc]
        if len(step.outputs) == 1:
            values[step.outputs[0]] = output
        else:
            values.update(zip(step.outputs, output, strict=True))
        for name in step.finished:
            values.pop(name, None)
