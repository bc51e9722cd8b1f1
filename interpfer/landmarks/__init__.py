"""Providers of 68 landmarks per face."""

from interpfer.landmarks.base import LandmarkProvider
from interpfer.registry import Registry

PROVIDERS: Registry[type[LandmarkProvider]] = Registry(
    "landmark provider",
    "interpfer.landmarks",
    {
        "file": "interpfer.landmarks.files:FileLandmarks",
        "embedded": "interpfer.landmarks.embedded:EmbeddedLandmarks",
    },
)
