"""The interface of landmark providers."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from PIL import Image

from interpfer.landmarks.reasons import SEVERAL
from interpfer.types import Landmarks

DOMINANT = 1.5
"""Smallest ratio of the widths of the two widest faces at which the widest one is taken."""


def choose_largest(widths: Sequence[float], centre: tuple[float, float]) -> tuple[bool, str]:
    """Return whether the widest face of a picture is clearly the largest, and the note on it.

    Args:
        widths: widths of all plausible faces in pixels, in descending order.
        centre: (x, y) of the widest face.

    Examples:
        >>> choose_largest([120], (50, 60))
        (True, '')
        >>> choose_largest([120, 60], (50, 60))
        (True, 'several faces: took the largest of 2, 120 px wide at (50, 60); the next is 60 px wide')
    """
    if len(widths) < 2:
        return True, ""
    most, next_most = widths[:2]
    if most >= DOMINANT * next_most:
        where = f"{most:.0f} px wide at ({centre[0]:.0f}, {centre[1]:.0f})"
        return True, f"{SEVERAL}: took the largest of {len(widths)}, {where}; the next is {next_most:.0f} px wide"
    return False, (
        f"{SEVERAL}: {len(widths)}, and none is clearly the largest ({most:.0f} and {next_most:.0f} px wide); "
        "crop the intended face"
    )


@runtime_checkable
class LandmarkProvider(Protocol):
    """Finds the 68 points of a batch of faces.

    Attributes:
        name: value of ``--landmarks``.
        summary: one line for ``interpfer ls landmarks``.
        needs_images: False if the ids are enough, so that no image has to be decoded.
        digest: text that changes whenever the results would: the hash of a file, or a name and version.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs_images: ClassVar[bool]
    digest: str

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points in pixels of each image.

        Args:
            ids: names of the n images within their data set.
            images: n RGB images of any sizes; None only if ``needs_images`` is False.

        Returns:
            (n, 68, 2) points, not found where there is no face; the notes say why.
        """
        ...
