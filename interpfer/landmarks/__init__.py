"""Providers of 68 landmarks per face."""

from interpfer.landmarks.base import LandmarkProvider
from interpfer.registry import Registry

PROVIDERS: Registry[type[LandmarkProvider]] = Registry(
    "landmark provider",
    "interpfer.landmarks",
    {
        "embedded": "interpfer.landmarks.embedded:EmbeddedLandmarks",
        "file": "interpfer.landmarks.files:FileLandmarks",
        "face-alignment": "interpfer.landmarks.facealignment:FaceAlignmentLandmarks",
        "face-alignment-crop": "interpfer.landmarks.facealignment:FaceAlignmentCrop",
    },
)
