"""Keras networks that many files hold, recognised by their layers, with the input and the classes of their code.

Another training of the same layers may have other classes or another input; that is said.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interpfer.models.preset import load_preset

Shape = tuple[int, ...]


@dataclass(frozen=True)
class KnownNetwork:
    """A published network.

    Attributes:
        preset: name of the preset with its card, source, and the hashes of its files.
        name: name in messages.
    """

    preset: str
    name: str

    @property
    def card(self) -> Mapping[str, Any]:
        """Fields of its card, as its code prepares faces."""
        return load_preset(self.preset).card

    def is_published(self, sha256: str) -> bool:
        """Return whether a file of this hash is the publisher's own."""
        return sha256 in load_preset(self.preset).sha256.values()

    def describe(self) -> str:
        """Return the note on a file that may be another training of the same layers."""
        return (
            f"the layers are those of {self.name}: its classes, their order and its input are assumed as in "
            f"{load_preset(self.preset).code}; check them with `interpfer inspect FILE --dataset NAME`"
        )


MINI_XCEPTION = KnownNetwork("mini-xception", "mini-XCEPTION for FER2013")

DEEPFACE = KnownNetwork("deepface", "DeepFace's expression network")
"""Its file holds weights alone."""

DEEPFACE_SHAPES: tuple[Shape, ...] = (
    *((5, 5, 1, 64), (64,), (3, 3, 64, 64), (64,), (3, 3, 64, 64), (64,)),
    *((3, 3, 64, 128), (128,), (3, 3, 128, 128), (128,)),
    *((128, 1024), (1024,), (1024, 1024), (1024,), (1024, 7), (7,)),
)
"""Shapes of its weights in the order of its layers."""

SHAPES = {"beffbe2c864921ea": MINI_XCEPTION}
"""Fingerprint -> network."""


def fingerprint(image_shape: Sequence[int | None], layers: Sequence[tuple[str, Sequence[Shape]]]) -> str:
    """Return a hash of the classes of a model's layers, and of the shapes of their weights.

    Examples:
        >>> fingerprint((1, 64, 64), [("Dense", [(4, 7), (7,)])])
        '5315b52bf79699b5'
    """
    text = f"{tuple(image_shape)} {[(name, [tuple(each) for each in shapes]) for name, shapes in layers]}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find_known(image_shape: Sequence[int | None], layers: Sequence[tuple[str, Sequence[Shape]]]) -> KnownNetwork | None:
    """Return the published network with these layers; None for others."""
    return SHAPES.get(fingerprint(image_shape, layers))


def build_deepface(keras: Any) -> Any:
    """Return DeepFace's expression network without its weights: ``Emotion.py`` of its code."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            layers.Conv2D(64, 5, activation="relu"),
            layers.MaxPooling2D(5, strides=2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.AveragePooling2D(3, strides=2),
            layers.Conv2D(128, 3, activation="relu"),
            layers.Conv2D(128, 3, activation="relu"),
            layers.AveragePooling2D(3, strides=2),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(1024, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(7, activation="softmax"),
        ]
    )
