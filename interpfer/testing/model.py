"""Checks of a model: does a network behave as maps and scores need it?"""

from collections.abc import Callable

import torch
from torch import Tensor

from interpfer.labels import canonical
from interpfer.maps.capture import capture
from interpfer.maps.compute import compute_maps
from interpfer.models.hooks import hooked
from interpfer.models.model import Model
from interpfer.testing.checks import TOLERANCE, random_images, relative_difference, require, run_checks, unchanged

SIZE = 96
"""Side of the images, unlike the input size of most models."""


def check_model(model: Model) -> None:
    """Check that a model gives what maps and scores need, and is restored afterwards.

    Args:
        model: result of ``interpfer.load_model``, which accepts a module too.

    Raises:
        AssertionError: a check fails; the message lists all that do, with what was seen.

    Examples:
        >>> from interpfer import load_model
        >>> from interpfer.models.small import SmallCNN
        >>> check_model(load_model(SmallCNN(2, width=4), classes=["anger", "fear"], input_size=32))
    """
    run_checks(f"model {model.name}", model, CHECKS)


def _classes(model: Model) -> None:
    """Classes are expressions, each once."""
    strange = [name for name in model.classes if canonical(name) != name]
    require(not strange, f"{', '.join(strange)} must be as interpfer.labels.canonical returns it")
    require(len(set(model.classes)) == len(model.classes) > 1, f"they are {', '.join(model.classes)}")


def _prepared(model: Model) -> None:
    """Images are prepared without being changed."""
    images = random_images(2, SIZE)
    before = images.clone()
    x = model.preprocess(images)
    size = model.card.input.size
    require(torch.equal(images, before), "preprocess writes into its argument; clone it first")
    require(x.shape[0] == 2, f"2 images became {tuple(x.shape)}")
    require(x.shape[2:] == (size, size), f"{tuple(x.shape)} where the card says {size} px")


def _shape(model: Model) -> None:
    """Logits are (n, classes) and finite, for any n."""
    for n in (1, 3):
        logits = _logits(model, n)
        require(logits.shape == (n, len(model.classes)), f"{tuple(logits.shape)} for n = {n}")
        require(logits.isfinite().all(), f"some are not finite for n = {n}")


def _determinism(model: Model) -> None:
    """The same images give the same logits."""
    worst = relative_difference(_logits(model, 2), _logits(model, 2))
    require(worst == 0, f"two runs differ by {worst:.2g} (dropout or noise that eval does not switch off?)")


def _independence(model: Model) -> None:
    """An image gives the same logits alone and in a batch."""
    together = _logits(model, 3)
    with hooked(model.module, {}), torch.no_grad():
        x = model.preprocess(random_images(3, SIZE))
        alone = torch.cat([model.logits(x[i : i + 1]) for i in range(3)])
    worst = relative_difference(together, alone)
    require(worst <= TOLERANCE, f"they differ by {worst:.2g} of the largest logit (statistics over the batch?)")


def _gradient(model: Model) -> None:
    """Each logit has a gradient towards its own image alone."""
    with hooked(model.module, {}), torch.enable_grad():
        x = model.preprocess(random_images(2, SIZE)).requires_grad_()
        logits = model.logits(x)
        require(logits.requires_grad, "the logits have no gradient towards the input (detach, no_grad, numpy?)")
        gradient = torch.autograd.grad(logits[0].square().sum(), x)[0]
    require(gradient.isfinite().all(), "it is not finite")
    require(gradient[0].any(), "it is zero everywhere")
    require(not bool(gradient[1].any()), "it reaches another image of the batch")


def _layers(model: Model) -> None:
    """There are layers with a grid, and the logits depend on those that last and all choose."""
    names = model.layers("all")
    spatial = {layer.name for layer in model.spatial_layers} | set(names)
    require(set(model.layers("last")) <= spatial, "the last layer has no grid")
    idle = [name for name in names if not model.layer(name).is_used]
    require(not idle, f"the logits do not depend on the grid of {', '.join(idle)}: name other layers in the card")


def _grid(model: Model) -> None:
    """Activations and gradients of the layers lie on their grids."""
    captured = capture(model, model.preprocess(random_images(2, SIZE)), model.layers("all"))
    for name, values in captured.layers.items():
        layer = model.layer(name)
        expected = (2, layer.channels, *layer.grid)
        for what, value in (("activation", values.activation), ("gradient", values.gradient)):
            if value is None:
                raise AssertionError(f"{name} has no {what}")
            require(value.shape == expected, f"the {what} of {name} is {tuple(value.shape)}, not {expected}")
            require(value.isfinite().all(), f"the {what} of {name} is not finite")
        require(values.gradient is not None and values.gradient.any(), f"the gradient of {name} is zero")


def _maps(model: Model) -> None:
    """Maps can be computed at every layer."""
    targets = torch.zeros(2, dtype=torch.long)
    images = random_images(2, SIZE)
    maps = compute_maps(model, images, maps=["attention", "gradcam"], layers=model.layers("all"), targets=targets)
    broken = [f"{name} at {layer}" for (name, layer), raw in maps.items() if not raw.isfinite().all()]
    require(not broken, f"not finite: {', '.join(broken)}")


def _restored(model: Model) -> None:
    """The network is restored afterwards, also after an error."""
    with unchanged(model.module):
        compute_maps(model, random_images(2, SIZE), maps=["gradcam"], layers=model.layers("last"))
    with unchanged(model.module):
        try:
            capture(model, torch.zeros(1, 1, 1), model.layers("last"))
        except Exception:
            return


CHECKS: tuple[Callable[[Model], None], ...] = (
    _classes,
    _prepared,
    _shape,
    _determinism,
    _independence,
    _gradient,
    _layers,
    _grid,
    _maps,
    _restored,
)


def _logits(model: Model, n: int) -> Tensor:
    with hooked(model.module, {}), torch.no_grad():
        return model.logits(model.preprocess(random_images(n, SIZE)))
