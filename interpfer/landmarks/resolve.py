"""Choice of the landmark provider, by name or by file."""

from pathlib import Path

from interpfer.errors import PluginError, nearest
from interpfer.landmarks import PROVIDERS
from interpfer.landmarks.absent import NoLandmarks
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.cache import CachedLandmarks
from interpfer.landmarks.files import FileLandmarks, open_landmarks

DEFAULT_PROVIDER = "embedded"
"""Provider for a data set without landmarks."""


def resolve_landmarks(
    choice: LandmarkProvider | str | Path | None, bundled: LandmarkProvider | None = None, is_needed: bool = True
) -> LandmarkProvider:
    """Return the chosen provider, else the landmarks of the data set, else the embedded network.

    Args:
        choice: a provider, its name, or a landmark file; None for no choice.
        bundled: the landmarks of the data set; None if it has none.
        is_needed: False for none at all without a choice.

    Returns:
        A provider; one that needs images is cached.

    Raises:
        DataError: the landmark file does not exist or is malformed.
        PluginError: the provider is unknown.

    Examples:
        >>> resolve_landmarks("embedded").provider.name
        'embedded'
        >>> from interpfer.datasets.demo import DemoDataset
        >>> resolve_landmarks(None, DemoDataset("test", count=1).landmarks()).name
        'drawn'
    """
    if choice is None and not is_needed:
        return NoLandmarks()
    landmarks = choice or bundled or DEFAULT_PROVIDER
    if not isinstance(landmarks, str | Path):
        return landmarks
    name = str(landmarks)
    if name in PROVIDERS and name != FileLandmarks.name:
        provider = PROVIDERS.get(name)()
        return CachedLandmarks(provider) if provider.needs_images else provider
    if not Path(name).exists() and not Path(name).suffix:
        raise PluginError(
            f"unknown landmark file or provider '{name}'.{nearest(name, PROVIDERS)} "
            f"Known providers: {', '.join(PROVIDERS)}."
        )
    return open_landmarks(Path(name))
