"""The only place where the streams meet: faces, landmarks, heatmaps, maps and metrics become a run."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.errors import DataError
from interpfer.landmarks.base import LandmarkProvider
from interpfer.maps.batch_size import auto_batch_size, require_batch_size
from interpfer.metrics import DEFAULT_METRICS
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.reports.figures import run_figures
from interpfer.reports.leaderboard.rows import append, leaderboard_rows, require_board
from interpfer.reports.page import write_page
from interpfer.results.folder import FIGURES, REPORT, RunFolder
from interpfer.results.pictures import ReportContent, load_report_data
from interpfer.results.run import Run, load_run
from interpfer.runtime.device import pick_device
from interpfer.runtime.processes import Processes, processes
from interpfer.runtime.threads import keep_memory
from interpfer.scoring.batch import CPU_CHUNK, score_batch
from interpfer.scoring.finish import conclude, nothing_to_score
from interpfer.scoring.sanity import check
from interpfer.scoring.spec import Plan
from interpfer.truth.means import TruthMeans

Progress = Callable[[str, int, int], None]


def score(
    model: Model | str | Path,
    dataset: Dataset | str,
    *,
    data_root: str | Path | None = None,
    split: str = "test",
    landmarks: LandmarkProvider | str | Path | None = None,
    maps: str | Sequence[str] | None = None,
    layers: str | Sequence[str] = "last",
    target: str = "label",
    protocol: str = "paper",
    codebook: str | None = None,
    geometry: str | None = None,
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    out: str | Path | None = None,
    leaderboard: str | Path | None = None,
    batch_size: int | str = 32,
    device: str = "auto",
    seed: int = 0,
    limit: int | None = None,
    align: bool = False,
    autocast: str = "off",
    resume: bool = False,
    overwrite: bool = False,
    trust: bool = False,
    sanity: bool = False,
    report: bool = True,
    faces: bool = True,
    figures: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Score where a classifier looks.

    Args:
        model: a ``Model``, or a checkpoint for ``load_model``.
        dataset: a ``Dataset``, or the name of one.
        data_root: the folder of a data set given by name.
        split: the split of a data set given by name.
        landmarks: a provider, its name, or a landmark file; by default what the data set brings, else `embedded`.
        maps: names or groups, a list or comma-separated; None for the default, which a model that can only be called
            narrows down to maps of the input.
        layers: "last", "all", or names.
        target: "label" or "predicted": the class that class-specific maps explain.
        protocol: "paper" or "corrected".
        codebook: overrides the protocol's.
        geometry: overrides the protocol's.
        metrics: names or "all".
        out: the run folder; None keeps the run in memory.
        leaderboard: a CSV to append one row per map and layer to; one that cannot be is refused before any work.
        batch_size: faces per forward, or "auto" for as many as fit into memory; results do not depend on it beyond
            rounding.
        device: "auto", "cpu", "cuda", ...
        seed: of the bootstrap, of ``limit`` and of drawn data sets.
        limit: score a seeded random sample of so many images.
        align: turn, scale and move each face by its landmarks first.
        autocast: "bf16" or "fp16" lets the network compute in half precision where it can: faster, but maps of early
            layers move.
        resume: continue an interrupted run in ``out``.
        overwrite: replace the run in ``out``.
        trust: as for ``load_model``.
        sanity: check on a sample of faces whether the maps depend on the weights, are steady, and are faithful.
        report: write report.html into ``out``, and what it shows, so that it can be drawn again.
        faces: let the report show photographs; else it draws landmarks, and no picture is copied into ``out``.
        figures: write the figures for a paper into ``out``/figures, as ``interpfer report --figures`` does.
        progress: called with (what, done, total).

    Raises:
        InterpferError: anything the user can mend; the message says how.
    """
    started = time.monotonic()
    require_batch_size(batch_size)
    if leaderboard is not None:
        require_board(Path(leaderboard))
    if isinstance(dataset, str):
        dataset = DATASETS.get(dataset).open(Path(data_root) if data_root else None, split, seed)
    if not isinstance(model, Model):
        model = load_model(model, trust=trust)
    keep_memory()
    group = processes(device)
    model.to(pick_device(group.device if group.device and device in ("auto", "cuda") else device))
    plan = Plan.make(
        model,
        dataset,
        landmarks=landmarks,
        maps=maps,
        layers=layers,
        metrics=metrics,
        target=target,
        protocol=protocol,
        codebook=codebook,
        geometry=geometry,
        seed=seed,
        limit=limit,
        align=align,
        autocast=autocast,
    )
    with model.autocast(autocast):
        if isinstance(batch_size, str):
            found = auto_batch_size(model, plan.layers, plan.needs_gradients, len(plan.rows))
            batch_size = group.from_main(found)
        _ = plan.columns  # a map that cannot be made is told before a folder is begun
        folder = _open_folder(group, None if out is None else Path(out), plan, resume, overwrite)
        keep = ReportContent(report and out is not None, report and out is not None and faces)
        if folder.complete and resume:
            run = load_run(Path(str(out)))
            shown = load_report_data(Path(str(out)))
        else:
            try:
                tell = progress or (lambda *_: None)
                _score_missing(plan, folder, batch_size, keep, group, tell)
                checked = check(plan, tell) if sanity and group.main else None
                concluded = conclude(plan, folder, keep, started, checked) if group.main else None
            except DataError:
                folder.discard()
                raise
            done = group.from_main(concluded and concluded[0])
            assert done is not None
            run, shown = done, concluded and concluded[1]
    if not group.main:
        return run
    if keep.maps and out is not None:
        write_page(load_run(Path(out)), shown, Path(out) / REPORT)  # as `interpfer report` draws it again
    if figures and out is not None:
        list(run_figures(run, shown, Path(out) / FIGURES))
    if leaderboard is not None:
        append(Path(leaderboard), leaderboard_rows(run))
    return run


def _open_folder(group: Processes, path: Path | None, plan: Plan, resume: bool, overwrite: bool) -> RunFolder:
    """Begin or continue a folder; where there are several processes, the first one does, and the others join it."""
    folder = RunFolder(path, plan.facts, resume, overwrite) if group.main else None
    place = group.from_main(folder.place if folder else None)
    assert place is not None
    return folder or RunFolder.join(path, place)


def _score_missing(
    plan: Plan, folder: RunFolder, batch_size: int, keep: ReportContent, group: Processes, tell: Progress
) -> None:
    done = group.from_main(folder.done() if group.main else set())
    todo = group.share([row for row in plan.rows if row not in done], batch_size)
    means = _sum_heatmaps(plan, group, tell) if plan.needs_means else None
    finished = len(done)
    total = len(done) + len(todo)
    tell("scoring", finished, total)
    for batch in plan.stream.batches(todo, batch_size):
        folder.add(score_batch(plan, batch, means, keep))
        finished += len(batch.rows) + len(batch.skipped)
        tell("scoring", finished, total)
    group.wait()


def _sum_heatmaps(plan: Plan, group: Processes, tell: Progress) -> TruthMeans:
    """Sum the AU heatmaps of all images before any is scored.

    Raises:
        DataError: there is none.
    """
    means, missing = TruthMeans(len(plan.dataset.classes)), dict[int, str]()
    own = group.share(plan.rows, CPU_CHUNK)
    for start in range(0, len(own), CPU_CHUNK):
        rows = own[start : start + CPU_CHUNK]
        landmarks = plan.stream.landmarks(rows)
        missing |= {row: landmarks.note(i) for i, row in enumerate(rows) if not landmarks.found[i]}
        means.add(*plan.heatmaps(landmarks, rows), plan.classes(rows))
        tell("AU heatmaps", start + len(rows), len(own))
    means.sums, means.counts = group.add(means.sums), group.add(means.counts)
    missing = {row: reason for part in group.gather(missing) for row, reason in part.items()}
    if not means.counts.any():
        raise DataError(nothing_to_score(plan, missing))
    return means
