"""What an occluder is: a function from faces to what covers them.

An occluder is added by one decorated function and a line in the table of ``interpfer.occlusion`` (or an entry point of
the group ``interpfer.occluders``). It draws for all faces at once, and everything random comes from ``Scene.keys``: the
same face has the same hole for every model, on any batch size and any number of processes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.occlusion.keys import Keys

GREY = 0.5
"""Level of a hole that nothing is drawn into."""


@dataclass(frozen=True)
class Scene:
    """n faces to cover.

    Attributes:
        images: (n, 3, r, r) RGB in [0, 1].
        points: (n, 68, 2) landmarks in pixels of the canvas; NaN for a face without.
        keys: what is random on each face.
        size: side in pixels at which covers are drawn; at least that of the canvas.
        truth: (n, S, S) maps of the truth in [0, 1], NaN where undefined; None where no occluder needs them.
        ranking: (n, S, S) the map that ``guided`` follows, NaN where undefined; None where no occluder needs it.
    """

    images: Float[Tensor, "n 3 r r"]
    points: Float[Tensor, "n 68 2"]
    keys: Keys
    size: int
    truth: Float[Tensor, "n S S"] | None = None
    ranking: Float[Tensor, "n S S"] | None = None


@dataclass(frozen=True)
class Cover:
    """What covers n faces.

    Attributes:
        colour: (n, 3, s, s) its RGB, multiplied by ``alpha``.
        alpha: (n, s, s) how much of each pixel it hides, in [0, 1].
        drawn: (n,) which faces it could be drawn on; the others are left as they are.
    """

    colour: Float[Tensor, "n 3 s s"]
    alpha: Float[Tensor, "n s s"]
    drawn: Bool[Tensor, " n"]


Draw = Callable[[Scene, str], Cover]


@dataclass(frozen=True)
class Occluder:
    """Draws what covers a face.

    Attributes:
        draw: function from the faces and the text behind the colon to what covers them.
        summary: one line for ``interpfer ls occluders``.
        needs: "landmarks", "truth", "map", or "" for nothing.
        share: share of the face that is covered where none is given; None for an occluder that takes none.
        takes_path: whether the text behind the colon is a path.
        aliases: other names.
    """

    draw: Draw
    summary: str
    needs: str = ""
    share: float | None = None
    takes_path: bool = False
    aliases: tuple[str, ...] = ()

    def listing(self) -> dict[str, str]:
        """Return the facts for ``interpfer ls occluders``."""
        takes = "PATH" if self.takes_path else "" if self.share is None else f"share, default {self.share:g}"
        return {"covers": self.summary, "needs": self.needs or "nothing", "takes": takes}


def occluder(needs: str = "", share: float | None = None, takes_path: bool = False) -> Callable[[Draw], Occluder]:
    """Turn a function of a ``Scene`` and a text into an occluder; the first line of its docstring is the summary."""

    def wrap(draw: Draw) -> Occluder:
        return Occluder(draw, (draw.__doc__ or "").strip().partition("\n")[0], needs, share, takes_path)

    return wrap


def grey_cover(hole: Float[Tensor, "n s s"], drawn: Bool[Tensor, " n"]) -> Cover:
    """Return a cover of one grey.

    Args:
        hole: 1 where it hides a face, 0 elsewhere.
        drawn: which faces it could be drawn on.
    """
    hole = torch.where(drawn[:, None, None], hole, 0)
    return Cover((GREY * hole)[:, None].expand(-1, 3, -1, -1), hole, drawn)
