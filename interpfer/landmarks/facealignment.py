"""Landmarks of the 2D-FAN in the face-alignment package (Bulat and Tzimiropoulos 2017, arXiv 1703.07332).

Its weights (about 95 MB, and 90 MB for its face detector) are downloaded to the torch hub folder on first use.
``face-alignment-crop`` takes the whole picture as the box of the face, which suits aligned crops such as those of
RAF-DB, and needs no detector.
"""

import warnings
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import URLError

import numpy as np
import torch
from PIL import Image

from interpfer.errors import DataError
from interpfer.landmarks.base import choose_largest
from interpfer.landmarks.reasons import NO_FACE
from interpfer.types import LANDMARKS, Landmarks


class FaceAlignmentLandmarks:
    """2D-FAN on the largest face found by the detector of the package.

    Args:
        device: device of the networks.
    """

    name: ClassVar[str] = "face-alignment"
    summary: ClassVar[str] = "2D-FAN of the face-alignment package with its detector; downloads 185 MB once"
    needs_images: ClassVar[bool] = True
    detector: ClassVar[str] = "sfd"

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.digest = f"{self.name} {version('face-alignment')} 2DFAN-4 {self.detector} one face"

    @cached_property
    def network(self) -> Any:
        """The object of the package, with its weights.

        Raises:
            DataError: the weights are neither on disk nor can be downloaded.
        """
        import face_alignment

        try:
            return face_alignment.FaceAlignment(
                face_alignment.LandmarksType.TWO_D,
                device=self.device,
                flip_input=False,
                face_detector=self.detector,
                compile=False,
            )
        except (URLError, OSError) as error:
            folder = Path(torch.hub.get_dir()) / "checkpoints"
            raise DataError(
                f"{self.name} cannot download its weights ({error}); put 2DFAN4-11f355bf06.pth.tar"
                f"{'' if self.detector == 'folder' else ' and s3fd-619a316812.pth'} into {folder}, "
                "or use --landmarks embedded, which works offline."
            ) from error

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:  # noqa: ARG002
        """Return the points of the largest face of each image."""
        assert images is not None
        points = torch.full((len(images), LANDMARKS, 2), torch.nan, dtype=torch.float64)
        notes = []
        for row, image in enumerate(images):
            pixels = np.asarray(image.convert("RGB"))
            boxes = sorted(self._boxes(pixels), key=lambda box: box[0] - box[2])  # by width, descending
            if not boxes:
                notes.append(f"{NO_FACE}: none detected")
                continue
            left, top, right, bottom = boxes[0][:4]
            widths = [float(box[2] - box[0]) for box in boxes]
            is_largest, note = choose_largest(widths, ((left + right) / 2, (top + bottom) / 2))
            notes.append(note)
            if is_largest:
                faces = self.network.get_landmarks_from_image(pixels, detected_faces=boxes[:1])
                points[row] = torch.from_numpy(np.asarray(faces[0], np.float64))
        return Landmarks.of(points, tuple(notes))

    def _boxes(self, pixels: np.ndarray) -> list[Sequence[float]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(self.network.face_detector.detect_from_image(pixels.copy()))


class FaceAlignmentCrop(FaceAlignmentLandmarks):
    """2D-FAN with the whole picture as the box of the face."""

    name: ClassVar[str] = "face-alignment-crop"
    summary: ClassVar[str] = "2D-FAN for pictures that are crops of a face, without a detector; downloads 95 MB once"
    detector: ClassVar[str] = "folder"

    def _boxes(self, pixels: np.ndarray) -> list[Sequence[float]]:
        height, width = pixels.shape[:2]
        return [(0.0, 0.0, float(width), float(height))]
