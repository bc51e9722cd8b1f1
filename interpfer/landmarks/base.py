"""Where landmarks come from."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from PIL import Image

from interpfer.types import Landmarks


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
        """Return the points in pixels of each image, not found where there is no face.

        Args:
            ids: the names of the n images within their data set.
            images: n RGB images, of any sizes; None only where ``needs_images`` is False.
        """
        ...
