"""No landmarks, for truths that are not drawn at them: no face is looked for."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from PIL import Image

from interpfer.landmarks.reasons import NO_LANDMARKS
from interpfer.types import LANDMARKS, Landmarks


class NoLandmarks:
    """A provider that finds nothing and looks at no image."""

    name: ClassVar[str] = NO_LANDMARKS
    summary: ClassVar[str] = "no landmarks"
    needs_images: ClassVar[bool] = False
    digest = "no landmarks"

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:  # noqa: ARG002
        """Return landmarks that are not found."""
        return Landmarks.of(torch.full((len(ids), LANDMARKS, 2), torch.nan))
