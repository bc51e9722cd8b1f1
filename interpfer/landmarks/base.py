"""Where landmarks come from."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from PIL import Image

from interpfer.types import Landmarks

NO_FACE, SEVERAL, UNSURE, UNREADABLE = "no face", "several faces", "low confidence", "unreadable image"
"""Reasons that notes begin with."""

DOMINANT = 1.5
"""How many times wider than the next one a face has to be, to be the one that is meant."""


def choose_largest(widths: Sequence[float], centre: tuple[float, float]) -> tuple[bool, str]:
    """Say whether the widest of the faces of a picture is clearly the one that is meant, and the note on it.

    Args:
        widths: of all faces that are plausible, in pixels, the widest first.
        centre: of the widest.
    """
    if len(widths) < 2:
        return True, ""
    most, next_most = widths[:2]
    if most >= DOMINANT * next_most:
        where = f"{most:.0f} px wide at ({centre[0]:.0f}, {centre[1]:.0f})"
        return True, f"{SEVERAL}: took the largest of {len(widths)}, {where}; the next is {next_most:.0f} px wide"
    return False, (
        f"{SEVERAL}: {len(widths)}, and none is clearly the largest ({most:.0f} and {next_most:.0f} px wide); "
        "crop the one that is meant"
    )


@runtime_checkable
class LandmarkProvider(Protocol):
    """Finds the 68 points of faces, a batch at a time.

    Attributes:
        name: as the user types it after ``--landmarks``.
        summary: one line for ``interpfer ls landmarks``.
        needs_images: False where the ids alone are enough, so that no image is decoded for it.
        digest: a short text that changes whenever the answers would: a hash of the file, or name and version.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs_images: ClassVar[bool]
    digest: str

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points in pixels of each image, not found where there is no face; notes say why.

        Args:
            ids: the names of the n images within their data set.
            images: n RGB images, of any sizes; None only where ``needs_images`` is False.
        """
        ...
