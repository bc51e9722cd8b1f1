"""What the page answers: the explanation of a picture by each model, made by the functions of `explain`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from interpfer.datasets.images import read_image
from interpfer.errors import InterpferError
from interpfer.explain.explainer import LANDMARK_CROPS, Explainer
from interpfer.explain.explanation import Explanation
from interpfer.explain.options import ExplainOptions
from interpfer.explain.sheet import explanation_sheet
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.maps import named_maps
from interpfer.maps.compute import model_maps
from interpfer.serving.options import ServeOptions
from interpfer.truth import open_truth


@dataclass(frozen=True)
class Choices:
    """What was chosen on the page.

    Attributes:
        label: expression that the face shows; "" for none.
        maps: names of maps.
        layers: "last", "all", or the name of a layer.
        target: class that class-specific maps explain, "predicted" or "label".
        crop: part of the picture that the model sees.
    """

    label: str
    maps: tuple[str, ...]
    layers: str
    target: str
    crop: str


@dataclass(frozen=True)
class Answer:
    """What one model says of a picture: an explanation, or why there is none.

    Attributes:
        model: name of the model.
        explanation: None where ``problem`` says why.
        problem: one line; "" for none.
    """

    model: str
    explanation: Explanation | None = None
    problem: str = ""


class Answers:
    """Open models that explain pictures, one picture at a time.

    Args:
        models: checkpoints.
        options: how pictures are explained.
        folder: where sheets are written.

    Raises:
        InterpferError: a model cannot be loaded, or an option fits none.
    """

    def __init__(self, models: Sequence[str | Path], options: ServeOptions, folder: str | Path) -> None:
        if not models:
            raise InterpferError("serve needs at least one model.")
        if len(models) > 1 and options.name is not None:
            raise InterpferError(f"--name names one model, got {len(models)}: leave it out.")
        truth = open_truth(options)
        is_needed = truth.needs_landmarks or options.crop in LANDMARK_CROPS or options.occlude is not None
        provider = resolve_landmarks(options.landmarks, is_needed=is_needed)
        opened = [Explainer.open(options, model, provider) for model in models]
        names = [each.model.name for each in opened]
        self._explainers = {
            name if names.count(name) == 1 else f"{name} ({place})": each
            for place, (name, each) in enumerate(zip(names, opened, strict=True), 1)
        }
        self.options, self._folder, self._lock = options, Path(folder), Lock()
        self._count = 0
        self._written: tuple[Sequence[Answer], list[Path | None]] = ((), [])

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in order."""
        return tuple(self._explainers)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of all models."""
        return tuple(dict.fromkeys(name for each in self._explainers.values() for name in each.model.classes))

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers of all models, with what names several at once first."""
        own = (name for each in self._explainers.values() for name in each.model.layers("all"))
        return tuple(dict.fromkeys(("last", "all", *own)))

    def explain(self, path: str | Path, name: str, choices: Choices) -> list[Answer]:
        """Explain a picture by all models.

        Args:
            path: the picture.
            name: what it is called; landmark files know it by this.
            choices: what was chosen on the page.

        Returns:
            An answer per model; what goes wrong is said in it.
        """
        if missing := _missing(choices):
            return [Answer(model, problem=missing) for model in self._explainers]
        with self._lock:
            try:
                picture = read_image(path)
            except InterpferError as error:
                problem = str(error).replace(str(path), name)
                return [Answer(model, problem=problem) for model in self._explainers]
            answers = []
            for model, explainer in self._explainers.items():
                try:
                    explanation = _with_choices(explainer, choices).explain(name, picture, choices.label or None)
                    answers.append(Answer(model, replace(explanation, model=model)))
                except InterpferError as error:
                    answers.append(Answer(model, problem=str(error)))
            return answers

    def write_sheets(self, answers: Sequence[Answer]) -> list[Path | None]:
        """Write each explanation as one picture, to download; this takes longer than the explanation itself.

        Args:
            answers: what ``explain`` returned.
        """
        if answers is self._written[0]:
            return self._written[1]
        paths: list[Path | None] = []
        for answer in answers:
            path = None
            if answer.explanation is not None:
                with self._lock:
                    self._count += 1
                    path = self._folder / f"explained-{self._count:04d}-{_safe(answer.model)}.png"
                    explanation_sheet(answer.explanation, path)
            paths.append(path)
        self._written = (answers, paths)
        return paths


def _missing(choices: Choices) -> str:
    """Say what still has to be chosen; "" for nothing."""
    if not choices.maps:
        return "Choose at least one map."
    if choices.target == "label" and not choices.label:
        return "The maps are to explain the label: choose the expression of the face."
    return ""


def _with_choices(explainer: Explainer, choices: Choices) -> Explainer:
    """Return an explainer of the same model with other maps, layers, target and crop.

    Raises:
        InterpferError: a map or a layer is unknown.
    """
    options: ExplainOptions = replace(
        explainer.options, maps=choices.maps, layers=choices.layers, target=choices.target, crop=choices.crop
    )
    return replace(
        explainer,
        methods=model_maps(options.maps),
        layers=explainer.model.layers(options.layers),
        requested=frozenset(named_maps(options.maps)),
        options=options,
    )


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
