"""Classifiers of clips: pictures in, logits per picture out, so that everything else sees pictures only.

A batch of n clips of t frames is a batch of n t pictures, those of a clip after one another in order. The network gets
(n, c, t, h, w) or (n, t, c, h, w), and the logits of a clip are repeated for each of its frames. Their gradient counts
once, however many frames have it.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.models.input import InputSpec


def to_clips(x: Float[Tensor, "m c s1 s2"], spec: InputSpec) -> Tensor:
    """Return prepared pictures as the network takes them: whole clips, in the layout of its card.

    Examples:
        >>> to_clips(torch.zeros(8, 3, 5, 5), InputSpec(5, frames=4)).shape
        torch.Size([2, 3, 4, 5, 5])
        >>> to_clips(torch.zeros(8, 3, 5, 5), InputSpec(5, frames=4, layout="ntchw")).shape
        torch.Size([2, 4, 3, 5, 5])
    """
    if spec.frames == 1:
        return x
    clips = x.reshape(-1, spec.frames, *x.shape[1:])
    return clips.transpose(1, 2).contiguous() if spec.layout == "ncthw" else clips


def count_clips(pictures: int, frames: int, model: str) -> int:
    """Return how many clips some pictures are.

    Args:
        pictures: number of pictures.
        frames: number of frames of a clip.
        model: name of the classifier, for messages.

    Raises:
        ModelError: they are no whole clips.
    """
    if pictures % frames:
        raise ModelError(
            f"model {model} takes clips of {frames} frames: pass all frames of each clip, after one another in order, "
            f"got {pictures} pictures."
        )
    return pictures // frames


def require_pictures(frames: int, model: str, verb: str) -> None:
    """Refuse a classifier of clips.

    Args:
        frames: number of frames of the clips that it takes; 1 for pictures.
        model: its name.
        verb: what cannot be done with it, such as "finetune trains".

    Raises:
        ModelError: it takes clips.
    """
    if frames > 1:
        raise ModelError(f"model {model} takes clips of {frames} frames, and {verb} classifiers of pictures.")


def repeat_logits(logits: Float[Tensor, "n k"], frames: int) -> Float[Tensor, "m k"]:
    """Return the logits of clips for each of their frames; the gradient of a clip is the mean of that of its frames.

    So the sum over all frames of a target's logit has the gradient of the sum over the clips.

    Examples:
        >>> logits = torch.tensor([[1.0, 2.0]], requires_grad=True)
        >>> repeat_logits(logits, 3)[:, 1].sum().backward()
        >>> logits.grad
        tensor([[0., 1.]])
    """
    repeated: Tensor = _Repeat.apply(logits, frames)
    return repeated


class _Repeat(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, logits: Tensor, frames: int) -> Tensor:
        context.frames = frames
        return logits.repeat_interleave(frames, 0)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return gradient.reshape(-1, context.frames, gradient.shape[1]).mean(1), None
