"""Converts an ONNX graph to a network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.onnx_graph import (
    activation,
    arithmetic,
    convolution,
    indexing,
    normalisation,
    pooling,
    reduction,
    resize,
    shape,
)
from interpfer.models.onnx_graph.control import Branch, If
from interpfer.models.onnx_graph.network import OnnxNetwork
from interpfer.models.onnx_graph.node import DOMAINS, Node, UnsupportedGraphError, parse_node, to_tensor
from interpfer.models.onnx_graph.steps import Step

PARTS = (activation, arithmetic, convolution, indexing, normalisation, pooling, reduction, resize, shape)
BUILDERS = {name: build for part in PARTS for name, build in part.BUILDERS.items()}
"""Operator -> function that builds its module."""

OPSETS = range(7, 27)
"""Opsets whose operators are translated."""

QUANTISED = ("Quant", "QLinear", "Integer", "QAttention", "QGemm")
"""Parts of the names of operators on quantised values."""

RESERVED = ("steps", "source", "results", "constants", "training", "is_channels_last")
"""Names that a module of a node cannot have."""


def convert_graph(model: Any, is_channels_last: bool = False) -> OnnxNetwork:
    """Return the network of an ONNX model with one input.

    Weights are parameters of the modules that use them. Nodes whose inputs are constant are computed once.

    Args:
        model: an ``onnx.ModelProto`` with its weights inside.
        is_channels_last: whether the graph takes (n, height, width, channels).

    Raises:
        UnsupportedGraphError: an operator is not translated; the text names it.
        ModelError: a constant of the graph is larger than interpfer reads.
    """
    versions = [each.version for each in model.opset_import if each.domain in DOMAINS]
    opset = versions[0] if versions else 1
    if opset not in OPSETS:
        raise UnsupportedGraphError(f"opset {opset} (of {OPSETS[0]} to {OPSETS[-1]})")
    converter = _Converter(model.graph, opset)
    (source,) = [each.name for each in model.graph.input if each.name not in converter.constants]
    converter.add_nodes(model.graph)
    results = tuple(each.name for each in model.graph.output)
    if any(name in converter.constants for name in results):
        raise UnsupportedGraphError("an output that does not depend on the image")
    return OnnxNetwork(converter.modules, converter.finish(results), source, results, is_channels_last)


class _Converter:
    """Builds the modules of a graph.

    Args:
        graph: the graph.
        opset: version of the operators.
        outer: constants of the graph around it.

    Attributes:
        constants: name -> value of all values that do not depend on the image.
        modules: name -> module.
        steps: the calls of the modules.
    """

    def __init__(self, graph: Any, opset: int, outer: Mapping[str, Tensor] | None = None) -> None:
        self.opset = opset
        self.constants: dict[str, Tensor] = dict(outer or {})
        self.modules: dict[str, nn.Module] = {}
        self.steps: list[Step] = []
        self._add_weights(graph)

    def _add_weights(self, graph: Any) -> None:
        if len(graph.sparse_initializer):
            raise UnsupportedGraphError("a sparse initialiser")
        for proto in graph.initializer:
            tensor = to_tensor(proto)
            is_trainable = tensor.is_floating_point() and tensor.dim() > 0
            self.constants[proto.name] = nn.Parameter(tensor) if is_trainable else tensor

    def add_nodes(self, graph: Any) -> None:
        """Add the modules of all nodes, in order."""
        for proto in graph.node:
            node = parse_node(proto, self.opset)
            if node.operator == "If":
                self._add_condition(node)
            else:
                self._add(node)

    def _add_condition(self, node: Node) -> None:
        """Add the branch that a constant condition chooses, else both."""
        condition = self.constants.get(node.inputs[0])
        if condition is not None:
            graph = node.get("then_branch" if bool(condition) else "else_branch")
            self._add_weights(graph)
            self.add_nodes(graph)
            for value, name in zip(graph.output, node.outputs, strict=True):
                self._add(Node("Identity", "", (value.name,), (name,), {}, self.opset))
            return
        branches, used = [], dict.fromkeys(node.inputs)
        for graph in (node.get("then_branch"), node.get("else_branch")):
            inner = _Converter(graph, self.opset, self.constants)
            inner.add_nodes(graph)
            results = tuple(each.name for each in graph.output)
            steps = inner.finish(results)
            produced = {name for step in steps for name in step.outputs}
            constants = {name: inner.constants[name] for name in results if name in inner.constants}
            names = [*(name for step in steps for name in step.inputs), *results]
            used |= dict.fromkeys(name for name in names if name not in produced and name not in constants)
            branches.append(Branch(inner.modules, steps, results, constants))
        inputs = tuple(used)
        self._add_step(node, If(branches[0], branches[1], inputs[1:]).eval(), inputs)

    def _add(self, node: Node) -> None:
        if any(part in node.operator for part in QUANTISED):
            raise UnsupportedGraphError(f"values quantised to integers (operator {node.operator})")
        if node.operator not in BUILDERS:
            raise node.error()
        names = node.inputs
        constants = tuple(self.constants.get(name) for name in names)
        node = Node(node.operator, node.name, names, node.outputs, node.attributes, node.opset, constants)
        try:
            module = BUILDERS[node.operator](node).eval()
        except (UnsupportedGraphError, ModelError):
            raise
        except Exception as error:  # attributes of a broken file
            raise node.error("with attributes that do not fit") from error
        inputs = tuple(name for name in names if name and name not in self.constants)
        if not inputs:
            self._fold(node, module)
            return
        if isinstance(module, nn.Dropout | nn.ReLU6):  # their other inputs are options
            inputs = inputs[:1]
        self._add_step(node, module, inputs)

    def _add_step(self, node: Node, module: nn.Module, inputs: tuple[str, ...]) -> None:
        name = self._name(node)
        self.modules[name] = module
        self.steps.append(Step(name, inputs, node.outputs))

    def _fold(self, node: Node, module: nn.Module) -> None:
        """Compute a node whose inputs are constant; what is made of weights stays trainable."""
        is_trainable = any(isinstance(value, nn.Parameter) for value in node.constants)
        arguments = [] if hasattr(module, "function") else [value for value in node.constants[:1]]
        try:
            with torch.no_grad():
                output = module(*arguments)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise node.error("of constants that do not fit") from error
        for name, value in zip(node.outputs, [output] if len(node.outputs) == 1 else output, strict=True):
            is_weight = is_trainable and value.is_floating_point() and value.dim() > 0
            if is_weight and not isinstance(value, nn.Parameter):
                value = nn.Parameter(value.detach().clone())
            self.constants[name] = value

    def _name(self, node: Node) -> str:
        """Return a name for ``named_modules()``: without dots, and unique."""
        base = (node.name or f"{node.operator}_{len(self.steps)}").strip("/").replace(".", "/") or node.operator
        name, number = base, 1
        while name in self.modules or hasattr(nn.Module, name) or name in RESERVED:
            name, number = f"{base}_{number}", number + 1
        return name

    def finish(self, results: tuple[str, ...]) -> list[Step]:
        """Return the steps that the outputs need, with the values that are not needed after each."""
        needed, kept = set(results), []
        for step in reversed(self.steps):
            if not needed & set(step.outputs):
                del self.modules[step.module]
                continue
            finished = tuple(name for name in dict.fromkeys(step.inputs) if name not in needed)
            unused = tuple(name for name in step.outputs if name not in needed)
            needed |= set(step.inputs)
            kept.append(Step(step.module, step.inputs, step.outputs, (*finished, *unused)))
        return kept[::-1]
