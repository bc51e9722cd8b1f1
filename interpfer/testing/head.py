"""Checks of a head: do its maps pool to its logits, and can it be trained and saved?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.models.heads.base import Head
from interpfer.testing.checks import TOLERANCE, relative_difference, require, run_checks

CHANNELS, CLASSES = 6, 3

STEP = 1e-5
"""Half the distance of finite differences."""


@dataclass(frozen=True)
class _Subject:
    """A kind of head, and the arguments that it is made with."""

    kind: Callable[..., Head]
    arguments: Mapping[str, Any]

    def make(self, seed: int = 0) -> Head:
        """Return a head with the same random weights for the same seed, in evaluation mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.kind(CHANNELS, CLASSES, **self.arguments).eval()


def check_head(head: type[Head], **arguments: Any) -> None:
    """Check that a head gives what training, ``cam`` and checkpoints need.

    Args:
        head: the class, a subclass of ``interpfer.models.heads.base.Head``.
        arguments: keyword arguments beside channels and classes.

    Raises:
        AssertionError: a check fails; the message lists all that do, with what was seen.

    Examples:
        >>> from interpfer.models.heads.wildcat import WildcatHead
        >>> check_head(WildcatHead, modalities=2)
    """
    run_checks(f"head {head.__name__}", _Subject(head, arguments), CHECKS)


def _facts(subject: _Subject) -> None:
    """It says what it is, and where it is published."""
    head = subject.make()
    require(isinstance(head, Head), f"it is a {type(head).__name__}; derive it from interpfer.models.heads.base.Head")
    for name in ("summary", "source"):
        text = getattr(head, name, "")
        require(isinstance(text, str) and bool(text) and "\n" not in text, f"{name} must be one line, got {text!r}")
    require((head.channels, head.classes) == (CHANNELS, CLASSES), "pass channels and classes to super().__init__")


def _shapes(subject: _Subject) -> None:
    """Logits and maps have their shapes and are finite, for any number of images and any grid."""
    head = subject.make()
    for n, side in ((1, 7), (4, 5), (2, 28)):
        features = _features(n, side)
        parts: dict[str, tuple[Tensor, tuple[int, ...]]] = {
            "logits": (_run(head, features), (n, CLASSES)),
            "class_map": (_class_map(head, features), (n, side, side)),
        }
        if head.has_class_maps:
            parts["scores"] = _scores(head, features), (n, CLASSES, side, side)
        for name, (value, shape) in parts.items():
            require(value.shape == shape, f"{name} is {tuple(value.shape)}, not {shape}")
            require(value.isfinite().all(), f"{name} is not finite for {n} images on {side} x {side}")


def _pooling(subject: _Subject) -> None:
    """Its maps, bias included, pool to its logits."""
    head, features = subject.make(), _features(4, 5)
    if head.has_class_maps:
        with torch.no_grad():
            worst = relative_difference(head.pool(head.scores(features)), head(features))
        require(worst <= TOLERANCE, f"pool(scores(x)) differs from the logits by {worst:.2g} of the largest")


def _determinism(subject: _Subject) -> None:
    """In evaluation the same features give the same logits."""
    head, features = subject.make(), _features(3, 5)
    worst = relative_difference(_run(head, features), _run(head, features))
    require(worst == 0, f"two runs differ by {worst:.2g} (dropout that eval does not switch off?)")


def _independence(subject: _Subject) -> None:
    """An image has the same logits and the same map of its own class alone and in a batch."""
    head, features = subject.make(), _features(4, 7)
    alone = [features[i : i + 1] for i in range(4)]
    worst = relative_difference(_run(head, features), torch.cat([_run(head, each) for each in alone]))
    require(worst <= TOLERANCE, f"the logits differ by {worst:.2g}")
    maps = [_class_map(head, each, first=place) for place, each in enumerate(alone)]
    worst = relative_difference(_class_map(head, features), torch.cat(maps))
    require(worst <= TOLERANCE, f"class_map differs by {worst:.2g}: is the class taken row by row?")


def _gradients(subject: _Subject) -> None:
    """Gradients reach the features of their own image alone, and are the finite differences of the logits."""
    head, features = subject.make().double(), _features(2, 5).double().requires_grad_()
    total = head(features)[0].sum()
    require(total.requires_grad, "the logits have no gradient towards the features (detach, no_grad?)")
    (gradient,) = torch.autograd.grad(total, features)
    require(gradient.isfinite().all() and bool(gradient[0].any()), "it is zero or not finite")
    require(not bool(gradient[1].any()), "it reaches another image of the batch")
    direction = torch.randn(features.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        above, below = (head(features + sign * STEP * direction)[0].sum() for sign in (1, -1))
    worst = relative_difference((gradient * direction).sum()[None], ((above - below) / (2 * STEP))[None])
    require(worst <= TOLERANCE, f"it differs from finite differences by {worst:.2g}")


def _training_loss(subject: _Subject) -> None:
    """Its own loss, if it has one, is a finite number with a gradient, and leaves out images without a class."""
    head, features = subject.make().train(), _features(3, 5)
    loss = head.training_loss(features, torch.tensor([2, 0, 1]))
    if loss is not None:
        require(loss.dim() == 0 and bool(loss.isfinite()), f"it must be one finite number, got {loss}")
        require(loss.requires_grad, "it has no gradient towards the parameters")
    unknown = head.training_loss(features, torch.tensor([-1, -1, -1]))
    require(unknown is None or bool(unknown == 0), f"without any class it must be None or 0, got {unknown}")


def _saving(subject: _Subject) -> None:
    """A new one with the saved weights gives the same logits."""
    head, features = subject.make(), _features(2, 5)
    other = subject.make(seed=1)
    other.load_state_dict(head.state_dict())
    worst = relative_difference(_run(head, features), _run(other, features))
    require(worst <= 1e-6, f"they differ by {worst:.2g}: keep what decides them in parameters and buffers")


def _precision(subject: _Subject) -> None:
    """It runs under mixed precision."""
    head, features = subject.make(), _features(2, 7)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = head(features)
    require(logits.isfinite().all(), "the logits are not finite in bfloat16")


CHECKS: tuple[Callable[[_Subject], None], ...] = (
    _facts,
    _shapes,
    _pooling,
    _determinism,
    _independence,
    _gradients,
    _training_loss,
    _saving,
    _precision,
)


def _features(n: int, side: int) -> Float[Tensor, "n c h w"]:
    return torch.randn(n, CHANNELS, side, side, generator=torch.Generator().manual_seed(0))


def _run(head: nn.Module, features: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = head(features)
    return logits


def _scores(head: Head, features: Tensor) -> Tensor:
    with torch.no_grad():
        return head.scores(features)


def _class_map(head: Head, features: Tensor, first: int = 0) -> Tensor:
    """Return the map of class ``first`` of the first image, of the next one of the next image, and so on."""
    if not head.has_class_maps:
        return features[:, 0]
    with torch.no_grad():
        return head.class_map(features, (torch.arange(len(features)) + first) % CLASSES)
