"""Checks for authors of adapters: does a network behave as maps need it?

from interpfer import load_model
from interpfer.testing import check_model

def test_my_adapter():
    check_model(load_model("my.pt", arch="myscheme:small", classes="rafdb"))
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.labels import EXPRESSIONS
from interpfer.maps.capture import capture
from interpfer.maps.compute import compute_maps
from interpfer.models.hooks import hooked
from interpfer.models.model import Model

TOLERANCE = 1e-4
SIZE = 96
"""Side of the pictures that are handed in, unlike most models' own."""


def check_model(model: Model) -> None:
    """Check that a model gives what maps and scores need, and is left as it was.

    Args:
        model: of ``interpfer.load_model``, which takes a module too.

    Raises:
        AssertionError: it does not; the message lists every check that failed, with what was seen.
    """
    failures = []
    for check in CHECKS:
        summary = (check.__doc__ or check.__name__).partition("\n")[0].rstrip(".")
        try:
            check(model)
        except AssertionError as error:
            failures.append(f"{summary}: {error}")
        except Exception as error:
            failures.append(f"{summary}: {type(error).__name__}: {' '.join(str(error).split())}")
    if failures:
        lines = "\n".join(f"  - {failure}" for failure in failures)
        raise AssertionError(f"model {model.name} fails {len(failures)} of {len(CHECKS)} checks:\n{lines}")


def _classes(model: Model) -> None:
    """Classes are expressions, each once."""
    strange = [name for name in model.classes if name not in EXPRESSIONS]
    assert not strange, f"{', '.join(strange)} is none of {', '.join(EXPRESSIONS)}"
    assert len(set(model.classes)) == len(model.classes) > 1, f"they are {', '.join(model.classes)}"


def _prepared(model: Model) -> None:
    """Pictures are prepared without being changed."""
    images = _images(2)
    before = images.clone()
    x = model.preprocess(images)
    size = model.card.input.size
    assert torch.equal(images, before), "preprocess writes into the pictures it is given"
    assert x.shape[0] == 2, f"2 pictures became {tuple(x.shape)}"
    assert x.shape[2:] == (size, size), f"{tuple(x.shape)} where the card says {size} px"


def _shape(model: Model) -> None:
    """Logits are (n, classes) and finite, for any n."""
    for n in (1, 3):
        logits = _logits(model, n)
        assert logits.shape == (n, len(model.classes)), f"{tuple(logits.shape)} for n = {n}"
        assert bool(logits.isfinite().all()), f"some are not finite for n = {n}"


def _determinism(model: Model) -> None:
    """The same pictures give the same logits."""
    worst = _apart(_logits(model, 2), _logits(model, 2))
    assert worst == 0, f"two runs differ by {worst:.2g} (dropout or noise that eval does not switch off?)"


def _independence(model: Model) -> None:
    """A picture gives the same logits alone and in a batch."""
    together = _logits(model, 3)
    with hooked(model.module, {}), torch.no_grad():
        x = model.preprocess(_images(3))
        alone = torch.cat([model.logits(x[i : i + 1]) for i in range(3)])
    worst = _apart(together, alone)
    assert worst <= TOLERANCE, f"they differ by {worst:.2g} of the largest logit (statistics over the batch?)"


def _gradient(model: Model) -> None:
    """Each logit has a gradient towards its own picture alone."""
    with hooked(model.module, {}), torch.enable_grad():
        x = model.preprocess(_images(2)).requires_grad_()
        logits = model.logits(x)
        assert logits.requires_grad, "the logits are cut off from the input (detach, no_grad, numpy?)"
        slope = torch.autograd.grad(logits[0].square().sum(), x)[0]
    assert bool(slope.isfinite().all()), "it is not finite"
    assert bool(slope[0].any()), "it is zero everywhere"
    assert not bool(slope[1].any()), "it reaches another picture of the batch"


def _layers(model: Model) -> None:
    """There are layers with a grid, and the logits depend on those that last and all choose."""
    names = model.layers("all")
    assert set(model.layers("last")) <= {layer.name for layer in model.spatial_layers} | set(names)
    idle = [name for name in names if not model.layer(name).used]
    assert not idle, f"the logits do not depend on the grid of {', '.join(idle)}: name other layers in the card"


def _grid(model: Model) -> None:
    """Activations and gradients of the layers lie on their grids."""
    seen = capture(model, model.preprocess(_images(2)), model.layers("all"))
    for name, layer in seen.layers.items():
        told = model.layer(name)
        expected = (2, told.channels, *told.grid)
        for what, value in (("activation", layer.activation), ("gradient", layer.gradient)):
            assert value is not None, f"{name} has no {what}"
            assert value.shape == expected, f"the {what} of {name} is {tuple(value.shape)}, not {expected}"
            assert bool(value.isfinite().all()), f"the {what} of {name} is not finite"
        assert layer.gradient is not None
        assert bool(layer.gradient.any()), f"the gradient of {name} is zero"


def _maps(model: Model) -> None:
    """Maps can be made at every layer."""
    targets = torch.zeros(2, dtype=torch.long)
    made = compute_maps(model, _images(2), maps=["attention", "gradcam"], layers=model.layers("all"), targets=targets)
    broken = [f"{name} at {layer}" for (name, layer), drawn in made.items() if not drawn.isfinite().all()]
    assert not broken, f"not finite: {', '.join(broken)}"


def _restored(model: Model) -> None:
    """The network is left as it was found, also after an error."""
    with _unchanged(model.module):
        compute_maps(model, _images(2), maps=["gradcam"], layers=model.layers("last"))
    with _unchanged(model.module):
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


def _images(n: int) -> Tensor:
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def _logits(model: Model, n: int) -> Tensor:
    with hooked(model.module, {}), torch.no_grad():
        return model.logits(model.preprocess(_images(n)))


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-12))


def _state(network: nn.Module) -> dict[str, Any]:
    return {
        "train or eval of a module": [module.training for module in network.modules()],
        "requires_grad of a parameter": [parameter.requires_grad for parameter in network.parameters()],
        "the hooks of a module": [len(module._forward_hooks) for module in network.modules()],
        ".grad of a parameter": [parameter.grad is not None for parameter in network.parameters()],
    }


@contextmanager
def _unchanged(network: nn.Module) -> Iterator[None]:
    before, weights = _state(network), {name: value.clone() for name, value in network.state_dict().items()}
    yield
    after = _state(network)
    changed = [what for what, value in before.items() if after[what] != value]
    changed += [name for name, value in network.state_dict().items() if not torch.equal(value, weights[name])]
    assert not changed, f"{', '.join(changed[:4])} changed"
