"""Keras models as networks of torch: Keras runs them on its torch backend, and their layers are modules."""

from interpfer.models.keras_network.backend import import_keras
from interpfer.models.keras_network.network import KerasNetwork

__all__ = ["KerasNetwork", "import_keras"]
