"""Explains one picture: the face in it, what a classifier says of it, and where the classifier looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from interpfer.au.codebook import Codebook, load_codebook
from interpfer.au.drawing import au_heatmaps
from interpfer.datasets.base import IMAGE_SUFFIXES
from interpfer.datasets.images import read_image, to_rgb
from interpfer.errors import DataError
from interpfer.explain.explanation import Explanation, Region, Score, ShownMap
from interpfer.faces.stream import to_tensor
from interpfer.labels import canonical
from interpfer.landmarks.alignment import face_square, similarity, stretch, transform_points, warp
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.resolve import DEFAULT_PROVIDER, named_landmarks
from interpfer.maps import named_maps
from interpfer.maps.base import AnyMap
from interpfer.maps.canvas import PROTOCOLS, normalise, to_canvas
from interpfer.maps.compute import model_maps
from interpfer.maps.engine import require_named, run_maps
from interpfer.metrics.agreement import cosine, cosine_skill
from interpfer.metrics.au_profile import USED, evidence, profile, shares
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.runtime.device import pick_device
from interpfer.scoring.batch import probabilities
from interpfer.scoring.spec import PROTOCOL_DEFAULTS
from interpfer.types import CANVAS, Landmarks
from interpfer.validation import require_choice

EXPLAINED = ("attention", "gradcam", "gradcam++", "layercam")

CROPS = ("auto", "face", "aligned", "whole")
"""What the classifier is shown: the face if it is small in the picture, the face, the aligned face, the picture."""

SMALL = 0.5
"""A face whose landmarks span less than this share of a side of the picture is cut out."""


@dataclass(frozen=True)
class Explainer:
    """A classifier that is asked about pictures.

    Attributes:
        model: the classifier.
        provider: who finds the landmarks.
        methods: maps by name.
        layers: of the maps that have one.
        named: maps asked for by their own names: that one cannot be made is an error.
        protocol: how maps are brought to the canvas.
        book: the codebook.
        geometry: its name.
        crop: one of ``CROPS``.
        seed: of maps that draw at random.
    """

    model: Model
    provider: LandmarkProvider
    methods: dict[str, AnyMap]
    layers: tuple[str, ...]
    named: frozenset[str]
    protocol: str
    book: Codebook
    geometry: str
    crop: str
    seed: int

    @classmethod
    def make(
        cls,
        model: Model | str | Path,
        *,
        maps: str | Sequence[str] = EXPLAINED,
        layers: str | Sequence[str] = "last",
        landmarks: LandmarkProvider | str | Path = DEFAULT_PROVIDER,
        protocol: str = "paper",
        codebook: str | None = None,
        geometry: str | None = None,
        crop: str = "auto",
        device: str = "auto",
        seed: int = 0,
        trust: bool = False,
    ) -> "Explainer":
        """Resolve names and defaults.

        Args:
            model: a ``Model``, or a checkpoint for ``load_model``.
            maps: names or groups; class-specific ones explain the predicted class.
            layers: "last", "all", or names.
            landmarks: a provider, its name, or a landmark file.
            protocol: "paper" or "corrected".
            codebook: overrides the protocol's.
            geometry: overrides the protocol's.
            crop: "auto" cuts the face out where it is small in the picture; "face" always; "aligned" turns it as well;
                "whole" never.
            device: "auto", "cpu", "cuda", ...
            seed: of maps that draw at random.
            trust: as for ``load_model``.

        Raises:
            InterpferError: a name is unknown, or the model cannot be loaded.
        """
        require_choice("protocol", protocol, PROTOCOLS)
        require_choice("crop", crop, CROPS)
        if not isinstance(model, Model):
            model = load_model(model, trust=trust)
        model.to(pick_device(device))
        book, place = PROTOCOL_DEFAULTS[protocol]
        return cls(
            model=model,
            provider=named_landmarks(landmarks),
            methods=model_maps(maps),
            layers=model.layers(layers),
            named=frozenset(named_maps(maps)),
            protocol=protocol,
            book=load_codebook(codebook or book),
            geometry=geometry or place,
            crop=crop,
            seed=seed,
        )

    def explain(self, name: str, picture: Image.Image, label: str | None = None) -> Explanation:
        """Explain a picture.

        Args:
            name: landmark files know it by this.
            picture: of any size and mode, with a face in it.
            label: the expression it should be, in any spelling.

        Raises:
            DataError: the label is no expression.
            ModelError: a map that was asked for by its name cannot be made.
        """
        wanted = canonical(label) if label else ""
        picture = to_rgb(picture)
        found = self.provider.locate([name], [picture])
        transform, cropped = self._place(found, picture.size)
        size = self.model.card.input.size
        image, face = (self._cut(picture, transform, cropped, side)[None] for side in (size, CANVAS))
        points = transform_points(found.points.double(), transform[None])

        x = self.model.normalise(image)
        shown = run_maps(self.model, x, self.methods, self.layers, None, self.seed)
        require_named(shown.refused, self.methods, self.layers, set(self.named), self.model.name)
        chances = probabilities(shown.logits.cpu())[0].tolist()
        predicted = self.model.classes[int(shown.logits[0].argmax())]

        expressions = list(dict.fromkeys([predicted, *([wanted] if wanted else [])]))
        heat, valid = au_heatmaps(
            points.expand(len(expressions), -1, -1), expressions, CANVAS, self.book, self.geometry
        )
        drawn = {name: plane for name, plane, ok in zip(expressions, heat, valid.tolist(), strict=True) if ok}
        expected = next(iter(drawn), "")
        maps = tuple(
            self._show(key, raw, drawn, expected, points)
            for key, raw in shown.maps.items()
            if key not in shown.refused or key[0] in self.named
        )
        return Explanation(
            image=name,
            picture=picture,
            face=face[0],
            points=points[0],
            transform=transform,
            cropped=cropped,
            model=self.model.name,
            probabilities=dict(zip(self.model.classes, chances, strict=True)),
            predicted=predicted,
            label=wanted,
            heat=drawn,
            maps=maps,
            expected=expected,
            refused={"@".join(key): why for key, why in shown.refused.items()},
            rules={"protocol": self.protocol, "codebook": self.book.name, "geometry": self.geometry},
        )

    def _place(self, found: Landmarks, size: tuple[int, int]) -> tuple[Float[Tensor, "2 3"], bool]:
        """Return the map from the picture to the canvas, and whether it cuts something out."""
        whole = stretch(*size, CANVAS)
        if self.crop == "whole" or not bool(found.found[0]):
            return whole, False
        points = found.points.double()
        if self.crop == "aligned":
            return similarity(points, CANVAS)[0], True
        span = (points.amax(1) - points.amin(1))[0] / points.new_tensor(size)
        small = self.crop == "face" or float(span.min()) < SMALL
        return (face_square(points, CANVAS)[0], True) if small else (whole, False)

    @staticmethod
    def _cut(picture: Image.Image, transform: Float[Tensor, "2 3"], cropped: bool, size: int) -> Float[Tensor, "3 s s"]:
        shown = warp(picture, transform * (size / CANVAS), size) if cropped else picture
        return to_tensor(np.array(shown), size)

    def _show(
        self,
        key: tuple[str, str],
        raw: Float[Tensor, "1 h w"],
        drawn: dict[str, Float[Tensor, "s s"]],
        expected: str,
        points: Float[Tensor, "1 68 2"],
    ) -> ShownMap:
        method = self.methods[key[0]]
        large = to_canvas(raw.float().cpu(), method.attention, self.protocol)[0]
        scores = {}
        for name, plane in drawn.items():
            blank = cosine(torch.ones_like(plane)[None], plane[None])
            scores[name] = Score(
                float(cosine(large, plane[None])), float(cosine_skill(large, plane[None])), float(blank)
            )
        return ShownMap(
            key[0],
            key[1],
            method.class_specific,
            normalise(large)[0][0],
            scores,
            self._regions(large, expected, points),
        )

    def _regions(
        self, large: Float[Tensor, "1 s s"], expected: str, points: Float[Tensor, "1 68 2"]
    ) -> tuple[Region, ...]:
        if not bool(points.isfinite().all()) or not bool(large.isfinite().all()):
            return ()
        regions = evidence(self.book, self.geometry)
        dealt = shares(points, regions, self.geometry)
        own, uniform = (profile(maps, dealt)[0].tolist() for maps in (large, torch.ones_like(large)))
        wanted = {unit.au for unit in self.book.units(expected)}
        return tuple(
            Region(aus, tuple(au for au in aus if au in wanted), share, blank, share >= USED * blank > 0)
            for aus, share, blank in zip(regions.groups, own, uniform, strict=False)
        )


def explain_image(
    image: str | Path | Image.Image,
    model: Model | str | Path,
    label: str | None = None,
    *,
    maps: str | Sequence[str] = EXPLAINED,
    layers: str | Sequence[str] = "last",
    landmarks: LandmarkProvider | str | Path = DEFAULT_PROVIDER,
    protocol: str = "paper",
    codebook: str | None = None,
    geometry: str | None = None,
    crop: str = "auto",
    device: str = "auto",
    seed: int = 0,
    trust: bool = False,
) -> Explanation:
    """Explain a picture: `interpfer.explain.sheet.explanation_sheet` draws what comes back.

    What follows the label is as for ``Explainer.make``.

    Args:
        image: a file or a picture, of a face or with a face in it.
        model: a ``Model``, or a checkpoint for ``load_model``.
        label: the expression it should be, in any spelling.
        maps: names or groups; class-specific ones explain the predicted class.
        layers: "last", "all", or names.
        landmarks: a provider, its name, or a landmark file.
        protocol: "paper" or "corrected".
        codebook: overrides the protocol's.
        geometry: overrides the protocol's.
        crop: "auto", "face", "aligned" or "whole".
        device: "auto", "cpu", "cuda", ...
        seed: of maps that draw at random.
        trust: as for ``load_model``.

    Raises:
        InterpferError: anything the user can mend; the message says how.
    """
    explainer = Explainer.make(
        model,
        maps=maps,
        layers=layers,
        landmarks=landmarks,
        protocol=protocol,
        codebook=codebook,
        geometry=geometry,
        crop=crop,
        device=device,
        seed=seed,
        trust=trust,
    )
    if isinstance(image, Image.Image):
        return explainer.explain("picture", image, label)
    return explainer.explain(Path(image).name, read_image(Path(image)), label)


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder, sorted; folders in it are left alone.

    Raises:
        DataError: there is none.
    """
    found = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(f"the folder {folder} holds no picture: name a picture, or a folder of pictures.")
    return found
