"""Which images judge a fine-tuning, and the comparison of before and after on them."""

from pathlib import Path

import pandas as pd

from interpfer.datasets.base import Dataset
from interpfer.datasets.subset import Subset
from interpfer.files import csv_bytes, write_atomic
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.pictures import before_after_sheet
from interpfer.landmarks.base import LandmarkProvider
from interpfer.models.model import Model
from interpfer.results.comparison import compare
from interpfer.results.run import Run
from interpfer.runtime.progress import Progress
from interpfer.scoring.score import score
from interpfer.types import Sample


def judged_on(faces: Dataset, test: Dataset | None, held: tuple[int, ...]) -> tuple[str, Dataset | None]:
    """Return what before and after are scored on, in words and as a data set.

    Images of the training split do not count; where no others are left, the held-out ones have to do.

    Args:
        faces: what was trained and selected on.
        test: what was asked for; None for no comparison.
        held: rows of ``faces`` that were held out.
    """
    if test is None:
        return "", None
    own = {_whereabouts(faces, sample) for sample in faces.samples}
    fresh = [row for row, sample in enumerate(test.samples) if _whereabouts(test, sample) not in own]
    if test is not faces and fresh:
        known = len(test) - len(fresh)
        told = f"the split '{test.split}', {len(fresh)} images never looked at while training"
        if not known:
            return told, test
        return f"{told}; {known} more stand in the training split too and are left out", Subset(test, fresh, test.split)
    part = Subset(faces, held, "held-out")
    return f"the {len(held)} held-out images, on which the best epoch was chosen too: read gains with care", part


def _whereabouts(faces: Dataset, sample: Sample) -> tuple[object, ...]:
    """Return what tells an image from all others: its file, else its name in its data set."""
    return (sample.path.resolve(),) if sample.path is not None else (faces.name, faces.root, sample.id)


def compare_sides(
    before: Model,
    after: Model,
    on: Dataset,
    provider: LandmarkProvider,
    folder: Path,
    guide: Guide,
    maps: tuple[str, ...],
    metrics: tuple[str, ...],
    seed: int,
    tell: Progress,
    first: bool = True,
    device: str = "auto",
) -> tuple[Run, Run, pd.DataFrame]:
    """Score two models on the same images; write compare.csv and before_after.png.

    Several processes share the scores, so that each of them has to call this.

    Args:
        before: scored into before/.
        after: scored into after/.
        on: the images.
        provider: their landmarks.
        folder: where everything goes.
        guide: tells protocol, codebook and geometry.
        maps: to score.
        metrics: to score.
        seed: of what is random.
        tell: called with (what, done, total).
        first: whether this process writes the files.
        device: to score on; the models are put back where they were.

    Returns:
        Both runs, and their paired statistics.
    """
    homes = [(model, model.device) for model in (before, after)]
    runs = []
    try:
        for name, model in (("before", before), ("after", after)):

            def under(what: str, done: int, total: int, note: str = "", name: str = name) -> None:
                tell(f"{what} {name}", done, total, note)

            runs.append(
                score(
                    model,
                    on,
                    landmarks=provider,
                    maps=maps,
                    metrics=metrics,
                    protocol=guide.protocol,
                    codebook=guide.codebook,
                    geometry=guide.geometry,
                    out=folder / name,
                    overwrite=True,
                    seed=seed,
                    progress=under,
                    device=device,
                )
            )
        table = compare(runs[0], runs[1], seed)
        if first:
            write_atomic(folder / "compare.csv", csv_bytes(table))
            before_after_sheet(before, after, on, provider, folder / "before_after.png", guide.truth_options)
    finally:
        for model, home in homes:
            model.to(home)
    return runs[0], runs[1], table
