"""Explains a clip: its prediction, and where the classifier looks on each frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from interpfer.datasets.clip_dataset import is_clip, open_clip
from interpfer.datasets.sampling import resolve_sampling
from interpfer.errors import DataError, InterpferError
from interpfer.explain.explainer import Explainer
from interpfer.explain.explanation import Explanation
from interpfer.explain.facs import facts
from interpfer.explain.options import ExplainOptions
from interpfer.explain.view import View, median_face, stack_images
from interpfer.labels import canonical
from interpfer.landmarks.following import follow
from interpfer.models.model import Model
from interpfer.types import Landmarks

DEFAULT_FRAMES = 8
"""Frames of a clip for a classifier of pictures."""


@dataclass(frozen=True)
class ClipExplanation:
    """The explanation of a clip.

    Attributes:
        clip: its name.
        model: name of the classifier.
        places: number of each frame in the clip, counted from 0.
        frames: explanation of each frame; class-specific maps of all frames explain the same class.
        probabilities: class -> probability for the clip.
        predicted: the most probable class, by the mean of the frames' logits.
        label: the true class, or "".
        explained: the class that class-specific maps explain.
        bridged: frames whose landmarks were interpolated.
    """

    clip: str
    model: str
    places: tuple[int, ...]
    frames: tuple[Explanation, ...]
    probabilities: Mapping[str, float]
    predicted: str
    label: str
    explained: str
    bridged: tuple[int, ...] = ()


def is_clip_path(path: str | Path, options: ExplainOptions, model: Model) -> bool:
    """Return whether a path is that of a clip: a video, or a folder of the frames of one."""
    path = Path(path)
    return is_clip(path) or (path.is_dir() and (options.clip or model.frames > 1))


def explain_clip(explainer: Explainer, path: str | Path, label: str | None = None) -> ClipExplanation:
    """Explain a clip.

    The face is cut out at one place for the whole clip; landmarks are followed over it.

    Args:
        explainer: the classifier and the choices.
        path: a video, or a folder of frames.
        label: the expression it should be, in any spelling.

    Raises:
        DataError: the clip cannot be read.
        InterpferError: the number of frames does not suit the classifier.
        ModelError: a map that was requested by name cannot be computed.
    """
    model, options = explainer.model, explainer.options
    count = options.frames or (model.frames if model.frames > 1 else DEFAULT_FRAMES)
    if count % model.frames:
        raise InterpferError(f"model {model.name} takes clips of {model.frames} frames: pass --frames {model.frames}.")
    chosen = None if options.sampling == "all" else count
    clip = open_clip(path, label or "", resolve_sampling(options.sampling, chosen))
    names = [sample.id for sample in clip.samples]
    pictures = [clip.image(row) for row in range(len(clip))]
    places = tuple(sample.frame or 0 for sample in clip.samples)
    if len(pictures) % model.frames:
        raise DataError(f"{path}: {len(pictures)} frames, and model {model.name} takes {model.frames} at a time.")
    return _explain(explainer, Path(path).name, names, pictures, places, canonical(label) if label else "")


def _explain(
    explainer: Explainer,
    name: str,
    names: Sequence[str],
    pictures: Sequence[Image.Image],
    places: tuple[int, ...],
    wanted: str,
) -> ClipExplanation:
    target, model = explainer.find_target(wanted), explainer.model
    landmarks = explainer.locate(names, pictures)
    if all(a < b for a, b in zip(places, places[1:], strict=False)):
        landmarks = follow(landmarks, places, explainer.provider.needs_images)
    bridged = tuple(place for row, place in enumerate(places) if landmarks.found[row] and landmarks.note(row))
    around = median_face(landmarks) if len({picture.size for picture in pictures}) == 1 else None
    views = [
        View.of(each, picture, _face(landmarks, row), model.card.input, explainer.options, around)
        for row, (each, picture) in enumerate(zip(names, pictures, strict=True))
    ]
    images = stack_images(views)
    logits = model.predict_logits(images).mean(0, keepdim=True)
    index = int(logits[0].argmax()) if target is None else int(target[0])
    results = explainer.run(images, torch.full((len(images),), index))
    explained = model.classes[index]
    chances = model.probabilities(logits.cpu().double())[0].tolist()
    frames = tuple(
        explainer.describe(each, picture, view, results, row, wanted, explained)
        for row, (each, picture, view) in enumerate(zip(names, pictures, views, strict=True))
    )
    return ClipExplanation(
        name,
        model.name,
        places,
        frames,
        dict(zip(model.classes, chances, strict=True)),
        model.classes[int(logits[0].argmax())],
        wanted,
        explained,
        bridged,
    )


def _face(landmarks: Landmarks, row: int) -> Landmarks:
    return landmarks[row : row + 1]


def clip_facts(explanation: ClipExplanation) -> dict[str, Any]:
    """Return all numbers and texts of a clip, ready for JSON."""
    return {
        "clip": explanation.clip,
        "model": explanation.model,
        "predicted": explanation.predicted,
        "label": explanation.label or None,
        "explained": explanation.explained,
        "probabilities": dict(explanation.probabilities),
        "bridged_frames": list(explanation.bridged),
        "frames": [
            {"frame": place} | facts(frame) for place, frame in zip(explanation.places, explanation.frames, strict=True)
        ],
    }
