"""Stages of a network: which of its spatial layers end one, and which is the last that the logits depend on.

The search follows the order of execution down the tree of modules. ``last`` is the output of the module that finishes
last, or of the last module inside it where its own output is not on a grid or the logits do not depend on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from interpfer.models.layer import Layer

MAX_STAGES = 6
"""A trunk of more modules than this consists of blocks; the last block of each grid size ends a stage."""


def find_stage_ends(layers: Sequence[Layer], attention: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the names of the layers that end a stage, shallow to deep.

    The trunk is the group of sibling modules with the largest number of different grids among those that reach the
    last grid. Up to ``MAX_STAGES`` siblings are stages; of more, the last one of each grid ends a stage. A module
    after the trunk with the grid of the last stage replaces it. The blocks of a plain transformer have one grid: there
    every block is a stage, and so is the norm after them.

    Args:
        layers: all spatial layers, at least one, in the order in which they finish.
        attention: names of modules that are attention: of one that only a class token leaves, the norm before it ends
            the stage.
    """
    tree = _Tree(_usable(layers), attention)
    end = tree.find_end()
    is_tokens = end.layout == "tokens"
    groups = tree.list_groups(end, only_composite=True)
    if not is_tokens and (not groups or max(group.count_grids() for group in groups) == 1):
        groups = tree.list_groups(end, only_composite=False)
    best = max(groups, key=lambda group: group.rank(is_tokens))
    stages = list(best.stages)
    if inner := [group for group in groups if group.is_inside(best) and group.count_grids() > 1]:
        finest = max(inner, key=lambda group: group.rank(is_tokens))
        if best.last not in tree.by_name or not best.grids >= finest.grids:  # the last sibling holds several stages
            stages[-1:] = finest.stages
    has_grids = len({layer.grid for layer in stages}) > 1
    if len(stages) > MAX_STAGES and has_grids:
        stages = list({layer.grid: layer for layer in stages}.values())
    if not best.is_end:
        stages[-1 if has_grids or not is_tokens else len(stages) :] = [end]
    return tuple(layer.name for layer in stages)


@dataclass(frozen=True)
class _Group:
    """Sibling modules up to one that reaches the last grid.

    Attributes:
        stages: their outputs, in the order in which they finish.
        last: name of the last of them.
        is_end: whether its output is the last layer.
        finished: place of the last of them in the order of execution.
    """

    stages: tuple[Layer, ...]
    last: str
    is_end: bool
    finished: int

    @property
    def parent(self) -> str:
        """Name of the module that contains them, with a dot at its end."""
        return self.last[: self.last.rfind(".") + 1]

    @property
    def grids(self) -> set[tuple[int, int]]:
        """Grids of the outputs."""
        return {layer.grid for layer in self.stages}

    def is_inside(self, other: "_Group") -> bool:
        """Return whether the last sibling of another group contains these modules, and both end with the last layer."""
        return self.is_end and self.parent.startswith(f"{other.last}.")

    def count_grids(self) -> int:
        """Return the number of different grids from which the last one may come; a trunk never becomes finer."""
        return len({layer.grid for layer in self.stages if layer.grid >= self.stages[-1].grid})

    def rank(self, is_tokens: bool) -> tuple[int, ...]:
        """Return by what the trunk is chosen: grids, blocks of a plain transformer, height in the tree, and place."""
        grids = self.count_grids()
        return grids, len(self.stages) if is_tokens and grids == 1 else 0, -self.last.count("."), self.finished


class _Tree:
    """Layers that may end a stage, by the modules that contain them.

    Args:
        layers: usable layers in the order in which they finish.
        attention: names of modules that are attention.
    """

    def __init__(self, layers: Sequence[Layer], attention: frozenset[str]) -> None:
        self.layers = layers
        self.attention = attention
        self.by_name = {layer.name: layer for layer in layers}
        self.finished: dict[str, int] = {}
        for index, layer in enumerate(layers):
            parts = layer.name.split(".")
            self.finished.update((".".join(parts[:count]), index) for count in range(1, len(parts) + 1))
        self.children: dict[str, list[str]] = {}
        for name in sorted(self.finished, key=lambda name: self.finished[name]):
            self.children.setdefault(name.rpartition(".")[0], []).append(name)

    def find_end(self) -> Layer:
        """Return the last layer; of blocks and a norm without weights of its own for tokens, the blocks."""
        end = self.output_of("")
        producer = next(layer for layer in self.layers if layer.source == end.source)
        index = self.layers.index(producer)
        before = self.layers[index - 1] if index else producer
        is_plain_norm = producer.is_norm and not producer.is_composite and producer.layout != "tokens"
        if is_plain_norm and before.is_composite and (before.grid, before.layout) == (end.grid, end.layout):
            return before
        return producer if producer.is_norm else end

    def output_of(self, name: str) -> Layer:
        """Return the output of a module or, if that is not on a grid or not used, of the last module inside it."""
        while name not in self.by_name:
            *others, child = self.children[name]
            before = self.by_name.get(others[-1]) if others else None
            if child not in self.by_name and child in self.attention and before is not None and before.is_norm:
                return before
            name = child
        return self.by_name[name]

    def list_groups(self, end: Layer, only_composite: bool) -> list[_Group]:
        """Return the groups of siblings that reach the grid of the last layer.

        Args:
            end: the last layer.
            only_composite: whether to leave out siblings without modules inside.
        """
        groups, last = [], self.layers.index(end)
        for name, finished in self.finished.items():
            output = self.output_of(name)
            is_end = output.source == end.source
            if end.name.startswith(f"{name}.") and not is_end:
                output, is_end = end, True
            if output.grid != end.grid or (finished > last and not is_end):
                continue
            if only_composite and not (output.is_composite or is_end):
                continue
            siblings = self.children[name.rpartition(".")[0]]
            outputs = [self.output_of(other) for other in siblings[: siblings.index(name)]]
            outputs = [other for other in outputs if other.is_composite or not only_composite]
            groups.append(_Group((*outputs, output), name, is_end, finished))
        return groups


def _usable(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that the logits depend on, without reused modules that neither learn nor change the grid."""
    usable: list[Layer] = []
    for layer in [layer for layer in layers if layer.is_used] or layers:
        if layer.calls == 1 or layer.has_weights or not usable or usable[-1].grid != layer.grid:
            usable.append(layer)
    return usable
