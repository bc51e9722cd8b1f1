"""Landmarks by the name of a provider, or out of a file."""

from pathlib import Path

from interpfer.errors import PluginError, nearest
from interpfer.landmarks import PROVIDERS
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.cache import CachedLandmarks
from interpfer.landmarks.files import FileLandmarks

DEFAULT_PROVIDER = "embedded"
"""Who finds the landmarks of a data set that brings none."""


def resolve_landmarks(
    choice: LandmarkProvider | str | Path | None, bundled: LandmarkProvider | None = None
) -> LandmarkProvider:
    """Return the provider to use: the one chosen, else the data set's own, else the embedded network.

    Args:
        choice: a provider, its name, or a landmark file; None to leave the choice.
        bundled: the landmarks that the data set brings.

    Raises:
        DataError: there is no such file.
        PluginError: there is no such provider.
    """
    return named_landmarks(choice or bundled or DEFAULT_PROVIDER)


def named_landmarks(landmarks: LandmarkProvider | str | Path) -> LandmarkProvider:
    """Return a provider out of its name or a file; what it finds in images is remembered from call to call.

    Raises:
        DataError: there is no such file.
        PluginError: there is no such provider.
    """
    if not isinstance(landmarks, str | Path):
        return landmarks
    name = str(landmarks)
    if name in PROVIDERS and name != FileLandmarks.name:
        provider = PROVIDERS.get(name)()
        return CachedLandmarks(provider) if provider.needs_images else provider
    if not Path(name).exists() and not Path(name).suffix:
        raise PluginError(
            f"'{name}' is neither a landmark file nor a provider.{nearest(name, PROVIDERS)} "
            f"Known providers: {', '.join(PROVIDERS)}."
        )
    return FileLandmarks(Path(name))
