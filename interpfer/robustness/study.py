"""Scores classifiers by every choice of truth and protocol, with one forward and backward per image."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from interpfer.au import CODEBOOKS
from interpfer.choices import GEOMETRIES, PROTOCOL_TRUTH, PROTOCOLS
from interpfer.datasets.base import Dataset
from interpfer.datasets.opening import open_dataset
from interpfer.errors import InterpferError, nearest
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.metrics import DEFAULT_METRICS, METRICS, select_metrics
from interpfer.metrics.base import ModelMetric
from interpfer.models.channels_last import channels_last
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.results.folder import RunFolder
from interpfer.results.pictures import ReportContent
from interpfer.results.run import Run
from interpfer.robustness.options import RobustnessOptions
from interpfer.runtime.device import pick_device
from interpfer.runtime.processes import Processes
from interpfer.runtime.progress import Progress, no_progress
from interpfer.scoring.batch import run_model, score_batch
from interpfer.scoring.finish import finish_run
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.score import sum_truth
from interpfer.scoring.session import ScoreSession, open_session
from interpfer.truth import TRUTHS
from interpfer.truth.options import TruthOptions

NO_REPORT = ReportContent(False, False)


class Choice(NamedTuple):
    """Choices by which maps are scored; "" stands for the protocol's, or the data set's own.

    Attributes:
        protocol: name.
        codebook: name or file.
        geometry: name.
        landmarks: file or provider.
    """

    protocol: str
    codebook: str
    geometry: str
    landmarks: str


@dataclass(frozen=True)
class Study:
    """Runs of classifiers by every choice.

    Attributes:
        choices: all combinations.
        runs: name of a classifier -> its runs, one per choice.
    """

    choices: tuple[Choice, ...]
    runs: Mapping[str, tuple[Run, ...]]

    def name(self, choice: Choice) -> str:
        """Return a choice in words, as far as choices differ."""
        varying = [name for place, name in enumerate(Choice._fields) if len({each[place] for each in self.choices}) > 1]
        return ", ".join(f"{getattr(choice, name)}" for name in varying) or choice.protocol


def run_study(
    models: Sequence[Model | str | Path],
    dataset: Dataset | str,
    options: RobustnessOptions,
    progress: Progress = no_progress,
) -> Study:
    """Score every model by every choice; the maps of an image are computed once.

    Args:
        models: classifiers, or checkpoints for ``load_model``.
        dataset: a data set, or the name of one.
        options: the choices.
        progress: called with (what, done, total).

    Raises:
        InterpferError: a choice is unknown, a metric runs the model, or a model or the data cannot be read.
    """
    if not models:
        raise InterpferError("robustness needs at least one model.")
    if options.name is not None and len(models) > 1:
        raise InterpferError("--name names one model: leave it out where several are passed.")
    choices = list_choices(options)
    _require_quick_metrics(options)
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, options, options.seed)
    runs: dict[str, tuple[Run, ...]] = {}
    for place, source in enumerate(models, 1):
        model = source if isinstance(source, Model) else load_model(source, **options.model_values())
        model.to(pick_device(options.device))
        settings = _score_options(options, None if isinstance(source, Model) else source)
        note = f"model {place} of {len(models)}" if len(models) > 1 else ""
        own = _score_model(model, dataset, settings, choices, progress, note)
        runs[_new_name(model.name, source, runs)] = own
    return Study(tuple(_resolve(choices, next(iter(runs.values())))), runs)


def list_choices(options: RobustnessOptions) -> list[Choice]:
    """Return all combinations of the choices.

    Raises:
        InterpferError: a protocol, codebook or geometry is unknown, or a list is empty.
    """
    protocols = _names("protocols", options.protocols, PROTOCOLS) or list(PROTOCOLS)
    own = list(dict.fromkeys(codebook for codebook, _ in PROTOCOL_TRUTH.values()))
    codebooks = _names("codebooks", options.codebooks, list(CODEBOOKS), are_files=True) or own
    geometries = _names("geometries", options.geometries, GEOMETRIES) or [""]
    if options.truth != TruthOptions.truth:
        if options.codebooks is not None or options.geometries is not None:
            raise InterpferError(f"--truth {options.truth} has no codebooks and geometries: leave out both options.")
        codebooks = geometries = [""]
    landmarks = _names("landmarks", options.landmarks, (), are_files=True) or [""]
    return [Choice(*values) for values in product(protocols, codebooks, geometries, landmarks)]


def _names(what: str, given: str | Sequence[str] | None, known: Sequence[str], are_files: bool = False) -> list[str]:
    if given is None:
        return []
    words = [word.strip() for word in (given.split(",") if isinstance(given, str) else given)]
    words = list(dict.fromkeys(word for word in words if word))
    if not words:
        raise InterpferError(f"--{what} is empty: pass at least one name, or leave it out.")
    if words == ["all"] and known:
        return list(known)
    for word in words:
        if word not in known and not are_files:
            raise InterpferError(f"--{what} must be of {', '.join(known)}, got '{word}'.{nearest(word, known)}")
    return words


def _require_quick_metrics(options: RobustnessOptions) -> None:
    names = select_metrics(DEFAULT_METRICS if options.metrics is None else options.metrics)
    if slow := [name for name in names if isinstance(METRICS.get(name), ModelMetric)]:
        raise InterpferError(
            f"--metrics {', '.join(slow)}: run the model again for each choice; pass metrics that need maps alone, "
            "such as cosine,pxap."
        )


def _score_options(options: RobustnessOptions, source: str | Path | None) -> ScoreOptions:
    shared = {each.name for each in fields(ScoreOptions)} & {each.name for each in fields(RobustnessOptions)}
    values = {name: getattr(options, name) for name in shared - {"out", "overwrite", "landmarks"}}
    return ScoreOptions.of(values | {"model": source})


def _score_model(
    model: Model,
    dataset: Dataset,
    options: ScoreOptions,
    choices: Sequence[Choice],
    progress: Progress,
    note: str,
) -> tuple[Run, ...]:
    """Return the run of each choice."""
    providers = {
        name: resolve_landmarks(name or None, dataset.landmarks(), TRUTHS.get(options.truth).needs_landmarks)
        for name in dict.fromkeys(choice.landmarks for choice in choices)
    }
    settings: list[ScoreOptions] = []
    sessions: list[ScoreSession] = []
    for choice in choices:
        own: dict[str, Any] = {name: value or None for name, value in choice._asdict().items()}
        settings.append(replace(options, **own))
        probe = sessions[0].probe if sessions else None
        sessions.append(open_session(settings[-1], model, dataset, providers[choice.landmarks], probe))
    means = [sum_truth(session, Processes(), progress) if session.needs_means else None for session in sessions]
    folders = [RunFolder.begin(None, session.spec.identity, False, False) for session in sessions]
    streams = {choice.landmarks: session.stream for choice, session in zip(choices, sessions, strict=True)}
    rows, done, started = sessions[0].spec.rows, 0, time.monotonic()
    progress("scoring", 0, len(rows), note)
    with channels_last(model):
        for batches in zip(*(each.batches(rows, int(options.batch_size)) for each in streams.values()), strict=True):
            of_landmarks = dict(zip(streams, batches, strict=True))
            results = run_model(sessions[0], batches[0])
            for choice, session, mean, folder in zip(choices, sessions, means, folders, strict=True):
                folder.add(score_batch(session, of_landmarks[choice.landmarks], mean, NO_REPORT, results))
            done += len(batches[0].rows) + len(batches[0].skipped)
            progress("scoring", done, len(rows), note)
    return tuple(
        finish_run(session, folder, own_settings, NO_REPORT, started, None)[0]
        for session, folder, own_settings in zip(sessions, folders, settings, strict=True)
    )


def _resolve(choices: Sequence[Choice], runs: Sequence[Run]) -> list[Choice]:
    """Return the choices with the names that their runs recorded."""
    resolved = []
    for choice, run in zip(choices, runs, strict=True):
        arguments = run.manifest["arguments"]
        landmarks = choice.landmarks or str(arguments.get("landmarks", ""))
        resolved.append(choice._replace(geometry=str(arguments.get("geometry", "")), landmarks=landmarks))
    return resolved


def _new_name(name: str, source: Model | str | Path, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    folder = "" if isinstance(source, Model) else Path(source).resolve().parent.name
    named = f"{name} ({folder or len(taken) + 1})"
    return named if named not in taken else f"{name} ({len(taken) + 1})"
