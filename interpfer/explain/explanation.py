"""What is known of one picture: its face, what a classifier says of it, and where the classifier looked."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Region:
    """How much of a map's energy lies on the region of some action units.

    Attributes:
        aus: FACS numbers that share the region.
        asked: those of them that the codebook expects of the expression.
        share: of the map's energy, in [0, 1].
        uniform: of the energy of a uniform map.
        used: whether the map has clearly more there than a uniform one.
    """

    aus: tuple[int, ...]
    asked: tuple[int, ...]
    share: float
    uniform: float
    used: bool


@dataclass(frozen=True)
class Score:
    """How far a map agrees with the AU heatmap of an expression.

    Attributes:
        cosine: CAM-COS or ATT-COS.
        skill: the same where a uniform map is 0 and a perfect one 1.
        uniform: cosine of a uniform map with the same heatmap.
    """

    cosine: float
    skill: float
    uniform: float


@dataclass(frozen=True)
class ShownMap:
    """One map of one face.

    Attributes:
        name: of the map.
        layer: "input" for a map that has none.
        class_specific: whether it explains the predicted class, rather than the face at large.
        values: (S, S) on the canvas, in [0, 1]; NaN where undefined.
        scores: expression -> agreement with its heatmap; only expressions that have one.
        regions: energy per region of action units; none without landmarks.
    """

    name: str
    layer: str
    class_specific: bool
    values: Float[Tensor, "s s"]
    scores: Mapping[str, Score]
    regions: tuple[Region, ...]


@dataclass(frozen=True, repr=False)
class Explanation:
    """One picture, explained.

    Attributes:
        image: its name.
        picture: the picture as it is, RGB.
        face: (3, S, S) what the classifier saw of it, on the canvas.
        points: (68, 2) landmarks on the canvas, NaN where no face was found.
        transform: (2, 3) from pixels of the picture to pixels of the canvas.
        cropped: whether the face was cut out of a larger picture.
        model: name of the classifier.
        probabilities: expression -> probability, in the order of the outputs.
        predicted: the likeliest expression.
        label: what it should be, or "".
        heat: expression -> (S, S) AU heatmap, of the prediction and of the label, as far as they have one.
        maps: in the order asked for.
        expected: the expression whose action units ``regions`` ask for, or "" where none has any.
        refused: map@layer -> why it could not be made.
        rules: protocol, codebook and geometry.
    """

    image: str
    picture: Image.Image
    face: Float[Tensor, "3 s s"]
    points: Float[Tensor, "68 2"]
    transform: Float[Tensor, "2 3"]
    cropped: bool
    model: str
    probabilities: Mapping[str, float]
    predicted: str
    label: str
    heat: Mapping[str, Float[Tensor, "s s"]]
    maps: tuple[ShownMap, ...]
    expected: str
    refused: Mapping[str, str]
    rules: Mapping[str, str]

    def __repr__(self) -> str:
        maps = ", ".join(f"{shown.name} at {shown.layer}" for shown in self.maps)
        chance = f"{100 * self.probabilities[self.predicted]:.0f} %"
        return f"Explanation of {self.image}: {self.model} says {self.predicted} ({chance}); maps: {maps}"

    @property
    def found(self) -> bool:
        """Whether a face was found."""
        return bool(self.points.isfinite().all())

    @property
    def main(self) -> ShownMap | None:
        """The map that the sentence is about: Grad-CAM, else the first that explains the class, else the first.

        Of several layers, the deepest.
        """
        defined = [shown for shown in self.maps if bool(shown.values.isfinite().all())]
        ordered = sorted(defined, key=lambda shown: (shown.name != "gradcam", not shown.class_specific))
        return next((shown for shown in reversed(defined) if shown.name == ordered[0].name), None)

    def on_picture(self, values: Float[Tensor, "s s"]) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
        """Carry a map back to the pixels of the picture; also says which of them the classifier saw."""
        back = tuple(self.transform.flatten().tolist())
        carried, seen = (
            torch.from_numpy(np.array(Image.fromarray(layer.float().cpu().numpy()).transform(
                self.picture.size, Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
            )))
            for layer in (values, torch.ones_like(values))
        )  # fmt: skip
        return carried, seen > 0.5
