"""What a user's network raises in its forward, in one line: what it was given, and what may help."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.models.card import ModelCard
from interpfer.models.clips import to_clips
from interpfer.models.messages import first_line

SIZES = (32, 40, 44, 48, 56, 64, 80, 96, 100, 112, 128, 160, 192, 200, 224, 240, 256, 260, 288, 299, 300, 320, 384, 448)
"""Input sizes that are tried where a network does not take the one it was given."""

TAKES_CLIPS = re.compile(
    r"conv3d|5D|5-?dimensional|weight of size \[\d+, \d+, \d+, \d+, \d+\]|input\[\d+(?:, \d+){4}\]"
    r"|\(T: \d+|expected 5, got 4"
)
"""What networks that take clips raise on pictures."""

NAME_FRAMES = (
    "if it takes clips, write their number of frames and layout into the card (input: {frames: 16, layout: ncthw}, or "
    "ntchw)"
)

CHECK_CLIPS = "check frames, layout (ncthw or ntchw), size and color in input of the card"

CHANNELS = re.compile(r"to have (\d+) channels, but got \d+ channels")
ARGUMENT = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)")
WRONG_SIZE = re.compile(
    r"shapes cannot be multiplied|size mismatch|doesn't match model|must match the size|[Oo]utput size is too small|"
    r"can't be greater than actual input size|is invalid for input of size|size of tensor|Expected more than 1 value|"
    r"should be divisible|shape '.*' is invalid|must match (?:except|the existing)|normalized_shape|negative dimension"
)
DEVICE = re.compile(
    r"not compiled with CUDA|NVIDIA driver|CUDA_HOME|same device|CUDA error|No CUDA GPUs", re.IGNORECASE
)


Forward = Callable[[Tensor], Any]


def explain_failure(name: str, card: ModelCard, x: Tensor, error: Exception, run: Forward) -> ModelError:
    """Return the error of a network whose forward raised.

    Args:
        name: name of the model.
        card: its card.
        x: (n, c, s, s) input that it was given.
        error: what it raised.
        run: the forward, to find the input sizes at which it runs.
    """
    text = f"{type(error).__name__}: {first_line(error)}".rstrip(".: ")
    shape = to_clips(x, card.input).shape
    given = f"{' x '.join(map(str, shape))} pixels in {card.input.color}"
    clips = f"clips of {card.input.frames} frames as {card.input.layout}"
    if card.input.frames > 1 and not WRONG_SIZE.search(str(error)):
        return ModelError(f"model {name}: its forward raised {text}, given {given}, {clips}; {CHECK_CLIPS}.")
    if card.input.frames == 1 and TAKES_CLIPS.search(str(error)):
        return ModelError(f"model {name}: its forward raised {text}, given {given}; {NAME_FRAMES}.")
    return ModelError(f"model {name}: its forward raised {text}, given {given}; {_remedy(str(error), x, run)}.")


def _remedy(text: str, x: Tensor, run: Forward) -> str:
    if match := CHANNELS.search(text):
        return f"pass --color {'gray' if match[1] == '1' else 'rgb'}" if match[1] in ("1", "3") else "pass --color"
    if match := ARGUMENT.search(text):
        names = ", ".join(re.findall(r"'(\w+)'", match[1])) or match[1]
        return f"it takes more than the images: write {names} into forward_args of the card, if they can be constants"
    if DEVICE.search(text):
        return "it moves tensors to a device of its own: pass --device, or remove .cuda() from its forward"
    if WRONG_SIZE.search(text):
        sizes = find_input_sizes(x, run)
        if not sizes:
            return "check --input-size and --color"
        return f"pass --input-size: it runs at {_list_sizes(sizes)} pixels"
    return "check --input-size, --color and forward_args of the card, or pass --batch-size 1 if it takes one image"


def find_input_sizes(x: Tensor, run: Forward) -> tuple[int, ...]:
    """Return which of ``SIZES`` a forward takes, given one image like the first of a batch."""
    found = []
    for size in SIZES:
        try:
            with torch.no_grad():
                run(x[:1].new_zeros(1, x.shape[1], size, size))
        except Exception:  # the network may raise anything
            continue
        found.append(size)
    return tuple(found)


def _list_sizes(sizes: tuple[int, ...], most: int = 4) -> str:
    listed, more = ", ".join(map(str, sizes[:most])), len(sizes) - most
    return f"{listed} and {more} other sizes up to {sizes[-1]}" if more > 0 else listed
