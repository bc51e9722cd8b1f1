"""The explanation of one picture: its face, the prediction, and where the classifier looks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from interpfer.truth.options import AU_HEATMAP, MASK


@dataclass(frozen=True)
class Region:
    """How much of a map's energy lies on the region of some action units.

    Attributes:
        aus: FACS numbers that share the region.
        expected_aus: those of them that the truth expects of the expression.
        share: share of the map's energy, in [0, 1].
        uniform: share of the energy of a uniform map.
        is_covered: whether the map has clearly more energy there than a uniform one.
    """

    aus: tuple[int, ...]
    expected_aus: tuple[int, ...]
    share: float
    uniform: float
    is_covered: bool


@dataclass(frozen=True)
class FaceRegion:
    """How much of a map's energy lies in a named region of the face.

    Attributes:
        name: one of ``interpfer.au.face_regions.FACE_REGIONS``.
        share: share of the map's energy, in [0, 1]; those of all regions add up to 1.
        uniform: share of the energy of a uniform map.
    """

    name: str
    share: float
    uniform: float

    @property
    def ratio(self) -> float:
        """The share as a multiple of the uniform map's; 0 for a region off the picture."""
        return self.share / self.uniform if self.uniform > 0 else 0.0

    @property
    def skill(self) -> float:
        """The share on a scale where a uniform map has 0 and all energy inside 1; 0 where the region is the picture."""
        return (self.share - self.uniform) / (1 - self.uniform) if self.uniform < 1 else 0.0


@dataclass(frozen=True)
class Score:
    """Agreement of a map with the AU heatmap of an expression.

    Attributes:
        cosine: CAM-COS or ATT-COS.
        skill: cosine skill; a uniform map has 0, a perfect one 1.
        uniform: cosine of a uniform map with the same heatmap.
    """

    cosine: float
    skill: float
    uniform: float


@dataclass(frozen=True)
class ExplainedMap:
    """One map of one face.

    Attributes:
        name: name of the map.
        layer: "input" for a map that has none.
        class_specific: whether it explains one class (``Explanation.explained``), rather than the face at large.
        values: (S, S) on the canvas, in [0, 1]; NaN where undefined.
        scores: expression -> agreement with its heatmap; only expressions that have one, and none where the map
            explains an expression that has none.
        regions: energy per region of action units; none without landmarks.
        face_regions: energy per named region of the face; none without landmarks.
    """

    name: str
    layer: str
    class_specific: bool
    values: Float[Tensor, "s s"]
    scores: Mapping[str, Score]
    regions: tuple[Region, ...]
    face_regions: tuple[FaceRegion, ...] = ()


@dataclass(frozen=True, repr=False)
class Explanation:
    """The explanation of one picture.

    Attributes:
        image: name of the picture.
        picture: the original picture, RGB.
        face: (3, S, S) the part that the classifier sees, on the canvas.
        points: (68, 2) landmarks on the canvas, NaN where no face was found.
        transform: (2, 3) from pixels of the picture to pixels of the canvas.
        cropped: whether the face was cropped from a larger picture.
        model: name of the classifier.
        probabilities: expression -> probability, in the order of the outputs.
        predicted: the most probable expression.
        label: the true expression, or "".
        heat: expression -> (S, S) truth, of the prediction and of the label, as far as they have one.
        maps: in the order requested.
        expected: the expression whose action units ``regions`` expect: ``explained``, or "" where it has none.
        refused: map@layer -> why it could not be made.
        rules: protocol, codebook and geometry.
        explained: the expression that class-specific maps explain.
        noun: what the truth is called.
        missing: why ``explained`` has no truth, in a few words; "" where it has one.
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
    maps: tuple[ExplainedMap, ...]
    expected: str
    refused: Mapping[str, str]
    rules: Mapping[str, str]
    explained: str = ""
    noun: str = AU_HEATMAP
    missing: str = ""

    def __repr__(self) -> str:
        maps = ", ".join(f"{item.name} at {item.layer}" for item in self.maps)
        chance = f"{100 * self.probabilities[self.predicted]:.0f} %"
        return f"Explanation of {self.image}: {self.model} predicts {self.predicted} ({chance}); maps: {maps}"

    @property
    def has_masks(self) -> bool:
        """Whether maps are compared with masks, not with AU heatmaps of a face."""
        return self.noun == MASK

    @property
    def has_face(self) -> bool:
        """Whether a face was found."""
        return bool(self.points.isfinite().all())

    @property
    def main(self) -> ExplainedMap | None:
        """The map that the sentence describes: Grad-CAM, else the first that explains the class, else the first.

        Of several layers, the deepest.
        """
        defined = [item for item in self.maps if bool(item.values.isfinite().all())]
        ordered = sorted(defined, key=lambda item: (item.name != "gradcam", not item.class_specific))
        return next((item for item in reversed(defined) if item.name == ordered[0].name), None)

    def on_picture(self, values: Float[Tensor, "s s"]) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
        """Project a map onto the pixels of the picture; also return which of them the classifier sees."""
        back = tuple(self.transform.flatten().tolist())
        projected, seen = (
            torch.from_numpy(np.array(Image.fromarray(layer.float().cpu().numpy()).transform(
                self.picture.size, Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
            )))
            for layer in (values, torch.ones_like(values))
        )  # fmt: skip
        return projected, seen > 0.5
