"""Maps made of activations alone, the same for every class."""

from interpfer.maps.base import RawMap, layer_map
from interpfer.maps.capture import LayerCapture


@layer_map(source="Zagoruyko and Komodakis 2017, arXiv 1612.03928; Belharbi et al. 2024", attention=True)
def attention(layer: LayerCapture) -> RawMap:
    """Mean over the channels."""
    return layer.activation.mean(1)
