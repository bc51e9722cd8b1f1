"""Exports a run: the files are made beside the output folder, and moved into it when all of them are there."""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interpfer.datasets.base import Dataset
from interpfer.errors import RunError
from interpfer.exporting import EXPORTS
from interpfer.exporting.again import MapsAgain
from interpfer.exporting.base import ExportRequest
from interpfer.exporting.options import ExportOptions
from interpfer.models.model import Model
from interpfer.options import resolve_options
from interpfer.reports.page.scores import Scores
from interpfer.results.run import Run, load_whole_run
from interpfer.runtime.progress import Progress, no_progress


@dataclass(frozen=True)
class Exported:
    """A run in the form of another program.

    Attributes:
        path: the output folder.
        files: files and folders in it.
        notes: sentences on what they hold.
    """

    path: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


def export(
    run: Run | str | Path,
    to: str | None = None,
    out: str | Path | None = None,
    *,
    model: Model | str | Path | None = None,
    dataset: Dataset | None = None,
    options: ExportOptions | None = None,
    progress: Progress = no_progress,
    **choices: Any,
) -> Exported:
    """Hand a finished run on to another program or page.

    Maps are computed again, and compared with what the run recorded; nothing is written if anything differs.

    Args:
        run: a run, or its folder.
        to: name of a target; see ``interpfer ls exports``.
        out: folder to write; other files in it stay.
        model: the classifier of a run that was scored from one in memory, or its checkpoint where that has moved.
        dataset: the faces of a run that was scored from a data set in memory.
        options: all choices; or pass single ``choices``.
        progress: called with (what, done, total).
        choices: fields of ``interpfer.exporting.options.ExportOptions``, such as ``maps=["gradcam@layer4"]``.

    Returns:
        What was written.

    Raises:
        InterpferError: anything that the user can fix; the message says how.

    Examples:
        >>> import tempfile, torch, interpfer
        >>> from interpfer.datasets.demo import DemoDataset
        >>> from interpfer.models.small import SmallCNN
        >>> model = interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "surprise"], input_size=48)
        >>> run = interpfer.score(model, DemoDataset("test", count=7, size=48), maps="gradcam", device="cpu")
        >>> interpfer.export(run, "model-card", tempfile.mkdtemp()).files
        ('README.md',)
    """
    place = None if isinstance(model, Model) else model
    named = {"run": run if isinstance(run, str | Path) else None, "to": to, "out": out, "model": place}
    chosen = _resolve(options, {name: value for name, value in named.items() if value is not None}, choices)
    assert chosen.to is not None and chosen.out is not None  # noqa: PT018
    target = EXPORTS.get(chosen.to)()
    finished = run if isinstance(run, Run) else load_whole_run(run)
    own = model if isinstance(model, Model) else None
    again = MapsAgain(finished, chosen, own, dataset) if target.needs_maps else None
    request = ExportRequest(finished, Scores(finished), chosen, again, progress)
    folder, files = Path(chosen.out), target.files(request)
    _require_free(folder, files, chosen.overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as draft:
            notes = target.write(request, Path(draft))
            for name in files:
                _move(Path(draft) / name, folder / name)
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error}.") from error
    return Exported(folder, files, tuple(notes))


def _resolve(options: ExportOptions | None, named: dict[str, Any], choices: dict[str, Any]) -> ExportOptions:
    """Return the options, with what is passed by name in place of theirs.

    Raises:
        InterpferError: target or folder are missing, or options and choices are both passed.
    """
    if options is None:
        chosen = resolve_options(ExportOptions, None, named | choices, "export")
    else:
        chosen = replace(resolve_options(ExportOptions, options, choices, "export"), **named)
    if chosen.to is None or chosen.out is None:
        raise RunError("an export needs a target and a folder: pass to=NAME and out=DIR.")
    return chosen


def _require_free(folder: Path, files: tuple[str, ...], overwrite: bool) -> None:
    if folder.is_file():
        raise RunError(f"{folder} is a file: pass a folder.")
    if not overwrite and (existing := [name for name in files if (folder / name).exists()]):
        raise RunError(f"{folder} already holds {existing[0]}: pass --overwrite to replace it, or another folder.")


def _move(source: Path, target: Path) -> None:
    """Put a finished file or folder in its place; an earlier one is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    source.replace(target)
