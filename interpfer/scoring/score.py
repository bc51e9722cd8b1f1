"""Scores a data set from beginning to end: faces, landmarks, truth, maps and metrics become a run."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from interpfer.choices import AU
from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.datasets.only import select_listed
from interpfer.errors import DataError
from interpfer.landmarks.base import LandmarkProvider
from interpfer.maps.batch_size import auto_batch_size
from interpfer.models.hub import normalise
from interpfer.models.loading import load_model
from interpfer.models.measured import read_measured
from interpfer.models.model import Model
from interpfer.options import resolve_options
from interpfer.reports.figures import write_figures
from interpfer.reports.leaderboard.rows import append_rows, leaderboard_rows, require_leaderboard
from interpfer.reports.page import write_page
from interpfer.results.folder import FIGURES, REPORT, RunFolder
from interpfer.results.pictures import ReportContent, ReportData, load_report_data
from interpfer.results.run import Run, load_run
from interpfer.results.submission import append_submission
from interpfer.runtime.device import pick_device
from interpfer.runtime.processes import Processes, join_processes
from interpfer.runtime.progress import Progress, no_progress
from interpfer.runtime.threads import keep_freed_memory
from interpfer.scoring.au_batch import add_planes, score_au_batch
from interpfer.scoring.batch import CPU_CHUNK, score_batch
from interpfer.scoring.finish import finish_run, nothing_to_score
from interpfer.scoring.occluded import add_batch
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.sanity import check
from interpfer.scoring.session import ScoreSession, open_session
from interpfer.truth.means import TruthMeans


def score(
    model: Model | str | Path,
    dataset: Dataset | str,
    *,
    landmarks: LandmarkProvider | str | Path | None = None,
    options: ScoreOptions | None = None,
    progress: Progress = no_progress,
    **choices: Any,
) -> Run:
    """Score where a classifier looks.

    Args:
        model: a ``Model``, or a checkpoint for ``load_model``.
        dataset: a ``Dataset``, or the name of one.
        landmarks: a provider, its name, or a landmark file; default: the data set's own, else `embedded`.
        options: all choices; or name single ``choices``.
        progress: called with (what, done, total).
        choices: fields of ``interpfer.scoring.options.ScoreOptions`` in place of ``options``, such as
            ``maps="gradcam,baselines"``, ``protocol="corrected"``, ``out="runs/a"``, ``data_root="faces"``.

    Returns:
        The run: ``scores`` and ``per_image`` are data frames, ``manifest`` is what run.json holds.

    Raises:
        InterpferError: anything the user can fix; the message says how.

    Examples:
        >>> import torch, interpfer
        >>> from interpfer.datasets.demo import DemoDataset
        >>> from interpfer.models.small import SmallCNN
        >>> torch.manual_seed(0) and None
        >>> model = interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "surprise"], input_size=48)
        >>> run = interpfer.score(model, DemoDataset("test", count=7, size=48), maps="gradcam", device="cpu")
        >>> run.scores.columns.tolist()
        ['map', 'layer', 'metric', 'group', 'value', 'ci_low', 'ci_high', 'n']
        >>> run.manifest["counts"]["images"]
        7
    """
    started = time.monotonic()
    settings = resolve_options(ScoreOptions, options, choices, "score")
    if settings.leaderboard is not None:
        require_leaderboard(Path(settings.leaderboard))
    if settings.submit is not None:
        read_measured(Path(settings.submit))
    if isinstance(landmarks, str | Path):
        settings, landmarks = replace(settings, landmarks=str(landmarks)), None
    keep_freed_memory()
    group = join_processes(settings.device)
    classifier, faces, settings = group.run(lambda: _open_inputs(model, dataset, settings, group.device))
    with classifier.autocast(settings.autocast):
        session = group.run(lambda: open_session(settings, classifier, faces, landmarks))
        run, report_data = _run(session, settings, group, progress, started)
    group.run(lambda: _write_reports(run, report_data, settings) if group.is_main else None)
    return run


def _open_inputs(
    model: Model | str | Path, dataset: Dataset | str, options: ScoreOptions, device: str | None
) -> tuple[Model, Dataset, ScoreOptions]:
    """Open the data set and the classifier, on the device of this process if the launcher assigned one."""
    if isinstance(dataset, str):
        root = Path(options.data_root) if options.data_root else None
        options = replace(options, dataset=dataset)
        dataset = DATASETS.get(dataset).open(root, options.split, options.seed)
    if options.only is not None:
        dataset = select_listed(dataset, options.only)
    if isinstance(model, Model):
        options.require_unset(model.name)
    else:
        options = replace(options, model=normalise(model))
        model = load_model(model, **options.model_values())
    model.to(pick_device(device if device and options.device in ("auto", "cuda") else options.device))
    return model, dataset, options


def _run(
    session: ScoreSession, options: ScoreOptions, group: Processes, progress: Progress, started: float
) -> tuple[Run, ReportData | None]:
    """Score what is missing of a run, and finish it; the other processes get the run without its pictures."""
    out = None if options.out is None else Path(options.out)
    batch_size = options.batch_size
    if isinstance(batch_size, str):
        rows = len(session.spec.rows)
        batch_size = group.from_main(
            group.run(lambda: auto_batch_size(session.model, session.spec.layers, session.needs_gradients, rows))
        )
    folder = _open_folder(group, out, session, options)
    content = ReportContent(options.report and out is not None, options.report and out is not None and options.faces)
    if folder.is_complete and options.resume:
        assert out is not None
        return load_run(out), load_report_data(out)
    try:
        _score_missing(session, folder, batch_size, content, group, progress)
        finished = group.run(lambda: _finish(session, folder, options, content, group, progress, started))
    except DataError:
        folder.discard()
        raise
    run = group.from_main(finished and finished[0])
    assert run is not None
    return run, finished and finished[1]


def _finish(
    session: ScoreSession,
    folder: RunFolder,
    options: ScoreOptions,
    content: ReportContent,
    group: Processes,
    progress: Progress,
    started: float,
) -> tuple[Run, ReportData | None] | None:
    if not group.is_main:
        return None
    checks = check(session, progress) if options.sanity else None
    return finish_run(session, folder, options, content, started, checks)


def _write_reports(run: Run, report_data: ReportData | None, options: ScoreOptions) -> None:
    """Write the page, the figures, the rows of the leaderboard and the entry to submit, out of a finished run alone."""
    if options.out is not None:
        out = Path(options.out)
        if options.report:
            write_page(load_run(out), report_data, out / REPORT)  # as `interpfer report` rebuilds it
        if options.figures:
            list(write_figures(run, report_data, out / FIGURES))
    if options.leaderboard is not None:
        append_rows(Path(options.leaderboard), leaderboard_rows(run))
    if options.submit is not None:
        append_submission(Path(options.submit), run, options.preset or "")


def _open_folder(group: Processes, path: Path | None, session: ScoreSession, options: ScoreOptions) -> RunFolder:
    """Begin or continue a folder; where there are several processes, the first one does, and the others join it."""

    def begin() -> RunFolder | None:
        identity = session.spec.identity
        return RunFolder.begin(path, identity, options.resume, options.overwrite) if group.is_main else None

    folder = group.run(begin)
    place = group.from_main(folder.batches if folder else None)
    assert place is not None
    return folder or RunFolder.join(path, place)


def _score_missing(
    session: ScoreSession,
    folder: RunFolder,
    batch_size: int,
    content: ReportContent,
    group: Processes,
    progress: Progress,
) -> None:
    """Score the images that no finished batch covers."""
    done = group.from_main(group.run(lambda: folder.done() if group.is_main else set[int]()))
    todo = group.share([row for row in session.spec.rows if row not in done], batch_size)
    means = sum_truth(session, group, progress) if session.needs_means else None
    score_own = score_au_batch if session.spec.target == AU else score_batch

    def score_batches() -> None:
        finished, total = len(done), len(done) + len(todo)
        progress("scoring", finished, total)
        for batch in session.stream.batches(todo, batch_size):
            if session.occlusions:
                add_batch(folder, session, batch, means, content)
            else:
                folder.add(score_own(session, batch, means, content))
            finished += len(batch.rows) + len(batch.skipped)
            progress("scoring", finished, total)

    group.run(score_batches)


def sum_truth(session: ScoreSession, group: Processes, progress: Progress) -> TruthMeans:
    """Sum the truth of all images before any is scored, by class; for the target ``au`` by action unit.

    Raises:
        DataError: no image has one.
    """
    by_au = session.spec.target == AU
    means = TruthMeans(len(session.model.outputs if by_au else session.dataset.classes))
    missing = dict[int, str]()
    own = group.share(session.spec.rows, CPU_CHUNK)

    def add_all() -> None:
        for start in range(0, len(own), CPU_CHUNK):
            rows = own[start : start + CPU_CHUNK]
            landmarks = session.stream.landmarks(rows)
            truth = session.draw_truth(session.samples(rows), landmarks)
            missing.update(session.missing_notes(rows, landmarks, truth.valid))
            if by_au:
                add_planes(session, means, rows, landmarks)
            else:
                means.add(truth, session.classes(rows))
            progress("truth", start + len(rows), len(own))

    group.run(add_all)
    means.add_over(group.add)
    if not means.counts.any():
        reasons = {row: reason for part in group.gather(missing) for row, reason in part.items()}
        raise DataError(nothing_to_score(session, reasons))
    return means
