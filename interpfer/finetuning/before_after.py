"""The comparison of a model before and after its fine-tuning: on which images, and what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from interpfer.datasets.base import Dataset
from interpfer.datasets.duplicates import find_copies, name_some, read_contents
from interpfer.datasets.subset import Subset
from interpfer.files import csv_bytes, write_atomic
from interpfer.finetuning.folder import AFTER, BEFORE, COMPARISON, SHEET
from interpfer.finetuning.pictures import before_after_sheet
from interpfer.landmarks.base import LandmarkProvider
from interpfer.models.model import Model
from interpfer.results.comparison import compare
from interpfer.results.run import Run
from interpfer.runtime.progress import Progress
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.score import score
from interpfer.types import Sample


@dataclass(frozen=True)
class BeforeAfter:
    """Scores of a model before and after.

    Attributes:
        before: score of the original model.
        after: score of the fine-tuned model.
        table: paired statistics, see ``interpfer.results.comparison.compare``.
    """

    before: Run
    after: Run
    table: pd.DataFrame


def comparison_images(
    training: Dataset, test: Dataset | None, heldout_rows: Sequence[int], contents: Mapping[str, str]
) -> tuple[str, Dataset | None]:
    """Return the images on which before and after are compared, in words and as a data set; "" and None for none.

    Images of the training split do not count, nor images with the same pixels as one that was read for the training;
    where no others are left, the held-out ones take their place.

    Args:
        training: data set of the training.
        test: data set asked for; None for no comparison.
        heldout_rows: positions in ``training`` of the held-out images.
        contents: key -> name of the images that were read for the training, as ``FacePool.contents`` has them.
    """
    if test is None:
        return "", None
    known = {_identity(training, sample) for sample in training.samples}
    unseen = [row for row, sample in enumerate(test.samples) if _identity(test, sample) not in known]
    if test is not training and unseen:
        copies = find_copies(read_contents(test, unseen) if contents else {}, contents)
        kept = [row for row in unseen if row not in copies]
        if kept:
            return _describe(test, kept, len(test) - len(unseen), copies), _subset(test, kept)
    heldout = Subset(training, heldout_rows, "held-out")
    return (
        f"the {len(heldout_rows)} held-out images, on which the best epoch was also chosen, so gains may be optimistic",
        heldout,
    )


def _describe(test: Dataset, kept: Sequence[int], in_training: int, copies: Mapping[int, str]) -> str:
    """Return the images of the comparison, and those left out, in words."""
    words = [f"the split '{test.split}', {len(kept)} images not used in training"]
    if in_training:
        words.append(f"{in_training} more are in the training split too and are left out")
    if copies:
        names = name_some(f"{test.samples[row].id} = {name}" for row, name in copies.items())
        words.append(f"left out with the same pixels as a training image: {len(copies)} ({names})")
    return "; ".join(words)


def _subset(test: Dataset, kept: Sequence[int]) -> Dataset:
    return test if len(kept) == len(test) else Subset(test, kept, test.split)


def _identity(dataset: Dataset, sample: Sample) -> tuple[object, ...]:
    """Return what distinguishes an image from all others: its file, else its name in its data set."""
    return (Path(sample.path).resolve(),) if sample.path is not None else (dataset.name, dataset.root, sample.id)


def compare_models(
    models: tuple[Model, Model],
    dataset: Dataset,
    provider: LandmarkProvider,
    options: ScoreOptions,
    progress: Progress,
    is_main: bool = True,
) -> BeforeAfter:
    """Score a model before and after on the same images; write both runs, compare.csv and before_after.png.

    Several processes share the work, so each of them has to call this.

    Args:
        models: before and after; they return to their devices.
        dataset: the images.
        provider: their landmarks.
        options: how they are scored; ``out`` is the folder of the training.
        progress: called with (what, done, total, note).
        is_main: whether this process writes the files.
    """
    assert options.out is not None
    folder, devices = Path(options.out), [model.device for model in models]
    runs = []
    try:
        for name, model in zip((BEFORE, AFTER), models, strict=True):

            def report(what: str, done: int, total: int, note: str = "", name: str = name) -> None:
                progress(f"{what} {name}", done, total, note)

            own = replace(options, out=folder / name)
            runs.append(score(model, dataset, landmarks=provider, options=own, progress=report))
        before, after = runs
        table = compare(before, after, options.seed)
        if is_main:
            write_atomic(folder / COMPARISON, csv_bytes(table))
            before_after_sheet(models, dataset, provider, folder / SHEET, options)
    finally:
        for model, device in zip(models, devices, strict=True):
            model.to(device)
    return BeforeAfter(before, after, table)
