"""Scores a data set from beginning to end: faces, landmarks, truth, maps and metrics become a run."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from interpfer.choices import AU
from interpfer.datasets.base import Dataset
from interpfer.datasets.only import select_listed
from interpfer.datasets.opening import open_dataset
from interpfer.errors import DataError, InterpferError
from interpfer.landmarks.base import LandmarkProvider
from interpfer.maps.batch_size import auto_batch_size
from interpfer.models.channels_last import channels_last
from interpfer.models.loading import load_model
from interpfer.models.measured import read_measured
from interpfer.models.model import Model
from interpfer.options import resolve_options
from interpfer.reports.figures import write_figures
from interpfer.reports.leaderboard.rows import append_rows, leaderboard_rows, require_leaderboard
from interpfer.reports.page import write_page
from interpfer.results.folder import FIGURES, REPORT, RunFolder
from interpfer.results.image_table import require_table_format
from interpfer.results.pictures import ReportContent, ReportData, load_report_data
from interpfer.results.plans import BATCH_SIZE
from interpfer.results.regions import scored_regions
from interpfer.results.run import SHARD, Run, load_run, load_run_for_page
from interpfer.results.submission import append_submission
from interpfer.runtime.device import pick_device
from interpfer.runtime.hub_access import normalise
from interpfer.runtime.processes import Processes, join_processes
from interpfer.runtime.progress import Progress, no_progress
from interpfer.runtime.shards import Shard
from interpfer.runtime.threads import keep_freed_memory
from interpfer.scoring.accounts import nothing_to_score
from interpfer.scoring.au_batch import add_planes, score_au_batch
from interpfer.scoring.batch import score_batch
from interpfer.scoring.chunk import CPU_CHUNK
from interpfer.scoring.finish import finish_run
from interpfer.scoring.occluded import add_batch
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.sanity import check
from interpfer.scoring.session import ScoreSession, open_session
from interpfer.scoring.shares import shard_facts, take_share
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
    if settings.shard is not None and settings.out is None:
        raise InterpferError("a shard is kept for interpfer merge: pass --out.")
    require_table_format(settings.tables)
    if isinstance(landmarks, str | Path):
        settings, landmarks = replace(settings, landmarks=str(landmarks)), None
    keep_freed_memory()
    group = join_processes(settings.device)
    classifier, faces, settings = group.run(lambda: open_inputs(model, dataset, settings, group.device))
    with classifier.autocast(settings.autocast):
        session = group.run(lambda: open_session(settings, classifier, faces, landmarks))
        run, report_data = _run(session, settings, group, progress, started)
    group.run(lambda: write_reports(run, report_data, settings) if group.is_main else None)
    return run


def open_inputs(
    model: Model | str | Path, dataset: Dataset | str, options: ScoreOptions, device: str | None
) -> tuple[Model, Dataset, ScoreOptions]:
    """Open the data set and the classifier, on the device of this process if the launcher assigned one."""
    if isinstance(dataset, str):
        options = replace(options, dataset=dataset)
        dataset = open_dataset(dataset, options, options.seed)
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
    shard = None if options.shard is None else Shard.of(options.shard)
    share = session if shard is None else group.run(lambda: take_share(session, shard, batch_size))
    plan = session.spec.identity | ({} if shard is None else {SHARD: str(shard), BATCH_SIZE: batch_size})
    folder = _open_folder(group, out, plan, options)
    content = report_content(options)
    if folder.is_complete and options.resume:
        assert out is not None
        return load_run(out), load_report_data(out)
    try:
        _score_missing(session, share.spec.rows, folder, batch_size, content, group, progress)
        record = None if shard is None else {SHARD: shard_facts(shard, batch_size, share, session)}
        finished = group.run(lambda: _finish(share, folder, options, content, group, progress, started, record))
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
    record: Mapping[str, Any] | None,
) -> tuple[Run, ReportData | None] | None:
    if not group.is_main:
        return None
    checks = check(session, progress) if options.sanity and record is None else None
    return finish_run(session, folder, options, content, started, checks, record)


def report_content(options: ScoreOptions) -> ReportContent:
    """Return what the run folder keeps for the report."""
    has_report = options.report and options.out is not None
    return ReportContent(has_report, has_report and options.faces)


def write_reports(run: Run, report_data: ReportData | None, options: ScoreOptions) -> None:
    """Write the page, the figures, the rows of the leaderboard and the entry to submit, out of a finished run alone."""
    if options.out is not None:
        out = Path(options.out)
        if options.report:
            names = set[str]() if report_data is None else report_data.names
            shown = load_run(out) if scored_regions(run) else load_run_for_page(out, names)
            write_page(shown, report_data, out / REPORT)  # as `interpfer report` rebuilds it
        if options.figures and SHARD not in run.manifest:
            list(write_figures(run, report_data, out / FIGURES))
    if options.leaderboard is not None:
        append_rows(Path(options.leaderboard), leaderboard_rows(run))
    if options.submit is not None:
        append_submission(Path(options.submit), run, options.preset or "")


def _open_folder(group: Processes, path: Path | None, plan: Mapping[str, Any], options: ScoreOptions) -> RunFolder:
    """Begin or continue a folder; where there are several processes, the first one does, and the others join it."""

    def begin() -> RunFolder | None:
        return RunFolder.begin(path, plan, options.resume, options.overwrite) if group.is_main else None

    folder = group.run(begin)
    place = group.from_main(folder.batches if folder else None)
    assert place is not None
    return folder or RunFolder.join(path, place)


def _score_missing(
    session: ScoreSession,
    rows: Sequence[int],
    folder: RunFolder,
    batch_size: int,
    content: ReportContent,
    group: Processes,
    progress: Progress,
) -> None:
    """Score the images at ``rows`` that no finished batch covers."""
    done = group.from_main(group.run(lambda: folder.done() if group.is_main else set[int]()))
    wanted, plan = rows if isinstance(rows, range) else set(rows), session.stream.plan(session.spec.rows, batch_size)
    left = ([row for row in batch if row in wanted and row not in done] for batch in plan)
    batches = group.share([batch for batch in left if batch], 1)
    del plan, left, wanted  # long lists of a long run
    means = sum_truth(session, group, progress, keep=True) if session.needs_means else None
    score_own = score_au_batch if session.spec.target == AU else score_batch

    def score_batches() -> None:
        finished, total = len(done), len(done) + sum(map(len, batches))
        progress("scoring", finished, total)
        with channels_last(session.model) if batches else nullcontext():
            for batch in session.stream.read_batches(batches):
                if session.occlusions:
                    add_batch(folder, session, batch, means, content)
                else:
                    folder.add(score_own(session, batch, means, content))
                finished += len(batch.rows) + len(batch.skipped)
                progress("scoring", finished, total)

    group.run(score_batches)


def sum_truth(session: ScoreSession, group: Processes, progress: Progress, keep: bool = False) -> TruthMeans:
    """Sum the truth of all images before any is scored, by class; for the target ``au`` by action unit.

    Args:
        session: the open score.
        group: the processes that share the images.
        progress: called with (what, done, total).
        keep: whether the truths of the first images stay in memory, so that they need not be drawn again.

    Raises:
        DataError: no image has one.
    """
    by_au = session.spec.target == AU
    means = TruthMeans(len(session.model.outputs if by_au else session.dataset.classes))
    missing = dict[int, str]()
    own = group.share(session.spec.rows, CPU_CHUNK)

    def add_all() -> None:
        chunks, done = [own[start : start + CPU_CHUNK] for start in range(0, len(own), CPU_CHUNK)], 0
        for rows, landmarks in zip(chunks, session.stream.find_landmarks(chunks), strict=True):
            truth = session.draw_truth(session.samples(rows), landmarks)
            missing.update(session.missing_notes(rows, landmarks, truth.valid))
            if by_au:
                add_planes(session, means, rows, landmarks)
            else:
                means.add(truth, session.classes(rows), rows if keep else ())
            done += len(rows)
            progress("truth", done, len(own))

    group.run(add_all)
    means.add_over(group.add)
    if not means.counts.any():
        reasons = {row: reason for part in group.gather(missing) for row, reason in part.items()}
        raise DataError(nothing_to_score(session, reasons))
    return means
