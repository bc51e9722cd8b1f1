"""Checks of a data set: ids, labels, images, landmarks and splits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
import torch
from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.errors import SplitError
from interpfer.labels import canonical
from interpfer.testing.checks import require, run_checks
from interpfer.types import Sample

IMAGES = 8
"""Number of images that are read."""
PARTS = ("train", "val", "test")
"""Splits that must not share images; others, such as folds, may."""


def check_dataset(dataset: Dataset, open_split: Callable[[str], Dataset] | None = None) -> None:
    """Check a data set: ids are unique, labels known, images readable, sizes and landmarks those of the images.

    With ``open_split``, opening a split twice must give the same samples, and the splits train, val and test must not
    share images, unless the data set has no splits and all are the same.

    Args:
        dataset: an opened split.
        open_split: function from the name of a split to that split, opened again, such as
            ``lambda split: MyDataset.open(root, split)``.

    Raises:
        AssertionError: a check fails; the message lists all that do, with what was seen and what to fix.

    Examples:
        >>> from interpfer.datasets.demo import DemoDataset
        >>> check_dataset(DemoDataset("test", count=7, size=48), lambda split: DemoDataset(split, count=7, size=48))
    """
    name = getattr(dataset, "name", type(dataset).__name__)
    checks = CHECKS if open_split is None else CHECKS + SPLIT_CHECKS
    run_checks(f"data set {name}", _DatasetRun(dataset, open_split or (lambda _: dataset)), checks)


@dataclass
class _DatasetRun:
    """A data set and how to open it again.

    Attributes:
        dataset: an opened split.
        open_split: function that opens a split again.
        rows: indices of the images that are read, spread over the data set.
    """

    dataset: Dataset
    open_split: Callable[[str], Dataset]
    rows: list[int] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.dataset)
        self.rows = sorted(set(np.linspace(0, count - 1, min(count, IMAGES)).astype(int).tolist()))

    @cached_property
    def images(self) -> dict[int, Image.Image]:
        """Row -> image."""
        return {row: self.dataset.image(row) for row in self.rows}


def _facts(run: _DatasetRun) -> None:
    """Its facts are filled."""
    for fact in ("name", "summary"):
        value = getattr(run.dataset, fact, "")
        require(isinstance(value, str) and bool(value.strip()), f"{fact} is empty; set it in the class")
    require(len(run.dataset.splits) > 0, "splits is empty; name at least one")


def _ids(run: _DatasetRun) -> None:
    """Ids are unique texts of one line."""
    ids = [sample.id for sample in run.dataset.samples]
    require(len(set(ids)) == len(ids), "some are repeated; use the path below the folder of the data set")
    strange = [name for name in ids if name != name.strip() or not name or len(name.splitlines()) > 1]
    require(not strange, f"{strange[:1]} is empty, has several lines, or begins or ends with a space")


def _labels(run: _DatasetRun) -> None:
    """Labels are canonical names of classes, or empty where unknown."""
    labels = sorted({sample.label for sample in run.dataset.samples} - {""})
    strange = [label for label in labels if canonical(label) != label]
    require(not strange, f"{', '.join(strange)} is not one; pass them through interpfer.labels.canonical")
    missing = {sample.label for sample in run.dataset.samples} - {*run.dataset.classes, ""}
    require(not missing, f"classes lacks {', '.join(sorted(missing))}; call Dataset.__init__ with the samples")


def _images(run: _DatasetRun) -> None:
    """Images can be read, are RGB, and are the same when read again."""
    for row, image in run.images.items():
        name = run.dataset.samples[row].id
        require(image.mode == "RGB", f"{name} is {image.mode}; convert it to RGB")
        require(min(image.size) > 0, f"{name} is empty")
        require(run.dataset.image(row).tobytes() == image.tobytes(), f"{name} changes when it is read again")


def _sizes(run: _DatasetRun) -> None:
    """The size of an image is known without decoding it."""
    for row, image in run.images.items():
        size, name = run.dataset.size(row), run.dataset.samples[row].id
        require(size == image.size, f"size() of {name} is {size}, but image() is {image.size}")


def _landmarks(run: _DatasetRun) -> None:
    """Landmarks of the data set are those of the named images, in pixels."""
    provider = run.dataset.landmarks()
    if provider is None:
        return
    ids = [run.dataset.samples[row].id for row in run.rows]
    images = list(run.images.values()) if provider.needs_images else None
    landmarks = provider.locate(ids, images)
    shape = tuple(landmarks.points.shape)
    require(shape == (len(ids), 68, 2), f"{shape} points for {len(ids)} images")
    require(landmarks.found.any(), f"none is found for {', '.join(ids[:3])}, ...; are the ids those of the samples?")
    backwards = provider.locate(ids[::-1], None if images is None else images[::-1])
    same = torch.equal(backwards.points.flip(0).nan_to_num(-1), landmarks.points.nan_to_num(-1))
    require(same, "ids in another order get other points; look each one up by its id")
    for row, points, is_found in zip(run.rows, landmarks.points, landmarks.found.tolist(), strict=True):
        width, height = run.images[row].size
        centre = points.mean(0).tolist()
        inside = 0 <= centre[0] <= width and 0 <= centre[1] <= height
        position = f"those of {run.dataset.samples[row].id} lie around ({centre[0]:.0f}, {centre[1]:.0f})"
        require(not is_found or inside, f"{position}, outside its {width} x {height} pixels; scale them to the image")
    require(bool(provider.digest), "the digest is empty; hash the files that the points are read from")


def _reopened(run: _DatasetRun) -> None:
    """Opening it twice gives the same samples in the same order."""
    again = run.open_split(run.dataset.split)
    require(again.samples == run.dataset.samples, "they differ; sort the files of a folder")


def _disjoint(run: _DatasetRun) -> None:
    """The splits train, val and test share no image, unless all are the same."""
    opened: dict[str, set[tuple[str, str]]] = {}
    for split in run.dataset.splits:
        if split in PARTS:
            try:
                opened[split] = {_key(sample) for sample in run.open_split(split).samples}
            except SplitError:
                continue
    if all(keys == next(iter(opened.values())) for keys in opened.values()):
        return
    for one, other in combinations(opened, 2):
        shared = sorted(opened[one] & opened[other])
        example = shared[0][1] if shared else ""
        reason = f"{one} and {other} share {len(shared)} images, such as {example}; open each with its own samples"
        require(not shared, reason)


def _key(sample: Sample) -> tuple[str, str]:
    return str(sample.path), sample.id


CHECKS: tuple[Callable[[_DatasetRun], None], ...] = (_facts, _ids, _labels, _images, _sizes, _landmarks)
SPLIT_CHECKS: tuple[Callable[[_DatasetRun], None], ...] = (_reopened, _disjoint)
