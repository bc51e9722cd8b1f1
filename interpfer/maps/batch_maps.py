"""All maps of a batch, with and without refiners: what is computed within the shared pass, and what after it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import INPUT, AnyMap, ModelMap, layers_of
from interpfer.maps.blocks import BlockCapture, BlockRecorder, join_needs
from interpfer.maps.capture import AttentionCapture, Capture, Forward, LayerCapture, forward
from interpfer.maps.computing import (
    Key,
    MapResults,
    ModelInputs,
    add_layer_maps,
    add_model_maps,
    image_seeds,
    list_keys,
    shared_pass,
)
from interpfer.maps.head import linear_gradients
from interpfer.maps.refiners.base import ATTENTION, QUERIES
from interpfer.maps.refining import Material, add_refined, bases_of, contrasted, needs, refined_among, terms_wanted
from interpfer.maps.tokens import TokenRecorder
from interpfer.models.model import Model


class Parts(NamedTuple):
    """Maps of a batch for some targets, as far as they come out of the shared pass.

    Attributes:
        targets: class index per face, -1 for none.
        results: maps of layers without refiners.
        terms: (map, layer) -> summands of a map.
        methods: the maps that are requested.
    """

    targets: Tensor
    results: MapResults
    terms: dict[Key, Tensor]
    methods: Mapping[str, AnyMap]


class BatchMaps:
    """The maps of a batch.

    Args:
        model: the classifier.
        x: (n, c, s, s) prepared input.
        methods: name -> map.
        layers: names of the layers of maps that have one.
        seed: random seed.
        rows: position of each face in the data set; None for numbers from their pixels.
        unsupported: (map, layer) -> why the model does not allow it.
        run_again: function from changed input, maps, layers, targets, seed and rows to their results.

    Attributes:
        gradients: whether the shared pass has a backward.
    """

    def __init__(
        self,
        model: Model,
        x: Tensor,
        methods: Mapping[str, AnyMap],
        layers: tuple[str, ...],
        seed: int,
        rows: Sequence[int] | None,
        unsupported: Mapping[Key, str],
        run_again: Callable[..., MapResults],
    ) -> None:
        self.model, self.x, self.methods, self.layers, self.seed = model, x, methods, layers, seed
        self.unsupported = unsupported
        self._rows = None if rows is None else tuple(rows)
        self._run_again = run_again
        self._seeds = image_seeds(x, seed)
        self._contrasted = contrasted(methods)
        plain = self._plain(methods)
        self._shared, self.gradients = shared_pass(plain, layers)
        of_attention = [each for each in plain.values() if isinstance(each, ModelMap) and each.attentions]
        self._attention_gradients = any(each.gradient for each in of_attention)
        self.gradients |= self._attention_gradients
        self._blocks, self._block_capture = _open_blocks(model, plain)
        self._tokens = TokenRecorder(
            model.module,
            bool(of_attention) or needs(methods, ATTENTION),
            self._attention_gradients or needs(methods, QUERIES),
        )

    @contextmanager
    def forward(self) -> Iterator[Forward]:
        """Run the shared forward; within the context its graph allows backwards."""
        for layer in self._shared:
            self.model.layer(layer)  # found out before anything is recorded
        x = self.x.detach().requires_grad_() if self._attention_gradients else self.x
        in_graph = self.gradients
        with ExitStack() as stack:
            with ExitStack() as recorders:  # no longer than the forward: maps may run the model again
                recorders.enter_context(self._tokens.attached())
                if self._blocks is not None:
                    recorders.enter_context(self._blocks.attached())
                    x, in_graph = self._blocks.prepare(x), in_graph or self._blocks.needs.gradients
                run = stack.enter_context(forward(self.model, x, self._shared, in_graph))
            if self._blocks is not None:
                try:
                    self._block_capture = self._blocks.captured(run.logits)
                except ModelError as error:
                    self._block_capture = error
            yield run

    def capture(self, run: Forward, targets: Tensor, keep: bool = False) -> Capture:
        """Return what the maps of some targets are made of, out of at most one backward.

        Args:
            run: the shared forward.
            targets: class index per face, -1 for none.
            keep: whether to keep the graph for other targets.
        """
        drawn = self._draw_in_graph(run, targets)  # before the backward, which frees the graph
        others = self._tokens.in_graph if self._attention_gradients else []
        if not self.gradients or not (run.outputs or others):
            return replace(run.without_gradients(targets), drawn=drawn[0], refused=drawn[1])
        return replace(run.backward(targets, keep, others), drawn=drawn[0], refused=drawn[1])

    def _draw_in_graph(self, run: Forward, targets: Tensor) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Return the maps of the last blocks that need their graph, and why some cannot be computed."""
        wanted = {name: method for name, method in self._of_blocks(self.methods).items() if method.gradient}
        results = MapResults(run.logits.detach())
        add_model_maps(results, self._inputs(targets), wanted, self.layers)
        drawn = {name: raw for (name, _), raw in results.maps.items()}
        return drawn, {name: why for (name, _), why in results.refused.items()}

    def _of_blocks(self, methods: Mapping[str, AnyMap]) -> dict[str, ModelMap]:
        """Return the maps without refiners that are made of the last blocks of the shared pass."""
        plain = self._plain(methods).items()
        return {name: method for name, method in plain if isinstance(method, ModelMap) and method.blocks is not None}

    def _inputs(self, targets: Tensor, attentions: AttentionCapture | ModelError | None = None) -> ModelInputs:
        return ModelInputs(self.model, self.x, targets, self._seeds, self.seed, attentions, self._block_capture)

    def compute(self, captured: Capture, methods: Mapping[str, AnyMap] | None = None) -> Parts:
        """Compute the maps of the layers, without refiners; the capture is used up."""
        methods, results = self.methods if methods is None else methods, MapResults(captured.logits)
        summed, plain = terms_wanted(methods), self._plain(methods)
        terms = add_layer_maps(results, self.model, captured, plain, self._seeds, summed)
        self._add_attention_maps(results, captured, plain)
        results.maps.update({(name, INPUT): raw for name, raw in captured.drawn.items() if name in plain})
        results.refused.update({(name, INPUT): why for name, why in captured.refused.items() if name in plain})
        without_graph = {name: method for name, method in self._of_blocks(methods).items() if not method.gradient}
        add_model_maps(results, self._inputs(captured.targets), without_graph, self.layers)
        return Parts(captured.targets, results, terms, methods)

    def _add_attention_maps(self, results: MapResults, captured: Capture, methods: Mapping[str, AnyMap]) -> None:
        """Add the maps that are made of the attention of the shared pass; the recorded gradients are used up."""
        wanted = {
            name: method
            for name, method in methods.items()
            if isinstance(method, ModelMap) and method.attentions and (captured.others or not method.gradient)
        }
        if not wanted:
            return
        attentions: AttentionCapture | ModelError
        try:
            attentions = self._tokens.captured(len(self.x), captured.others)
        except ModelError as error:
            attentions = error
        captured.others.clear()
        add_model_maps(results, self._inputs(captured.targets, attentions), wanted, self.layers)

    def compute_classes(self, run: Forward) -> list[Parts]:
        """Compute the maps that are contrasted, for each class: a backward each, or none before a linear head."""
        if not self._contrasted:
            return []
        _, gradients = shared_pass(self._plain(self._contrasted), self.layers)
        slopes = self._closed_gradients(run) if gradients else {}
        return [
            self.compute(self._captured(run, index, gradients, slopes), self._contrasted)
            for index in range(run.logits.shape[1])
        ]

    def finish_classes(self, classes: Sequence[Parts]) -> dict[Key, Tensor]:
        """Return the contrasted maps of all classes, (n, k, gh, gw)."""
        finished = [self.finish(parts) for parts in classes]
        keys = finished[0].maps.keys() - set().union(*(each.refused for each in finished)) if finished else ()
        return {key: torch.stack([each.maps[key] for each in finished], 1) for key in keys}

    def finish(self, parts: Parts, class_maps: Mapping[Key, Tensor] | None = None) -> MapResults:
        """Add the maps that run the model, and the refined ones; return what is requested, in its order."""
        targets, results, terms, methods = parts
        plain = self._plain(methods)
        if not needs(self.methods, ATTENTION) and not needs(self.methods, QUERIES):
            self._tokens.forget()
        inputs = ModelInputs(self.model, self.x, targets, self._seeds, self.seed)
        add_model_maps(results, inputs, plain, self.layers)
        unsupported = {key: why for key, why in self.unsupported.items() if key not in results.refused}
        results.refused.update(unsupported)
        missing = torch.full((len(self.x), 2, 2), torch.nan, device=self.x.device)
        results.maps.update(dict.fromkeys(unsupported, missing))
        possible = {name: method for name, method in methods.items() if self._is_possible(name, method)}
        if refined_among(possible):
            material = self._material(results, targets, terms, class_maps or {})
            add_refined(results.maps, results.refused, possible, material)
        keys = list_keys(methods, self.layers)
        maps = {key: results.maps[key] for key in keys if key in results.maps}
        return MapResults(results.logits, maps, {key: why for key, why in results.refused.items() if key in keys})

    def _material(
        self, results: MapResults, targets: Tensor, terms: Mapping[Key, Tensor], class_maps: Mapping[Key, Tensor]
    ) -> Material:
        rows = self._seeds() if self._rows is None else self._rows

        def rerun(x: Tensor, methods: Mapping[str, AnyMap]) -> MapResults:
            return self._run_again(x, methods, self.layers, targets, self.seed, rows)

        return Material(
            self.x,
            results.logits,
            self.model.probabilities(results.logits.double()),
            targets,
            {layer: self.model.layer(layer).grid for layer in self.layers},
            rows,
            self.seed,
            results.maps,
            results.refused,
            terms,
            class_maps,
            self._tokens.attentions(len(self.x) // self.model.frames),
            self._tokens.projections(),
            rerun,
        )

    def _plain(self, methods: Mapping[str, AnyMap]) -> dict[str, AnyMap]:
        """Return the maps without refiners that are needed, and that some layer supports."""
        return {name: method for name, method in bases_of(methods).items() if self._is_possible(name, method)}

    def _is_possible(self, name: str, method: AnyMap) -> bool:
        """Return whether the model allows a map at some layer."""
        return any((name, layer) not in self.unsupported for layer in layers_of(method, self.layers))

    def _closed_gradients(self, run: Forward) -> dict[str, Tensor]:
        """Return layer -> (k, c) gradient of each logit at every cell, if a linear head follows all layers."""
        slopes, logits = {}, self.model.of_clips(run.logits.detach())
        for layer, activation in run.activations.items():
            slope = linear_gradients(self.model.module, activation, logits, self.model.precision)
            if slope is None:
                return {}
            slopes[layer] = slope
        return slopes

    def _captured(self, run: Forward, index: int, gradients: bool, slopes: Mapping[str, Tensor]) -> Capture:
        targets = torch.full((len(self.x),), index, device=self.x.device)
        drawn, refused = self._draw_in_graph(run, targets) if self._of_blocks(self._contrasted) else ({}, {})
        if gradients and not slopes:
            return replace(run.backward(targets, keep=True), drawn=drawn, refused=refused)
        captured = replace(run.without_gradients(targets), drawn=drawn, refused=refused)
        if not gradients:
            return captured
        layers: dict[str, LayerCapture] = {}
        for layer, values in captured.layers.items():
            slope = slopes[layer][index][None, :, None, None]
            layers[layer] = replace(values, gradient=slope.expand_as(values.activation))
        return replace(captured, layers=layers)


def _open_blocks(
    model: Model, methods: Mapping[str, AnyMap]
) -> tuple[BlockRecorder | None, BlockCapture | ModelError | None]:
    """Return what records the last blocks for some maps; or why there are none."""
    needs = join_needs(each.blocks for each in methods.values() if isinstance(each, ModelMap) and each.blocks)
    if needs is None:
        return None, None
    try:
        return BlockRecorder(model, needs), None
    except ModelError as error:
        return None, error
