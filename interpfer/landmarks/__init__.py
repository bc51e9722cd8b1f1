"""Landmarks: providers of 68 points per face, their cache, and alignment of faces."""

from typing import TYPE_CHECKING

from interpfer.registry import Registry

if TYPE_CHECKING:
    from interpfer.landmarks.base import LandmarkProvider

PROVIDERS: "Registry[type[LandmarkProvider]]" = Registry(
    "landmark provider",
    "interpfer.landmarks",
    {
        "embedded": "interpfer.landmarks.embedded:EmbeddedLandmarks",
        "file": "interpfer.landmarks.files:FileLandmarks",
        "face-alignment": "interpfer.landmarks.facealignment:FaceAlignmentLandmarks",
        "face-alignment-crop": "interpfer.landmarks.facealignment:FaceAlignmentCrop",
    },
)
