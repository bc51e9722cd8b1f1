"""Makes one run out of its shards: the same tables as a score without shards."""

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from interpfer import __version__
from interpfer.datasets.base import Dataset
from interpfer.errors import DataError, RunError
from interpfer.landmarks.base import LandmarkProvider
from interpfer.models.measured import read_measured
from interpfer.models.model import Model
from interpfer.options import resolve_options
from interpfer.reports.leaderboard.rows import require_leaderboard
from interpfer.results.folder import RunFolder
from interpfer.results.pictures import ReportData, load_report_data
from interpfer.results.run import SHARD, Run, load_run
from interpfer.results.shards import ShardFolder, open_shards, require_plan
from interpfer.runtime.progress import Progress, no_progress
from interpfer.scoring.finish import PACKAGES, finish_run
from interpfer.scoring.merge_options import MergeOptions
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.sanity import check
from interpfer.scoring.score import open_inputs, report_content, write_reports
from interpfer.scoring.session import ScoreSession, open_session

T = TypeVar("T")

NAMED = 3
"""Images that a message names."""


def merge(
    runs: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    model: Model | str | Path | None = None,
    dataset: Dataset | None = None,
    landmarks: LandmarkProvider | str | Path | None = None,
    options: MergeOptions | None = None,
    progress: Progress = no_progress,
    **choices: Any,
) -> Run:
    """Make one run out of the folders of its shards; no image is scored again.

    The classifier and the data set are opened again, to prove that they are those of the shards, and for what a report
    shows beside the tables: photographs, and the maps of a few misclassified faces for the other class.

    Args:
        runs: folders of all shards, in any order.
        out: the run folder.
        model: the classifier, where the shards name no checkpoint, or one that lies elsewhere here.
        dataset: the data set, where the shards name none.
        landmarks: as for ``score``.
        options: all choices; or name single ``choices``.
        progress: called with (what, done, total).
        choices: fields of ``interpfer.scoring.merge_options.MergeOptions`` in place of ``options``.

    Returns:
        The run, as ``score`` returns it.

    Raises:
        RunError: a shard is unfinished, missing, there twice, or of another run; the message names it.
        InterpferError: anything else the user can fix; the message says how.

    Examples:
        >>> import tempfile, interpfer
        >>> from interpfer.datasets.demo import DemoDataset
        >>> from interpfer.models.small import SmallCNN
        >>> model = interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "surprise"], input_size=48)
        >>> faces, folder = DemoDataset("test", count=7, size=48), tempfile.mkdtemp()
        >>> shards = [f"{folder}/{i}" for i in range(2)]
        >>> choices = {"maps": "gradcam", "batch_size": 4, "device": "cpu"}
        >>> runs = [interpfer.score(model, faces, shard=(i, 2), out=shards[i], **choices) for i in range(2)]
        >>> interpfer.merge(shards, f"{folder}/run", model=model, dataset=faces).manifest["counts"]["images"]
        7
    """
    started = time.monotonic()
    paths = {"out": out, "model": model, "landmarks": landmarks}
    choices |= {name: str(value) for name, value in paths.items() if isinstance(value, str | Path)}
    own = resolve_options(MergeOptions, options, choices, "merge")
    shards = _open_shards(runs, own)
    settings = _score_options(shards[0], own)
    classifier, faces, settings = open_inputs(*_sources(shards[0], settings, _if_open(model), dataset), settings, None)
    with classifier.autocast(settings.autocast):
        session = open_session(settings, classifier, faces, _if_open(landmarks))
        _require_complete(shards, session)
        run, report_data = _merge(shards, session, settings, progress, started)
    write_reports(run, report_data, settings)
    return run


def _if_open(value: T | str | Path | None) -> T | None:
    """Return an object of Python; None for the path of one."""
    return None if isinstance(value, str | Path) else value


def _open_shards(runs: Sequence[str | Path], own: MergeOptions) -> list[ShardFolder]:
    """Read the shards, and check where the results go.

    Raises:
        RunError: they are not those of one run, or the results cannot go there.
    """
    if own.out is None:
        raise RunError("merge needs a folder for the run: pass --out.")
    if own.leaderboard is not None:
        require_leaderboard(Path(own.leaderboard))
    if own.submit is not None:
        read_measured(Path(own.submit))
    shards = open_shards(runs)
    if any(each.path.resolve() == Path(own.out).resolve() for each in shards):
        raise RunError(f"{own.out} is one of the shards: pass another folder to --out.")
    return shards


def _score_options(first: ShardFolder, own: MergeOptions) -> ScoreOptions:
    """Return the options of the score without shards; code may run only if this merge allows it, too."""
    values = {name: value for name, value in first.options.items() if name not in (SHARD, "trust")}
    return ScoreOptions.of(values | {name: getattr(own, name) for name in own.passed if name != "device" or own.device})


def _sources(
    first: ShardFolder, options: ScoreOptions, model: Model | None, dataset: Dataset | None
) -> tuple[Model | str | Path, Dataset | str]:
    """Return classifier and data set, or where they lie.

    Raises:
        RunError: the shards were scored with objects of Python, which no folder can hold.
    """
    if model is None and options.model is None:
        raise RunError(f"{first.path} was scored with a model in memory: pass model to interpfer.merge in Python.")
    if dataset is None and options.dataset is None:
        raise RunError(f"{first.path} was scored with a data set in memory: pass dataset to interpfer.merge in Python.")
    return model or options.model or "", dataset or options.dataset or ""


def _require_complete(shards: Sequence[ShardFolder], session: ScoreSession) -> None:
    """Check that shards are of what is open here, and that each has the results of its images, and of no others.

    Raises:
        RunError: something is different, or files are missing or those of another shard.
    """
    versions = {"interpfer": __version__} | {name: version(name) for name in PACKAGES}
    require_plan(shards, session.spec.identity, versions)
    for each in shards:
        batches = each.shard.share(session.stream.plan(session.spec.rows, each.batch_size), 1)
        wanted = {row for batch in batches for row in batch}
        found = RunFolder.join(None, each.batches).done()
        for rows, what in ((wanted - found, "lacks the results of"), (found - wanted, "has results of other images, ")):
            if rows:
                names = ", ".join(session.dataset.samples[row].id for row in sorted(rows)[:NAMED])
                raise RunError(
                    f"{each.path} (shard {each.shard}) {what} {len(rows)} images, such as {names}: copy its whole "
                    "folder again, or score it again with --overwrite."
                )


def _merge(
    shards: Sequence[ShardFolder], session: ScoreSession, options: ScoreOptions, progress: Progress, started: float
) -> tuple[Run, ReportData | None]:
    assert options.out is not None
    out = Path(options.out)
    folder = RunFolder.begin(out, session.spec.identity, options.resume, options.overwrite)
    if folder.is_complete and options.resume:
        return load_run(out), load_report_data(out)
    seconds = [float(each.manifest["timings"]["seconds"]) for each in shards]
    checks = check(session, progress) if options.sanity else None
    record = {
        "device": ", ".join(dict.fromkeys(str(each.manifest["device"]) for each in shards)),
        "timings": {"seconds": round(sum(seconds) + time.monotonic() - started, 3), "shards": seconds},
    }
    whole = folder.over([each.batches for each in shards])
    try:
        return finish_run(session, whole, options, report_content(options), started, checks, record)
    except DataError:
        folder.discard()
        raise
