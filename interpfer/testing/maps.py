"""Checks of a map: are its facts right, and does each image's map depend on that image alone?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import InterpferError
from interpfer.labels import EXPRESSIONS
from interpfer.maps.base import MANY_PASSES, ONE_PASS, AnyMap, BaselineMap, LayerMap, ModelMap, RawMap
from interpfer.maps.capture import LayerCapture, capture
from interpfer.maps.engine import MapResults, run_maps
from interpfer.maps.head import class_map
from interpfer.models.hooks import first_tensor
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.testing.baselines import check_baseline
from interpfer.testing.checks import (
    name_of,
    random_images,
    relative_difference,
    require,
    run_checks,
    unchanged,
)

IMAGES = 3
TOLERANCE = 1e-3
"""Largest difference of equal maps, relative to the largest value: some take many steps to compute."""
NOISE = 1e-5
"""Largest difference of maps of which nothing has changed."""
SIZE = 32
CLASSES = EXPRESSIONS[:4]


def check_map(method: AnyMap, model: Model | None = None) -> None:
    """Check a map: its facts, its shape, what it depends on, and that it changes nothing.

    Facts are filled and right (``gradient``, ``class_specific``); maps of a layer lie on its grid, are finite or NaN
    all over, do not depend on the batch or its size, and are the same under the same seed; model and tensors are
    unchanged, also after an error. Baselines are checked on heatmaps instead of a model.

    Args:
        method: the decorated function, such as ``interpfer.maps.gradient.gradcam``.
        model: a classifier that the map supports, of at least two classes; by default a small untrained CNN with
            pooling and one linear layer. All layers of ``model.layers("all")`` are tried, and one has to work.

    Raises:
        AssertionError: a check fails; the message lists all that do, with what was seen and what to fix.

    Examples:
        >>> from interpfer.maps.gradient import gradcam
        >>> check_map(gradcam)
    """
    if isinstance(method, BaselineMap):
        check_baseline(method)
        return
    if model is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = SmallCNN(len(CLASSES), width=4)
            network.head.weight.data *= 20  # classes differ as those of a trained network
        model = load_model(network, classes=CLASSES, input_size=SIZE, name="small CNN")
    run_checks(f"map {name_of(method.compute)}", _MapRun(method, model), CHECKS)


@dataclass
class _MapRun:
    """A map on a few images.

    Attributes:
        method: the map.
        model: the classifier.
    """

    method: LayerMap | ModelMap
    model: Model

    @cached_property
    def x(self) -> Float[Tensor, "n c s s"]:
        """Prepared input."""
        return self.model.preprocess(random_images(IMAGES, self.model.card.input.size).to(self.model.device))

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """All layers; the last alone for a map of many passes."""
        return self.model.layers("all" if self.method.cost == ONE_PASS else "last")

    @cached_property
    def results(self) -> MapResults:
        """Maps of all images for the first class."""
        return self.run(self.x)

    @property
    def maps(self) -> dict[str, RawMap]:
        """Layer -> maps of all images for the first class, where the map can be computed."""
        return self.usable(self.results)

    def run(self, x: Float[Tensor, "n c s s"], target: int = 0) -> MapResults:
        """Return the maps of some images for one class."""
        targets = torch.full((len(x),), target, device=x.device)
        return run_maps(self.model, x, {"map": self.method}, self.layers, targets)

    def usable(self, results: MapResults) -> dict[str, RawMap]:
        """Return layer -> maps, without the layers where the map cannot be computed.

        Raises:
            AssertionError: it cannot be computed for any layer.
        """
        maps = {layer: raw for (name, layer), raw in results.maps.items() if (name, layer) not in results.refused}
        reasons = list(dict.fromkeys(results.refused.values()))
        require(bool(maps), f"not for {self.model.name}: {' '.join(reasons)} Pass a model= that it supports.")
        return maps


def _facts(run: _MapRun) -> None:
    """Its facts are filled."""
    method = run.method
    for fact in ("source", "summary", "provider"):
        advice = "write a docstring, whose first line it is" if fact == "summary" else f"pass {fact}= to the decorator"
        require(bool(getattr(method, fact).strip()), f"{fact} is empty; {advice}")
    costs = (ONE_PASS, MANY_PASSES)
    require(method.cost in costs, f"cost must be one of {', '.join(costs)}, got '{method.cost}'")


def _shape(run: _MapRun) -> None:
    """It returns one map per image, of a layer on the grid of the layer."""
    for layer, raw in run.maps.items():
        require(raw.dim() == 3 and len(raw) == IMAGES, f"{tuple(raw.shape)} at {layer} for {IMAGES} images")
        require(raw.is_floating_point(), f"{raw.dtype} at {layer}; return floats")
        require(raw.device == run.x.device, f"it is on {raw.device} at {layer}; keep it on the device of its input")
        if isinstance(run.method, LayerMap):
            grid = run.model.layer(layer).grid
            require(tuple(raw.shape[1:]) == grid, f"{tuple(raw.shape[1:])} at {layer}, whose grid is {grid}")


def _finite(run: _MapRun) -> None:
    """Each map is finite, or NaN all over where it is undefined."""
    is_defined = []
    for layer, raw in run.maps.items():
        finite, nan = raw.isfinite().flatten(1).all(1), raw.isnan().flatten(1).all(1)
        require((finite | nan).all(), f"a map at {layer} has single pixels that are NaN or infinite")
        is_defined.append(bool(finite.any()))
    require(any(is_defined), "all maps of all images are NaN")


def _batch(run: _MapRun) -> None:
    """The map of an image does not depend on the other images or the size of the batch."""
    for layer, together in run.maps.items():
        for size in (1, 2):
            parts = [run.usable(run.run(run.x[start : start + size])) for start in range(0, IMAGES, size)]
            worst = relative_difference(together, torch.cat([part[layer] for part in parts if layer in part]))
            advice = "statistics, random numbers or normalisation over the batch?"
            require(worst <= TOLERANCE, f"in batches of {size} it differs by {worst:.2g} at {layer} ({advice})")


def _determinism(run: _MapRun) -> None:
    """The same images and seed give the same map."""
    again = run.usable(run.run(run.x))
    for layer, raw in run.maps.items():
        worst = relative_difference(raw, again[layer])
        advice = "draw random numbers with a torch.Generator seeded by context.seeds or layer.seeds()"
        require(worst <= TOLERANCE, f"two runs differ by {worst:.2g} at {layer}; {advice}")


def _class_specific(run: _MapRun) -> None:
    """It depends on the target class if and only if it is declared class-specific."""
    others = [run.usable(run.run(run.x, target)) for target in range(1, min(len(run.model.classes), 4))]
    differences = {
        layer: max(relative_difference(raw, other[layer]) for other in others) for layer, raw in run.maps.items()
    }
    if run.method.class_specific:
        require(max(differences.values()) > NOISE, "all classes have the same map; declare class_specific=False")
    else:
        layer = max(differences, key=lambda name: differences[name])
        reason = f"maps of two classes differ by {differences[layer]:.2g} at {layer}"
        require(differences[layer] <= NOISE, f"{reason}; declare class_specific=True")


def _gradient(run: _MapRun) -> None:
    """It uses the gradient if and only if it is declared to."""
    if run.method.gradient:
        run.usable(run.results)
    uses = _uses_layer_gradient(run, run.method) if isinstance(run.method, LayerMap) else _runs_backward(run)
    if run.method.gradient:
        require(uses, "it does not use the gradient; declare gradient=False, which saves the backward")
    else:
        require(not uses, "it uses the gradient; declare gradient=True")


def _uses_layer_gradient(run: _MapRun, method: LayerMap) -> bool:
    """Return whether the map changes with the gradient of the layer at any layer."""
    captured = capture(run.model, run.x, run.layers)
    generator = torch.Generator().manual_seed(1)
    for values in captured.layers.values():
        values = _with_head(run, values, captured.logits)
        assert values.gradient is not None
        noise = torch.randn(values.gradient.shape, generator=generator).to(values.gradient)
        other = replace(values, gradient=noise * values.gradient.abs().amax())
        try:
            maps = [method.compute(replace(one, activation=one.activation.clone())) for one in (values, other)]
        except InterpferError:
            continue
        if relative_difference(*maps) > NOISE:
            return True
    return False


def _with_head(run: _MapRun, values: LayerCapture, logits: Float[Tensor, "n k"]) -> LayerCapture:
    """Return a capture with what the engine adds to it."""
    targets: Int[Tensor, " n"] = torch.zeros(len(logits), dtype=torch.long, device=logits.device)

    def head() -> RawMap:
        return class_map(run.model.module, values.activation, logits, targets, run.model.precision)

    return replace(values, class_map=head, seeds=lambda: tuple(range(len(logits))))


def _runs_backward(run: _MapRun) -> bool:
    """Return whether a gradient flows through the output of the network, or of a module of it."""
    backwards: list[int] = []

    def count_backwards(_: nn.Module, __: object, output: object) -> None:
        tensor = first_tensor(output)
        if tensor is not None and tensor.requires_grad:
            tensor.register_hook(lambda _: backwards.append(1))  # type: ignore[no-untyped-call]

    handles = [module.register_forward_hook(count_backwards) for module in run.model.module.modules()]
    try:
        run.run(run.x)
    except RuntimeError as error:
        if run.method.gradient or "grad" not in str(error):
            raise
        return True
    finally:
        for handle in handles:
            handle.remove()
    return bool(backwards)


def _pure(run: _MapRun) -> None:
    """It writes into none of its inputs."""
    x = run.x.clone()
    run.run(x)
    require(torch.equal(x, run.x), "it changes the images; clone before writing in place")
    if isinstance(run.method, ModelMap):
        return
    captured = capture(run.model, run.x, run.layers)
    for layer, values in captured.layers.items():
        tensors = {"activation": values.activation, "gradient": values.gradient}
        before = {what: tensor.clone() for what, tensor in tensors.items() if tensor is not None}
        try:
            run.method.compute(_with_head(run, values, captured.logits))
        except InterpferError:
            continue
        for what, copy in before.items():
            same = relative_difference(copy, tensors[what]) == 0  # type: ignore[arg-type]
            require(same, f"it changes the {what} of {layer}, which other maps share; clone before writing in place")


def _restored(run: _MapRun) -> None:
    """The network is restored afterwards, also after an error."""
    with unchanged(run.model.module):
        run.run(run.x)

    forwards = count()

    def fail(*_: object) -> None:
        if isinstance(run.method, LayerMap) or next(forwards):  # the first one is not the map's
            raise RuntimeError("raised by the check")

    with unchanged(run.model.module):
        handle = run.model.module.register_forward_hook(fail)
        try:
            run.run(run.x)
        except Exception:
            return
        finally:
            handle.remove()


CHECKS: tuple[Callable[[_MapRun], None], ...] = (
    _facts,
    _shape,
    _finite,
    _batch,
    _determinism,
    _class_specific,
    _gradient,
    _pure,
    _restored,
)
