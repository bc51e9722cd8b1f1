"""Explains one picture: the face in it, the prediction of a classifier, and where the classifier looks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from interpfer.datasets.base import IMAGE_SUFFIXES
from interpfer.datasets.images import read_image, to_rgb
from interpfer.errors import DataError, InterpferError, ModelError
from interpfer.explain.explanation import ExplainedMap, Explanation, Score
from interpfer.explain.options import ExplainOptions
from interpfer.explain.regions import share_of_aus, share_of_face
from interpfer.explain.view import View
from interpfer.labels import canonical
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.plausibility import reject_implausible
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.maps import named_maps
from interpfer.maps.base import AnyMap
from interpfer.maps.canvas import normalise, to_canvas
from interpfer.maps.compute import model_maps
from interpfer.maps.engine import MapResults, require_named, run_maps
from interpfer.metrics.agreement import cosine, cosine_skill
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.options import resolve_options
from interpfer.runtime.device import pick_device
from interpfer.truth import open_truth
from interpfer.truth.base import Truth, TruthProvider
from interpfer.types import Landmarks, Placement, Sample

LANDMARK_CROPS = ("face", "aligned")
"""Values of ``--crop`` that need landmarks, whatever the truth."""


@dataclass(frozen=True)
class Explainer:
    """A classifier that is asked about pictures.

    Attributes:
        model: the classifier.
        provider: finds the landmarks.
        truth: what maps are compared with.
        methods: maps by name.
        layers: of the maps that have one.
        requested: maps asked for by their own names: one that cannot be computed is an error.
        options: the other choices.
    """

    model: Model
    provider: LandmarkProvider
    truth: TruthProvider
    methods: dict[str, AnyMap]
    layers: tuple[str, ...]
    requested: frozenset[str]
    options: ExplainOptions

    @classmethod
    def open(
        cls, options: ExplainOptions, model: Model | str | Path, landmarks: LandmarkProvider | None = None
    ) -> "Explainer":
        """Open what the options name.

        Args:
            options: how pictures are explained.
            model: a ``Model``, or a checkpoint for ``load_model``.
            landmarks: a provider that is open; None for that of the options.

        Raises:
            InterpferError: a name is unknown, or the model cannot be loaded.
        """
        if isinstance(model, Model):
            options.require_unset(model.name)
        else:
            model = load_model(model, **options.model_values())
        model.to(pick_device(options.device)).require_classes()
        truth = open_truth(options)
        is_needed = truth.needs_landmarks or options.crop in LANDMARK_CROPS or options.occlude is not None
        return cls(
            model=model,
            provider=resolve_landmarks(landmarks or options.landmarks, is_needed=is_needed),
            truth=truth,
            methods=model_maps(options.maps),
            layers=model.layers(options.layers),
            requested=frozenset(named_maps(options.maps)),
            options=options,
        )

    def explain(self, name: str, picture: Image.Image, label: str | None = None) -> Explanation:
        """Explain a picture.

        Args:
            name: landmark files know it by this.
            picture: of any size and mode, with a face in it.
            label: the expression it should be, in any spelling.

        Raises:
            DataError: the label is no expression, or no output of the model where it is to be explained.
            ModelError: a map that was requested by name cannot be computed, or the classifier takes clips.
        """
        if self.model.frames > 1:
            raise ModelError(
                f"model {self.model.name} takes clips of {self.model.frames} frames, and {name} is a picture: pass a "
                "video, or a folder of frames."
            )
        wanted = canonical(label) if label else ""
        target = self.find_target(wanted)
        picture = to_rgb(picture)
        landmarks = self.locate([name], [picture])
        view = View.of(name, picture, landmarks, self.model.card.input, self.options)
        results = self.run(view.image, target)
        explained = wanted if target is not None else self.model.classes[int(results.logits[0].argmax())]
        return self.describe(name, picture, view, results, 0, wanted, explained)

    def locate(self, names: Sequence[str], pictures: Sequence[Image.Image]) -> Landmarks:
        """Return the landmarks of pictures in their pixels; what is no face is not found."""
        return reject_implausible(self.provider.locate(names, pictures), [each.size for each in pictures])

    def run(self, images: Float[Tensor, "n 3 s s"], target: Int[Tensor, " n"] | None) -> MapResults:
        """Return logits and maps of what the classifier sees.

        Args:
            images: RGB in [0, 1] at its input size, whole clips of a classifier of clips.
            target: output per image that class-specific maps explain; None for the predicted one.

        Raises:
            ModelError: a map that was requested by name cannot be computed.
        """
        x = self.model.normalise(images)
        results = run_maps(self.model, x, self.methods, self.layers, target, self.options.seed)
        require_named(results.refused, self.methods, self.layers, set(self.requested), self.model.name)
        return results

    def describe(
        self, name: str, picture: Image.Image, view: View, results: MapResults, row: int, wanted: str, explained: str
    ) -> Explanation:
        """Return the explanation of one picture out of the maps of several.

        Args:
            name: of the picture.
            picture: RGB.
            view: what the classifier sees of it.
            results: maps of several pictures.
            row: which of them it is.
            wanted: its label, "" for none.
            explained: the class that class-specific maps explain.
        """
        chances = self.model.probabilities(results.logits.cpu().double())[row].tolist()
        predicted = self.model.classes[int(results.logits[row].argmax())]
        expressions = list(dict.fromkeys(filter(None, (predicted, wanted, explained))))
        landmarks = Landmarks.of(view.points)
        truths = self._draw(name, expressions, view.points, Placement(view.transform[None], (picture.size,)))
        drawn = {label: truth.maps[0] for label, truth in truths.items()}
        expected = explained if explained in drawn else ""
        maps = tuple(
            self._show(key, raw[row : row + 1], truths, expected, landmarks)
            for key, raw in results.maps.items()
            if key not in results.refused or key[0] in self.requested
        )
        return Explanation(
            image=name,
            picture=picture,
            face=view.face[0],
            points=view.points[0],
            transform=view.transform,
            cropped=view.cropped,
            model=self.model.name,
            probabilities=dict(zip(self.model.classes, chances, strict=True)),
            predicted=predicted,
            label=wanted,
            heat=drawn,
            maps=maps,
            expected=expected,
            refused={"@".join(key): why for key, why in results.refused.items()},
            rules={"protocol": self.options.protocol, **self.truth.settings},
            explained=explained,
            noun=self.truth.noun,
            missing="" if explained in drawn else self.truth.missing_reason(Sample(name, explained)),
        )

    def _draw(
        self, name: str, expressions: Sequence[str], points: Float[Tensor, "1 68 2"], placement: Placement
    ) -> dict[str, Truth]:
        """Return the truth of each expression that has one."""
        landmarks = Landmarks.of(points, placement=placement)
        truths = {label: self.truth.draw([Sample(name, label)], landmarks) for label in expressions}
        return {label: truth for label, truth in truths.items() if bool(truth.valid[0])}

    def find_target(self, label: str) -> Int[Tensor, " 1"] | None:
        """Return the output that class-specific maps explain; None for the predicted one."""
        if self.options.target == "predicted":
            return None
        if not label:
            raise InterpferError("--target label explains the label of the picture; pass --label.")
        if label not in self.model.classes:
            known = ", ".join(self.model.classes)
            raise DataError(f"label must be one of {known} with --target label, got '{label}'")
        return torch.tensor([self.model.classes.index(label)])

    def _show(
        self,
        key: tuple[str, str],
        raw: Float[Tensor, "1 h w"],
        truths: dict[str, Truth],
        expected: str,
        landmarks: Landmarks,
    ) -> ExplainedMap:
        method = self.methods[key[0]]
        large = to_canvas(raw.float().cpu(), method.attention, self.options.protocol)[0]
        scores = {}
        judged_by = truths if expected or not method.class_specific else {}
        for name, truth in judged_by.items():
            heat, ignore = truth.maps, truth.ignore
            uniform = cosine(torch.ones_like(heat), heat, ignore)
            own, skill = cosine(large, heat, ignore), cosine_skill(large, heat, ignore)
            scores[name] = Score(float(own), float(skill), float(uniform))
        return ExplainedMap(
            key[0],
            key[1],
            method.class_specific,
            normalise(large)[0][0],
            scores,
            share_of_aus(large, expected, landmarks, self.truth),
            share_of_face(large, landmarks),
        )


def explain_image(
    image: str | Path | Image.Image,
    model: Model | str | Path,
    label: str | None = None,
    *,
    landmarks: LandmarkProvider | str | Path | None = None,
    options: ExplainOptions | None = None,
    **choices: Any,
) -> Explanation:
    """Explain a picture; ``interpfer.explain.sheet.explanation_sheet`` draws the result.

    Args:
        image: a file or a picture, of a face or with a face in it.
        model: a ``Model``, or a checkpoint for ``load_model``.
        label: the expression that the face shows, in any spelling.
        landmarks: a provider, its name, or a landmark file; None for the embedded network.
        options: all choices; or name single ``choices``.
        choices: fields of ``interpfer.explain.options.ExplainOptions``, such as ``maps=("gradcam",)``,
            ``crop="face"``, ``trust=True``.

    Returns:
        The face, its landmarks, the probabilities, and the maps with their scores.

    Raises:
        InterpferError: anything the user can fix; the message says how.

    Examples:
        >>> import interpfer
        >>> from interpfer.datasets.demo import DemoDataset
        >>> from interpfer.models.small import SmallCNN
        >>> model = interpfer.load_model(SmallCNN(2), classes=["anger", "happiness"], input_size=48)
        >>> faces = DemoDataset("test", count=7, size=96)
        >>> explanation = interpfer.explain_image(faces.image(0), model, maps=["gradcam"], device="cpu")
        >>> sorted(explanation.probabilities)
        ['anger', 'happiness']
    """
    options = resolve_options(ExplainOptions, options, choices, "explain")
    if isinstance(landmarks, str | Path):
        options, landmarks = replace(options, landmarks=str(landmarks)), None
    explainer = Explainer.open(options, model, landmarks)
    label = label or options.label
    if isinstance(image, Image.Image):
        return explainer.explain("picture", image, label)
    return explainer.explain(Path(image).name, read_image(Path(image)), label)


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder, sorted; its subfolders are not searched.

    Raises:
        DataError: there is none.
    """
    pictures = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES)
    if not pictures:
        raise DataError(f"no pictures in the folder {folder}: pass a picture or a folder of pictures.")
    return pictures
